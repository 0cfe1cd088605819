"""Which commit an installation says that it was made from."""

from pathlib import Path

import pytest

from dstore.system.build import read_commit


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "unknown"),
        (b"", "unknown"),
        (b"unknown\n", "unknown"),
        (b"0a1b2c\n", "unknown"),
        (b"0a1b2c3\n", "0a1b2c3"),
        (b"0a" * 20, "0a" * 20),
        (b"0a" * 20 + b"0", "unknown"),
        (b'0a1b2c3"\ndstore_health 0', "unknown"),
        (b"\xff\xfe", "unknown"),
    ],
)
def test_only_a_commit_is_told(tmp_path: Path, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / "commit.txt").write_bytes(content)
    assert read_commit(tmp_path / "commit.txt") == expected
