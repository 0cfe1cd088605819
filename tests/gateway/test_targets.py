"""Addresses and names become paths, or are refused; nothing is guessed."""

import pytest

from dstore.core.errors import InvalidRequest
from dstore.gateway.header_values import extended_text, form_text, parse_value
from dstore.gateway.targets import decode_target, disposition, form_path, location, name_path, store_path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/a", "/a"),
        (b"/%61", "/a"),
        (b"/a%2Fb%2f", "/a/b/"),
        (b"/%C3%A4+%20", "/ä+ "),
        (b"/%F0%9F%98%80", "/😀"),
        (b"/%25zz", "/%zz"),
        (b"/a%00b", "/a\0b"),
        (b"/a%0Ab", "/a\nb"),
    ],
)
def test_what_is_decoded(raw: bytes, path: str) -> None:
    assert decode_target(raw) == path


@pytest.mark.parametrize("raw", [b"/%", b"/%4", b"/%zz", b"/%FF", b"/%C3", b"/%ED%A0%80", b"/%C0%AF"])
def test_what_is_not_decoded(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_target(raw)
    assert caught.value.reason == "TARGET_INVALID"


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("..", "PATH_RELATIVE_NAME"),
        ("../etc/passwd", "PATH_RELATIVE_NAME"),
        ("a/../../b", "PATH_RELATIVE_NAME"),
        ("a/./b", "PATH_RELATIVE_NAME"),
        ("a//b", "PATH_EMPTY_NAME"),
        ("/a", "PATH_EMPTY_NAME"),
        ("a\0b", "PATH_HAS_NUL"),
        ("n" * 256, "NAME_TOO_LONG"),
        ("n/" * 2049, "PATH_TOO_LONG"),
        ("n/" * 129, "PATH_TOO_DEEP"),
    ],
)
def test_paths_that_are_none(rest: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store_path(rest)
    assert caught.value.reason == reason


def test_paths() -> None:
    assert store_path("") == "/"
    assert store_path("a/b") == store_path("a/b/") == "/a/b"
    assert name_path("ä") == form_path("ä") == "/ä"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "NAME_MISSING"),
        ("a/b", "NAME_HAS_DIRECTORIES"),
        ("../a", "NAME_HAS_DIRECTORIES"),
        ("..", "PATH_RELATIVE_NAME"),
        (".", "PATH_RELATIVE_NAME"),
        ("\0", "PATH_HAS_NUL"),
    ],
)
def test_names_that_are_none(name: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        name_path(name)
    assert caught.value.reason == reason
    with pytest.raises(InvalidRequest) as caught:
        form_path(name)
    assert caught.value.reason == ("FILE_NAME_MISSING" if name == "" else reason)


@pytest.mark.parametrize("name", ["C:\\a.txt", "..\\..\\a", "\\\\host\\a", "/etc/passwd"])
def test_names_of_forms_have_no_directories(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        form_path(name)
    assert caught.value.reason == "NAME_HAS_DIRECTORIES"


def test_what_is_written_into_headers_is_plain() -> None:
    assert location('/a b/"ä\r\n') == "/v1/files/a%20b/%22%C3%A4%0D%0A"
    assert disposition("inline", 'x"; a=ä\r\n') == "inline; filename*=UTF-8''x%22%3B%20a%3D%C3%A4%0D%0A"


@pytest.mark.parametrize(
    ("value", "head", "parameters"),
    [
        (b"form-data", "form-data", {}),
        (b'Form-Data ; NAME = "file" ;filename=a.txt', "form-data", {"name": b"file", "filename": b"a.txt"}),
        (b'form-data; name="a;b\\"c\\\\"; x=', "form-data", {"name": b'a;b"c\\', "x": b""}),
        (b"form-data; name=a;", "form-data", {"name": b"a"}),
    ],
)
def test_headers_with_parameters(value: bytes, head: str, parameters: dict[str, bytes]) -> None:
    assert parse_value(value, what="X") == (head, parameters)


@pytest.mark.parametrize("value", [b'a; name="x', b"a; name", b"a; name=x y", b"a; name=x; NAME=y", b'a; ="x"'])
def test_headers_that_cannot_be_read(value: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_value(value, what="X")
    assert caught.value.reason == "HEADER_INVALID"


def test_names_in_forms() -> None:
    assert form_text("ä%22%0d%0A%41".encode()) == 'ä"\r\n%41'
    assert extended_text(b"UTF-8'en'%C3%A4%20b") == "ä b"
    for bad in (b"latin-1''a", b"UTF-8", b"UTF-8''%ff"):
        with pytest.raises(InvalidRequest):
            extended_text(bad)
    with pytest.raises(InvalidRequest):
        form_text(b"\xff")
