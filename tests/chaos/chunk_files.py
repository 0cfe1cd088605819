"""Looks at a chunkserver's directory from outside, with the server's own reading of the format."""

from pathlib import Path

from dstore.chunkserver import chunkfile, paths
from dstore.core.errors import Corrupt
from dstore.core.ids import ChunkId
from dstore.core.limits import CHUNK_FILE_HEADER_SIZE_BYTES


def chunk_files(directory: Path) -> dict[ChunkId, Path]:
    """Return every chunk that has its name on this disk."""
    found: dict[ChunkId, Path] = {}
    for path in (directory / paths.GROUPS).glob("*/*/*"):
        group_id, fan_out = paths.parse_group(path.parent.parent.name), paths.parse_fan_out(path.parent.name)
        if group_id is not None and fan_out is not None:
            chunk_id = paths.parse_chunk(group_id, fan_out, path.name)
            assert chunk_id is not None, f"a name that no chunkserver gives: {path}"
            found[chunk_id] = path
    return found


def check_chunk_file(chunk_id: ChunkId, path: Path) -> None:
    """Require that a chunk file is whole.

    Raises:
        Corrupt: it is not.
    """
    raw = path.read_bytes()
    page = raw[:CHUNK_FILE_HEADER_SIZE_BYTES]
    header = chunkfile.decode_header(page)
    end = CHUNK_FILE_HEADER_SIZE_BYTES + header.length_bytes
    footer = chunkfile.decode_footer(page, header, raw[end:])
    chunkfile.check_blocks(footer, 0, raw[CHUNK_FILE_HEADER_SIZE_BYTES:end])
    assert header.chunk_id == chunk_id, f"{path} is chunk {header.chunk_id}"


class ChunkFileChecker:
    """Requires that every chunk that has its name is whole; each file is read once, as it never changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._checked: set[ChunkId] = set()

    def check(self) -> None:
        """Read the files that are new since the last time."""
        for chunk_id, path in chunk_files(self._directory).items():
            if chunk_id not in self._checked:
                try:
                    check_chunk_file(chunk_id, path)
                except Corrupt as error:
                    raise AssertionError(f"{path} has its name but is not whole: {error}") from error
                self._checked.add(chunk_id)
