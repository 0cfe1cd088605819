"""A form comes apart the same way, however the network cuts it."""

import pytest

from dstore.core.errors import DstoreError, InvalidRequest
from dstore.gateway.limits import PART_HEADERS_SIZE_BYTES_MAX, PARTS_MAX
from dstore.gateway.multipart import FormReader, PartBegin, PartData, PartEnd, boundary_of

BOUNDARY = b"X-boundary"
TRICKY = b"\r\n--X-boundar\r\n--X\r\r\n-" + bytes(range(256))


def part(content: bytes, disposition: bytes = b'form-data; name="file"; filename="a"') -> bytes:
    return b"--X-boundary\r\nContent-Disposition: " + disposition + b"\r\nContent-Type: a/b\r\n\r\n" + content + b"\r\n"


END = b"--X-boundary--\r\n"


def read(form: bytes, step: int) -> list[tuple[str, str | None, bytes]]:
    """Return name, file name and content of each part of a form that comes in pieces of ``step`` bytes."""
    reader, parts, is_open = FormReader(BOUNDARY), [], False
    for start in range(0, len(form), step):
        for event in reader.feed(form[start : start + step]):
            match event:
                case PartBegin(name, file_name, content_type):
                    assert not is_open
                    assert content_type == "a/b"
                    is_open = True
                    parts.append((name, file_name, b""))
                case PartData(data):
                    assert is_open
                    parts[-1] = (*parts[-1][:2], parts[-1][2] + data)
                case PartEnd():
                    assert is_open
                    is_open = False
    reader.finish()
    assert not is_open
    return parts


@pytest.mark.parametrize("step", [1, 2, 3, 7, 16, 100_000])
@pytest.mark.parametrize("content", [b"", b"\r\n", b"x", b"--X-boundary--"[2:], TRICKY, TRICKY * 40])
def test_parts(content: bytes, step: int) -> None:
    form = part(content) + part(b"1", b'form-data; name="other"') + part(content * 2) + END
    assert read(form, step) == [("file", "a", content), ("other", None, b"1"), ("file", "a", content * 2)]


@pytest.mark.parametrize(
    ("disposition", "file_name"),
    [
        (b'form-data; name="file"; filename="a b.txt"', "a b.txt"),
        ('form-data; name="file"; filename="ä"'.encode(), "ä"),
        (b'form-data; name="file"; filename="a%22b"', 'a"b'),
        (b'form-data; name="file"; filename="a\\"b"', 'a"b'),
        (b'form-data; name="file"; filename="x"; filename*=UTF-8\'\'%C3%A4', "ä"),
        (b'form-data; name="file"; filename=""', ""),
        (b'form-data; name="file"', None),
    ],
)
def test_file_names(disposition: bytes, file_name: str | None) -> None:
    assert read(part(b"", disposition) + END, 10) == [("file", file_name, b"")]


@pytest.mark.parametrize(
    "form",
    [
        b"",
        part(b"x"),
        part(b"x")[:-4],
        part(b"x")[:20],
        b"no boundary at all",
        b"--Y-boundary\r\n\r\n",
        b"--X-boundary\r\nContent-Type: a/b\r\n\r\n\r\n" + END,
        part(b"x", b'attachment; name="file"') + END,
        part(b"x", b"form-data") + END,
        part(b"x", b'form-data; name="file"; filename="\xff"') + END,
        part(b"x", b'form-data; name="file') + END,
    ],
)
def test_forms_that_are_none(form: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(form, 1_000)


def test_limits() -> None:
    longest = b'form-data; name="file"; filename="' + b"n" * PART_HEADERS_SIZE_BYTES_MAX + b'"'
    for form in (part(b"", longest) + END, part(b"") * (PARTS_MAX + 1) + END):
        with pytest.raises(DstoreError):
            read(form, 100_000)
    assert len(read(part(b"") * PARTS_MAX + END, 100_000)) == PARTS_MAX


def test_boundaries() -> None:
    assert boundary_of("multipart/form-data; boundary=abc") == b"abc"
    assert boundary_of('Multipart/Form-Data; charset=x; boundary="a b"') == b"a b"
    assert boundary_of("application/json") is None
    assert boundary_of("") is None
    for bad in ("multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 71}"):
        with pytest.raises(InvalidRequest):
            boundary_of(bad)
