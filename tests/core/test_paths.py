"""Every path has one form; everything else is refused with its own reason."""

import re
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstore.core.errors import InvalidRequest
from dstore.core.limits import NAME_SIZE_BYTES_MAX, PATH_DEPTH_MAX, PATH_SIZE_BYTES_MAX
from dstore.core.paths import is_plain_name, join_path, normalize_path, split_path


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", ()),
        ("/a", ("a",)),
        ("/a/", ("a",)),
        ("/a/ä ö/…", ("a", "ä ö", "…")),
        ("/...", ("...",)),
        ("/" + "n" * NAME_SIZE_BYTES_MAX, ("n" * NAME_SIZE_BYTES_MAX,)),
        ("/a" * PATH_DEPTH_MAX, ("a",) * PATH_DEPTH_MAX),
    ],
)
def test_valid_paths(path: str, names: tuple[str, ...]) -> None:
    assert split_path(path) == names
    assert split_path(normalize_path(path)) == names


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "PATH_NOT_ABSOLUTE"),
        ("a", "PATH_NOT_ABSOLUTE"),
        ("//", "PATH_EMPTY_NAME"),
        ("//a", "PATH_EMPTY_NAME"),
        ("/a//b", "PATH_EMPTY_NAME"),
        ("/a//", "PATH_EMPTY_NAME"),
        ("/.", "PATH_RELATIVE_NAME"),
        ("/a/../b", "PATH_RELATIVE_NAME"),
        ("/a\0b", "PATH_HAS_NUL"),
        ("/a\udcffb", "PATH_NOT_UTF8"),
        ("/" + "n" * (NAME_SIZE_BYTES_MAX + 1), "NAME_TOO_LONG"),
        ("/" + "ä" * 128, "NAME_TOO_LONG"),
        ("/a" * (PATH_DEPTH_MAX + 1), "PATH_TOO_DEEP"),
        ("/" + "x" * PATH_SIZE_BYTES_MAX, "PATH_TOO_LONG"),
    ],
)
def test_invalid_paths(path: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split_path(path)
    assert caught.value.reason == reason
    # The message must be printable whatever the path was.
    caught.value.message.encode()
    assert caught.value.message.endswith(".")


@given(st.text(max_size=50))
def test_any_text_is_a_path_in_one_form_or_refused(text: str) -> None:
    try:
        names = split_path(text)
    except InvalidRequest as error:
        assert error.reason.startswith(("PATH_", "NAME_"))
    else:
        assert split_path(join_path(names)) == names
        assert normalize_path(join_path(names)) == join_path(names)


@given(st.text(max_size=4) | st.sampled_from([".", "..", "a/b", "a\0", "ä", "n" * (NAME_SIZE_BYTES_MAX + 1)]))
def test_a_plain_name_is_one_name(name: str) -> None:
    assert not is_plain_name(name) or split_path("/" + name) == (name,)


def test_most_names_are_plain() -> None:
    assert all(map(is_plain_name, ("a", "report 7.txt", "...", "n" * NAME_SIZE_BYTES_MAX)))


@pytest.mark.parametrize("path", [None, 5, b"/f", PurePosixPath("/f"), ["/f"]])
def test_what_is_no_text_is_named(path: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"{re.escape(repr(path))}.* no text but {type(path).__name__}") as caught:
        split_path(path)
    assert caught.value.reason == "PATH_NOT_TEXT"
