"""What URLs, paths and bounds mean: pure tables."""

import pytest

from dstore.core.limits import RANGES_MAX, RANGES_SIZE_BYTES_MAX
from dstore.fsspec.bounds import Bound, absolute_range, each_of, in_calls, is_absolute, range_within
from dstore.fsspec.locations import child_of, endpoint_of, parent_of, path_of
from dstore.fsspec.walking import forget


@pytest.mark.parametrize(
    ("location", "path", "endpoint"),
    [
        ("dstore:///a/b", "/a/b", None),
        ("dstore://a/b", "/a/b", None),
        ("dstore::a/b", "/a/b", None),
        ("dstore:///", "/", None),
        ("dstore://", "/", None),
        ("", "/", None),
        ("/", "/", None),
        ("a", "/a", None),
        ("/a/", "/a", None),
        ("//a///b//", "/a/b", None),
        ("dstore:////a//b", "/a/b", None),
        ("dstore://127.0.0.1:7070/a", "/a", "127.0.0.1:7070"),
        ("dstore://[::1]:7070/a", "/a", "[::1]:7070"),
        ("dstore://host:7070", "/", "host:7070"),
        ("dstore://host:7070x/a", "/host:7070x/a", None),
        ("dstore:///host:7070/a", "/host:7070/a", None),
        ("host:7070/a", "/host:7070/a", None),
        ("DSTORE:///Ä b?#%20", "/Ä b?#%20", None),
        ("/a/../b", "/a/../b", None),  # for the client to refuse
    ],
)
def test_what_a_location_means(location: str, path: str, endpoint: str | None) -> None:
    assert path_of(location) == path
    assert path_of(path) == path
    assert endpoint_of(location) == endpoint


def test_parents_and_children() -> None:
    assert [parent_of(path) for path in ("/a/b", "/a", "/")] == ["/a", "/", "/"]
    assert [child_of(path, "c") for path in ("/a/b", "/")] == ["/a/b/c", "/c"]


BOUNDS: list[Bound] = [None, -12, -11, -10, -9, -1, 0, 1, 9, 10, 11]


@pytest.mark.parametrize("start", BOUNDS)
@pytest.mark.parametrize("end", BOUNDS)
def test_bounds_are_those_of_a_slice(start: Bound, end: Bound) -> None:
    content = b"0123456789"
    offset, length = range_within(start, end, len(content))
    assert content[offset : offset + length] == content[start:end]
    assert is_absolute(start, end) == ((start or 0) >= 0 and (end or 0) >= 0)
    if is_absolute(start, end):
        first, count = absolute_range(start, end)
        assert content[first : None if count is None else first + count] == content[start:end]


def test_one_bound_for_all() -> None:
    assert each_of(3, 2) == [3, 3]
    assert each_of(None, 2) == [None, None]
    assert each_of((1, None), 2) == [1, None]
    with pytest.raises(ValueError, match="2 paths, but 1 bounds"):
        each_of([1], 2)


@pytest.mark.parametrize(
    ("lengths", "calls"),
    [
        ([], []),
        ([0], [1]),
        ([RANGES_SIZE_BYTES_MAX, 0, 1], [2, 1]),
        ([RANGES_SIZE_BYTES_MAX - 1, 1, 1], [2, 1]),
        ([RANGES_SIZE_BYTES_MAX + 1, 1], [1, 1]),
        ([1, RANGES_SIZE_BYTES_MAX + 1], [1, 1]),
        ([1] * RANGES_MAX, [RANGES_MAX]),
        ([1] * (RANGES_MAX + 1), [RANGES_MAX, 1]),
    ],
)
def test_ranges_are_asked_for_within_the_limits_of_one_call(lengths: list[int], calls: list[int]) -> None:
    batches = list(in_calls([(0, length) for length in lengths]))
    assert [len(batch) for batch in batches] == calls
    assert [length for batch in batches for _, length in batch] == lengths


def test_a_change_makes_listings_above_and_below_untrue() -> None:
    listings = dict.fromkeys(("/", "/a", "/a/b", "/a/b/c", "/a/bb", "/d"), ())
    forget(listings, "/a/b")
    assert list(listings) == ["/a/bb", "/d"]
    forget(listings, "/")
    assert listings == {}
