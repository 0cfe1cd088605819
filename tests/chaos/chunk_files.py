"""Looks at a chunkserver's directory from outside, with the server's own reading of the format."""

import contextlib
from collections.abc import Mapping
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


def whole_unsynced_files(directory: Path) -> dict[ChunkId, Path]:
    """Return the chunks in ``unsynced/`` that are whole: those of them that may have been acknowledged.

    An acknowledgement comes after the mark of the group, so one whose group has no mark in ``doubts/`` is left out.
    """
    marked = set()
    for mark in (directory / paths.DOUBTS).iterdir():
        group_id = paths.parse_group(mark.name)
        assert group_id is not None and mark.stat().st_size == 0, f"a mark that no chunkserver makes: {mark}"
        marked.add(group_id)
    found: dict[ChunkId, Path] = {}
    for path in (directory / paths.UNSYNCED).iterdir():
        chunk_id = paths.parse_unsynced(path.name)
        assert chunk_id is not None, f"a name that no chunkserver gives: {path}"
        if chunk_id.group_id in marked:
            with contextlib.suppress(Corrupt):
                check_chunk_file(chunk_id, path)
                found[chunk_id] = path
    return found


def check_adopted(directory: Path, earlier: Mapping[ChunkId, Path]) -> None:
    """Require that a server which was started again made durable what an earlier run had not synced, or discarded it.

    Args:
        earlier: what ``whole_unsynced_files`` returned before the start.
    """
    named, discarded = chunk_files(directory), {path.name for path in (directory / paths.TRASH).iterdir()}
    for chunk_id, path in earlier.items():
        assert not path.exists(), f"left behind by a start: {path}"
        assert chunk_id in named or str(chunk_id) in discarded, f"whole, unsynced, and gone with a start: {path}"


def has_unsynced(directory: Path) -> bool:
    """Return whether a server has something to sync in the background, or marks that say so."""
    return any(any((directory / name).iterdir()) for name in (paths.UNSYNCED, paths.DOUBTS))


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
