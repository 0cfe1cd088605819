"""What ``put`` and ``get`` say of a file that was moved."""

import pytest

from dstore.cli.transfers import Transfer
from dstore.core.files import FileInfo, FileKind
from dstore.core.ids import FileId, Version


@pytest.mark.parametrize(
    ("size_bytes", "chunk_count", "line"),
    [
        (0, 0, "/f  0 B  0 chunks  2.0 s"),
        (16_384, 0, "/f  16.0 KiB  in its manifest  2.0 s"),
        (16_385, 1, "/f  16.0 KiB  1 chunk  2.0 s"),
        (64 * 1024 * 1024, 4, "/f  64.0 MiB  4 chunks  2.0 s  32.0 MiB/s"),
    ],
)
def test_the_line_says_where_the_bytes_are(size_bytes: int, chunk_count: int, line: str) -> None:
    info = FileInfo("/f", FileKind.FILE, FileId(2), size_bytes, Version(3), 0, 0, chunk_count)
    assert Transfer(info, "f", 2.0).text(info.path) == line
