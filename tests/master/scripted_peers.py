"""Lists of what scripted servers hold, as their peers and the master get them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

from master_harness import SEALED_SIZE

from dstore.core.digests import HeldChunk, HeldPage
from dstore.core.errors import Unavailable
from dstore.core.ids import ChunkId, GroupId
from dstore.core.interfaces import Chunks

CRC = 0xDEADBEEF


class Holder(Protocol):
    """A server, by what it holds."""

    chunks: set[ChunkId]
    corrupt: tuple[ChunkId, ...]


@dataclass
class ScriptedPeers:
    """Lists what scripted servers hold, a few chunks a page; what is ``altered`` with other properties."""

    servers: Mapping[int, Holder]
    altered: dict[tuple[int, ChunkId], tuple[int, int]] = field(default_factory=dict)
    silent: set[int] = field(default_factory=set)
    #: Called before each page.
    before: Callable[[int, GroupId], None] = lambda number, group_id: None

    def chunks(self, address: str) -> Chunks:
        return cast("Chunks", _ScriptedChunks(self, int(address.rpartition(":")[2]) - 7700))


@dataclass
class _ScriptedChunks:
    peers: ScriptedPeers
    number: int

    async def list_group(self, group_id: GroupId, *, bucket: int | None, after_sequence: int, count: int) -> HeldPage:
        assert bucket is None and count > 0
        self.peers.before(self.number, group_id)
        if self.number in self.peers.silent:
            raise Unavailable("It does not answer.")
        server = self.peers.servers[self.number]
        held = [
            HeldChunk(each.sequence, *self.peers.altered.get((self.number, each), (SEALED_SIZE, CRC)))
            for each in sorted(server.chunks - set(server.corrupt))
            if each.group_id == group_id and each.sequence > after_sequence
        ]
        return HeldPage(tuple(held[:3]), is_last=len(held) <= 3)
