"""What ``dstore sync`` decides to do, and above all what it does not delete."""

import pytest

from dstore.cli.sync_plan import Action, make_plan, same_size
from dstore.cli.tree_listing import Entry, EntryKind, Listing
from dstore.core.errors import PermissionDenied

DIRECTORY = Entry(EntryKind.DIRECTORY)
LINK, SPECIAL = Entry(EntryKind.LINK), Entry(EntryKind.SPECIAL)


def file(size_bytes: int = 1, modified_ns: int = 10) -> Entry:
    return Entry(EntryKind.FILE, size_bytes, modified_ns)


def steps(source: dict[str, Entry], target: dict[str, Entry], *, delete: bool = True) -> list[tuple[str, str, str]]:
    plan = make_plan(Listing(source), Listing(target), different=None, delete=delete)
    assert not plan.is_delete_withheld
    return [(step.action.value, step.path, step.reason) for step in plan.steps]


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        (None, None, []),
        (file(), None, [("copy", "x", "missing")]),
        (file(), file(), []),
        (file(2), file(1), [("copy", "x", "size")]),
        (file(modified_ns=11), file(), [("copy", "x", "newer")]),
        (file(modified_ns=9), file(), []),
        (DIRECTORY, None, [("make_directory", "x", "missing")]),
        (DIRECTORY, DIRECTORY, []),
        (DIRECTORY, file(), [("conflict", "x", "file")]),
        (DIRECTORY, LINK, [("conflict", "x", "link")]),
        (file(), DIRECTORY, [("conflict", "x", "directory")]),
        (file(), SPECIAL, [("conflict", "x", "special")]),
        (LINK, None, [("skip", "x", "link")]),
        (LINK, DIRECTORY, [("skip", "x", "link")]),
        (SPECIAL, file(), [("skip", "x", "special")]),
        (None, file(), [("delete", "x", "extra")]),
        (None, DIRECTORY, [("delete", "x", "extra")]),
        (None, LINK, [("delete", "x", "extra")]),
        (None, SPECIAL, []),
    ],
)
def test_one_entry(source: Entry | None, target: Entry | None, wanted: list[tuple[str, str, str]]) -> None:
    def entries(entry: Entry | None) -> dict[str, Entry]:
        return {} if entry is None else {"x": entry}

    assert steps(entries(source), entries(target)) == wanted
    kept = [step for step in wanted if step[0] != "delete"]
    assert steps(entries(source), entries(target), delete=False) == kept


def test_parents_are_made_first_and_deleted_last() -> None:
    tree = {"a": DIRECTORY, "b": file(), "a/c": DIRECTORY, "a/c/d": file()}
    assert [path for _, path, _ in steps(tree, {})] == ["a", "b", "a/c", "a/c/d"]
    assert [path for _, path, _ in steps({}, tree)] == ["a/c/d", "a/c", "b", "a"]


def test_nothing_is_done_below_a_conflict() -> None:
    source = {"a": DIRECTORY, "ab": file(), "a/b": DIRECTORY, "a/b/c": file()}
    assert steps(source, {"a": file()}) == [("conflict", "a", "file"), ("copy", "ab", "missing")]


@pytest.mark.parametrize("there", [LINK, SPECIAL, file()])
def test_what_cannot_be_copied_keeps_all_below_its_name(there: Entry) -> None:
    target = {"a": DIRECTORY, "ab": file(), "a/b": DIRECTORY, "a/b/c": file()}
    assert [step for step in steps({"a": there}, target) if step[0] == "delete"] == [("delete", "ab", "extra")]


def test_nothing_is_deleted_when_the_source_could_not_be_seen_as_a_whole() -> None:
    source = Listing({"new": file()}, {"locked": PermissionDenied("no")})
    plan = make_plan(source, Listing({"locked": DIRECTORY, "other": file()}), different=None, delete=True)
    assert [(step.action, step.path) for step in plan.steps] == [(Action.COPY, "new")]
    assert plan.is_delete_withheld
    assert not make_plan(source, Listing({}), different=None, delete=True).is_delete_withheld


def test_by_content() -> None:
    source = Listing({"same": file(3, 99), "other": file(3, 1), "longer": file(4), "d": DIRECTORY})
    target = Listing({"same": file(3), "other": file(3), "longer": file(3), "d": DIRECTORY})
    assert same_size(source, target) == ["same", "other"]
    plan = make_plan(source, target, different={"other"}, delete=False)
    assert [(step.path, step.reason) for step in plan.steps] == [("other", "content"), ("longer", "size")]
    assert plan.unchanged_files == 1
