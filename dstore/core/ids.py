"""Identities: plain values with one text form each.

Uuids travel as lower-case text with dashes, because people read them in grpcurl and in logs. Chunk ids are
numbers, because the master allocates them in order and compares them (see ``ChunkId``).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

from dstore.core.errors import InvalidRequest

#: A cluster, for its whole life. A uuid.
ClusterId = NewType("ClusterId", str)
#: A chunkserver's disk: it stays with the data directory, whatever host mounts it. A uuid.
ServerId = NewType("ServerId", str)
#: One run of a server process. A uuid.
BootId = NewType("BootId", str)
#: A write in progress. A uuid.
IntentId = NewType("IntentId", str)
#: Makes a mutation idempotent. Chosen by the client, usually a uuid.
RequestId = NewType("RequestId", str)
#: The content of one written file; given out by the master, never used again. Directories have one too.
FileId = NewType("FileId", int)
#: A placement group.
GroupId = NewType("GroupId", int)
#: A number that no other change of the namespace has; of two versions of a path the later one is larger.
Version = NewType("Version", int)

#: The root directory.
ROOT_ID = FileId(1)

#: The same few clusters and servers are converted for every file and chunk.
_UUIDS_CACHED_MAX = 64
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CHUNK_ID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{16})")


@dataclass(frozen=True, slots=True, order=True)
class ChunkId:
    """Names one chunk for ever: the placement group that holds it, and a cluster-wide sequence number.

    The master allocates sequences in order and never twice (Invariant 6), so that every chunk below the lowest
    sequence of all live intents is known to be settled.
    """

    group_id: GroupId
    sequence: int

    def __str__(self) -> str:
        return f"{self.group_id:08x}-{self.sequence:016x}"

    @classmethod
    def parse(cls, text: str) -> "ChunkId":
        """Read the form that ``str`` writes.

        Raises:
            InvalidRequest: when the text is not 8 hex digits, a dash and 16 hex digits.
        """
        match = _CHUNK_ID.fullmatch(text)
        if match is None:
            raise InvalidRequest(
                f"{text!r} is no chunk id; one looks like 0000002a-00000000000001f3.",
                reason="CHUNK_ID_INVALID",
            )
        return cls(GroupId(int(match[1], 16)), int(match[2], 16))


def parse_uuid(text: str, *, what: str) -> str:
    """Return ``text`` if it is a uuid in its one text form; ``what`` names it in the error.

    Raises:
        InvalidRequest: when it is not.
    """
    if _UUID.fullmatch(text) is None:
        raise InvalidRequest(f"The {what} {text[:64]!r} is not a lower-case uuid with dashes.", reason="UUID_INVALID")
    return text


@lru_cache(_UUIDS_CACHED_MAX)
def uuid_bytes(uuid: str) -> bytes:
    """Return the 16 bytes of a uuid, most significant first."""
    return bytes.fromhex(uuid.replace("-", ""))


@lru_cache(_UUIDS_CACHED_MAX)
def uuid_from_bytes(raw: bytes) -> str:
    """Return the text form of 16 bytes."""
    assert len(raw) == 16
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
