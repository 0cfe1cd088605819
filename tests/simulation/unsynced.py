"""What is promised of chunks that were acknowledged as replicated, and whether it is kept.

A copy is held from its acknowledgement on. It may go before it is synced with the power of its machine, or when its
disk fails, and for no other reason; while nothing breaks, it is durable soon. A chunk of which every copy went in that
way may be lost; then the status says so.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dstore.chunkserver.paths import chunk_path, parse_unsynced
from dstore.core.chunks import Durability, WriteHeader
from dstore.core.ids import ChunkId, GroupId
from dstore.core.status import ClusterStatus, Health
from simulation.dice import Dice
from simulation.disk import DiskFaults, MachineDisk
from simulation.nemesis import Nemesis
from simulation.node import Process
from simulation.world import World

if TYPE_CHECKING:
    from simulation.checkers import Checkers

#: How long a copy may be unsynced while nothing breaks: a second, and what waits at its end.
UNSYNCED_DURATION_MAX_S = 1.5
#: So often a fault is aimed at a copy that was just acknowledged.
AIMED_SHARE = 0.2
#: From every path to the root, by the ids of files that are not removed.
_PATH_OF = (
    "WITH RECURSIVE up(file_id, path) AS (SELECT ?, '' UNION ALL SELECT e.parent_id, "
    "'/' || CAST(e.name AS TEXT) || path FROM up JOIN live_entries e ON e.file_id = up.file_id) "
    "SELECT path FROM up ORDER BY length(path) DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy as it was acknowledged; ``failures`` counts those of its disk until then."""

    process: Process
    failures: int


class UnsyncedPromises:
    """Watches the copies that were acknowledged before they were synced.

    Attributes:
        acknowledged: copies that were.
        lost_count: chunks of which none was left, at the end.
        dice: for faults that are aimed at what is not synced; without, there are none.
        durable: called with (server, chunk) once such a copy is seen to be durable.
    """

    def __init__(self, world: World, nemesis: Nemesis, checkers: "Checkers") -> None:
        self.acknowledged = 0
        self.lost_count = 0
        self.dice: Dice | None = None
        self._world = world
        self._nemesis = nemesis
        self._checkers = checkers
        #: By chunk and server: None once it is surely durable.
        self._copies: dict[ChunkId, dict[str, _Copy | None]] = {}
        #: Chunks that some server held unsynced.
        self._weak: set[ChunkId] = set()
        self.durable: Callable[[str, ChunkId], None] = lambda *_: None
        for name, disk in world.disks.items():
            disk.at_power_loss = partial(self._note_power_loss, name)

    def acknowledge(self, server: str, header: WriteHeader, durability: Durability) -> None:
        """Take note of a server's word for its own copy."""
        chunk_id = header.chunk_id
        copies = self._copies.setdefault(chunk_id, {})
        if durability is Durability.SYNCED:
            copies[server] = None
            return
        self.acknowledged += 1
        self._weak.add(chunk_id)
        disk, process = self._world.disks[server], self._world.network.nodes[server].process
        assert process is not None
        if not self._is_held(disk, chunk_id):
            self._checkers.report(1, f"{server} acknowledged chunk {chunk_id} as replicated, and has nothing of it")
        copies[server] = _Copy(process, disk.failures)
        is_calm = disk.faults == DiskFaults()
        look = partial(self._look_again, server, chunk_id, process, self._nemesis.struck if is_calm else -1)
        self._world.loop.later(UNSYNCED_DURATION_MAX_S, look)
        if self.dice is not None and self.dice.happens(AIMED_SHARE):
            self._nemesis.strike_server(server, self.dice)

    def note_removed(self, server: str, path: str) -> None:
        """Judge that a file went from ``unsynced/``."""
        chunk_id = parse_unsynced(path.rpartition("/")[2])
        copy = self._copies.get(chunk_id, {}).get(server) if chunk_id is not None else None
        disk = self._world.disks[server]
        if chunk_id is None or copy is None or self._is_held(disk, chunk_id):
            return
        del self._copies[chunk_id][server]
        if disk.failures == copy.failures and f"trash/{chunk_id}" not in disk.names:
            self._checkers.report(1, f"{server} let go of chunk {chunk_id}, which it had acknowledged as replicated")

    def lost(self, absent: Collection[str]) -> set[ChunkId]:
        """Return the chunks in use of which no copy is left, and which may be lost."""
        present = [disk for name, disk in self._world.disks.items() if name not in absent]
        rows = self._world.metadata.look("SELECT group_id, sequence FROM chunks")
        chunk_ids = {ChunkId(GroupId(group_id), sequence) for group_id, sequence in rows} & self._weak
        return {
            chunk_id
            for chunk_id in chunk_ids
            if not any(self._is_held(disk, chunk_id) for disk in present) and not self._surviving(chunk_id, absent)
        }

    def check_status(self, status: ClusterStatus, lost: Collection[ChunkId]) -> None:
        """Invariant 1: what is lost is told."""
        self.lost_count = max(self.lost_count, len(lost))
        if lost and status.health is Health.OK:
            self._checkers.report(1, f"{sorted(lost)} are lost, and the status is {status.summary}")

    def paths_of(self, chunk_ids: Collection[ChunkId]) -> list[str]:
        """Return the paths of the files that are not removed and have these chunks."""
        paths = set()
        for chunk_id in chunk_ids:
            for (file_id,) in self._world.metadata.look(
                "SELECT c.file_id FROM chunks c JOIN live_entries e ON e.file_id = c.file_id "
                "WHERE c.group_id = ? AND c.sequence = ?",
                chunk_id.group_id,
                chunk_id.sequence,
            ):
                paths.add(str(self._world.metadata.look(_PATH_OF, file_id)[0][0]))
        return sorted(paths)

    def _surviving(self, chunk_id: ChunkId, absent: Collection[str]) -> list[str]:
        """Return the servers whose copies may not be lost."""
        path = chunk_path(chunk_id)
        return [
            name for name in self._copies[chunk_id] if name not in absent and (name, path) not in self._nemesis.damaged
        ]

    def _look_again(self, server: str, chunk_id: ChunkId, process: Process, struck: int) -> None:
        """While nothing breaks, a copy is durable soon."""
        node, disk = self._world.network.nodes[server], self._world.disks[server]
        if not isinstance(self._copies[chunk_id].get(server), _Copy):
            return
        if self._is_durable(disk, chunk_id):
            self._copies[chunk_id][server] = None
            self.durable(server, chunk_id)
        elif (
            node.process is process
            and node not in self._world.loop.paused
            and struck == self._nemesis.struck
            and process.internals["store"].catalog.has(chunk_id)
        ):
            self._checkers.report(1, f"{server} still has not synced chunk {chunk_id}, and nothing keeps it from that")

    def _note_power_loss(self, server: str) -> None:
        """The power goes: what is not synced may go with it."""
        disk = self._world.disks[server]
        for chunk_id, copies in self._copies.items():
            if isinstance(copies.get(server), _Copy):
                if self._is_durable(disk, chunk_id):
                    copies[server] = None
                else:
                    del copies[server]

    def _is_durable(self, disk: MachineDisk, chunk_id: ChunkId) -> bool:
        return self._checkers.problem_of_copy(disk, chunk_path(chunk_id), durable=True) is None

    def _is_held(self, disk: MachineDisk, chunk_id: ChunkId) -> bool:
        """Whether there is a whole file of a chunk, whatever would be left of it."""
        paths = [each for each in disk.names if each.startswith(f"unsynced/{chunk_id}.")]
        return any(
            self._checkers.problem_of_copy(disk, path, durable=False, name=str(chunk_id)) is None
            for path in (chunk_path(chunk_id), *paths)
        )
