"""Where things are in a chunkserver's directory, and back from a name to the thing.

    IDENTITY                                       whose disk this is
    SCRUB                                          how far the scrub is
    STANDING                                       highest standing of a master that was seen
    LOCK                                           held by the running process
    groups/<group>/EPOCH                           newest epoch of the group that was seen
    groups/<group>/<fan-out>/<chunk id>            one chunk
    corrupt/<chunk id>                             an empty file: the chunk failed a check
    trash/<chunk id>                               a chunk that was discarded; an empty file when it was not here
    trash/<chunk id>.dropped                       a chunk that was moved away with its whole group
    unsynced/<chunk id>.<number>                   a chunk that may have been acknowledged before it was synced
    doubts/<group>                                 an empty file: chunks of the group may have been so, and be lost
    tmp/<name>.<number>                            a file that is being written; removed at the next start

``<group>`` is 8 hex digits, ``<fan-out>`` the last 2 hex digits of the chunk's sequence: at most 256
directories in a group, filled evenly because sequences are allocated in order.
"""

import re

from dstore.core.ids import ChunkId, GroupId

GROUPS = "groups"
TEMPORARY = "tmp"
CORRUPT = "corrupt"
TRASH = "trash"
UNSYNCED = "unsynced"
DOUBTS = "doubts"
#: All directories of the root.
DIRECTORIES = (TEMPORARY, GROUPS, CORRUPT, TRASH, UNSYNCED, DOUBTS)
IDENTITY = "IDENTITY"
STANDING = "STANDING"
SCRUB = "SCRUB"
LOCK = "LOCK"
EPOCH = "EPOCH"
#: Written to measure the disk, and removed at once.
PROBE = "PROBE"

_GROUP = re.compile(r"[0-9a-f]{8}")
_FAN_OUT = re.compile(r"[0-9a-f]{2}")
_CHUNK = re.compile(r"[0-9a-f]{8}-[0-9a-f]{16}")
_UNSYNCED = re.compile(r"([0-9a-f]{8}-[0-9a-f]{16})\.[0-9]+")
_DROPPED = ".dropped"
_TEMPORARY = re.compile(r"(?:IDENTITY|STANDING|SCRUB|PROBE|EPOCH-[0-9a-f]{8}|[0-9a-f]{8}-[0-9a-f]{16})\.[0-9]+")


def group_directory(group_id: GroupId) -> str:
    """Return the directory of a group."""
    return f"{GROUPS}/{group_id:08x}"


def chunk_directory(chunk_id: ChunkId) -> str:
    """Return the directory that holds a chunk."""
    return f"{GROUPS}/{chunk_id.group_id:08x}/{chunk_id.sequence & 0xFF:02x}"


def chunk_path(chunk_id: ChunkId) -> str:
    """Return the path of a chunk file."""
    return f"{chunk_directory(chunk_id)}/{chunk_id}"


def corrupt_path(chunk_id: ChunkId) -> str:
    """Return the path of the mark that a chunk is corrupt."""
    return f"{CORRUPT}/{chunk_id}"


def discarded_path(chunk_id: ChunkId) -> str:
    """Return where a chunk is, or its tombstone, once it was discarded."""
    return f"{TRASH}/{chunk_id}"


def dropped_path(chunk_id: ChunkId) -> str:
    """Return where a chunk is once its whole group was dropped."""
    return f"{TRASH}/{chunk_id}{_DROPPED}"


def epoch_path(group_id: GroupId) -> str:
    """Return the path of a group's epoch file."""
    return f"{group_directory(group_id)}/{EPOCH}"


def temporary_path(name: str, number: int) -> str:
    """Return the path of a file that is being written; ``number`` makes it unique within one run."""
    path = f"{name}.{number}"
    assert is_temporary(path)
    return f"{TEMPORARY}/{path}"


def unsynced_path(chunk_id: ChunkId, number: int) -> str:
    """Return the path of a chunk that is acknowledged before it is synced; ``number`` as in ``temporary_path``."""
    return f"{UNSYNCED}/{chunk_id}.{number}"


def doubt_path(group_id: GroupId) -> str:
    """Return the path of the mark that chunks of a group may be acknowledged and not synced."""
    return f"{DOUBTS}/{group_id:08x}"


def is_temporary(name: str) -> bool:
    """Tell whether a name in ``tmp`` is one of ours, and may thus be removed by recovery."""
    return _TEMPORARY.fullmatch(name) is not None


def parse_group(name: str) -> GroupId | None:
    """Return the group whose directory has this name; None when the name is no group's."""
    return GroupId(int(name, 16)) if _GROUP.fullmatch(name) else None


def parse_fan_out(name: str) -> int | None:
    """Return the number of a fan-out directory; None when the name is none."""
    return int(name, 16) if _FAN_OUT.fullmatch(name) else None


def parse_corrupt(name: str) -> ChunkId | None:
    """Return the chunk that a name in ``corrupt`` stands for; None when it stands for none."""
    return ChunkId.parse(name) if _CHUNK.fullmatch(name) else None


def parse_unsynced(name: str) -> ChunkId | None:
    """Return the chunk that a name in ``unsynced`` stands for; None when it stands for none."""
    match = _UNSYNCED.fullmatch(name)
    return ChunkId.parse(match[1]) if match else None


def parse_trash(name: str) -> tuple[ChunkId, bool] | None:
    """Return the chunk that a name in ``trash`` stands for, and whether it was dropped; None when for none."""
    chunk_name = name.removesuffix(_DROPPED)
    return (ChunkId.parse(chunk_name), chunk_name != name) if _CHUNK.fullmatch(chunk_name) else None


def parse_chunk(group_id: GroupId, fan_out: int, name: str) -> ChunkId | None:
    """Return the chunk that a name in a fan-out directory stands for; None when it does not belong there."""
    if not _CHUNK.fullmatch(name):
        return None
    chunk_id = ChunkId.parse(name)
    belongs = chunk_id.group_id == group_id and chunk_id.sequence & 0xFF == fan_out
    return chunk_id if belongs else None
