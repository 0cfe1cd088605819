"""One check for each promise; the numbers are those of the invariants in docs/architecture.md."""

from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from functools import partial
from typing import Any

from dstore.chunkserver.chunkfile import check_blocks, decode_footer, decode_header
from dstore.chunkserver.paths import chunk_path
from dstore.core.chunks import Durability, WriteHeader, WriteResult
from dstore.core.errors import Corrupt
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.limits import CHUNK_FILE_HEADER_SIZE_BYTES
from dstore.core.status import ClusterStatus
from dstore.core.upkeep import Orders, Registration
from simulation import linearizability
from simulation.disk import MachineDisk
from simulation.history import History
from simulation.namespace_model import State
from simulation.nemesis import Nemesis
from simulation.unsynced import UnsyncedPromises
from simulation.workload import CANARY, FAMILIES
from simulation.world import World


class Deletion(Enum):
    """How to judge that chunks go."""

    #: By what the metadata says.
    CHECKED = "checked"
    #: The metadata was put back from an old copy: what was ordered before may still go, and nobody knows of it.
    UNCLEAR = "unclear"
    #: As before; and nothing may be ordered to go, since all servers know that the metadata is old.
    FORBIDDEN = "forbidden"


class Checkers:
    """Watches a world while it runs, and examines it at the end.

    Attributes:
        violations: what was broken, each a sentence that starts with the invariant.
        undecided: histories for which the search gave up.
        deletion: how to judge that chunks go.
        unsynced: judges what was acknowledged before it was synced.
    """

    def __init__(self, world: World, nemesis: Nemesis) -> None:
        self.violations: list[str] = []
        self.undecided = 0
        self.deletion = Deletion.CHECKED
        self.acknowledged = 0
        self._world = world
        self._nemesis = nemesis
        self._contents: dict[str, tuple[int, bytes]] = {}
        self._epochs: dict[tuple[str, str], int] = {}
        self._acknowledged: set[tuple[str, ChunkId]] = set()
        self.unsynced = UnsyncedPromises(world, nemesis, self)
        self.unsynced.durable = lambda name, chunk_id: self._acknowledged.add((name, chunk_id))
        world.network.at_answer = self._note_answer
        for name, disk in world.disks.items():
            disk.at_change = partial(self._note_change, name)

    def report(self, invariant: int, what: str) -> None:
        """Write down a violation, once."""
        sentence = f"Invariant {invariant}: {what}"
        if sentence not in self.violations:
            self.violations.append(sentence)
            self._world.trace.note(self._world.loop.time(), f"VIOLATION {sentence}")

    # --- While it runs ---------------------------------------------------------------------------------------

    def _note_answer(self, server: str, method: str, arguments: tuple[Any, ...], answer: Any) -> None:
        if method == "write_chunk":
            self._check_acknowledgement(server, arguments[0], answer)
        elif method in ("register", "heartbeat") and self.deletion is Deletion.FORBIDDEN:
            orders: Orders = answer.orders if isinstance(answer, Registration) else answer
            if orders.discards or orders.drops:
                self.report(9, f"with metadata that is old, {orders.discards} and {orders.drops} are ordered to go")

    def _check_acknowledgement(self, server: str, header: WriteHeader, result: WriteResult) -> None:
        """Invariant 1: what is acknowledged is on stable storage; 7: and was not done under an old epoch."""
        path = chunk_path(header.chunk_id)
        self.acknowledged += 1
        for ack in result.replicas:
            name = self._name_of(ack.server_id)
            if name is None:
                self.report(1, f"{server} acknowledged chunk {header.chunk_id} for the unknown server {ack.server_id}")
                continue
            if name == server:
                self.unsynced.acknowledge(name, header, ack.durability)
            if ack.durability is not Durability.SYNCED:
                continue
            self._acknowledged.add((name, header.chunk_id))
            problem = self.problem_of_copy(self._world.disks[name], path, durable=True)
            if problem is not None and (name, path) not in self._nemesis.damaged:
                self.report(1, f"{server} acknowledged chunk {header.chunk_id} on {name}, but {problem}")
        known = self._epochs.get((server, path), 0)
        if known > header.group_epoch:
            self.report(
                7, f"{server} took chunk {header.chunk_id} under epoch {header.group_epoch} when it knew {known}"
            )

    def _note_change(self, server: str, operation: str, path: str, other: str) -> None:
        if operation == "rename" and _is_chunk(other):
            self._note_chunk(server, other, was_told=path.startswith("unsynced/"))
        if _is_chunk(path):
            self._note_gone(server, path)
        elif operation == "remove" and path.startswith("unsynced/"):
            self.unsynced.note_removed(server, path)

    def _note_chunk(self, server: str, path: str, *, was_told: bool) -> None:
        """Invariant 6: a chunk is written once; whatever gets its name, anywhere, is the same.

        Args:
            was_told: it was acknowledged as replicated before it got its name, under the epoch of then.
        """
        disk = self._world.disks[server]
        raw = bytes(disk.names[path].content)
        problem = problem_of_file(raw, path)
        if problem is not None:
            self.report(10, f"{server} gave the name {path} to a file that is bad: {problem}")
            return
        header = decode_header(raw[:CHUNK_FILE_HEADER_SIZE_BYTES])
        footer = decode_footer(
            raw[:CHUNK_FILE_HEADER_SIZE_BYTES], header, raw[CHUNK_FILE_HEADER_SIZE_BYTES + header.length_bytes :]
        )
        content = (footer.crc32c, header.descriptor)
        if self._contents.setdefault(path, content) != content:
            self.report(6, f"{server} stored other bytes under {path} than were stored there before")
        store = self._store_of(server)
        if store is not None and not was_told:
            self._epochs[server, path] = store.epochs.get(header.chunk_id.group_id)

    def _note_gone(self, server: str, path: str) -> None:
        """Invariants 8 and 9: nothing goes that anybody refers to, or that was not deleted."""
        chunk_id = ChunkId.parse(path.rsplit("/", 1)[1])
        if (server, chunk_id) not in self._acknowledged or self.deletion is not Deletion.CHECKED:
            return
        key = (chunk_id.group_id, chunk_id.sequence)
        deleted = self._look(
            "SELECT d.deleted_running_s, c.value FROM deleted_chunks d, counters c "
            "WHERE d.group_id = ? AND d.sequence = ? AND c.name = 'running_s'",
            *key,
        )
        is_member = self._counts_as_member(server, chunk_id)
        if is_member and deleted and deleted[0][1] - deleted[0][0] < self._world.pace.grace_s:
            self.report(9, f"{server} let go of chunk {chunk_id} within the grace of its deletion")
        committed = self._look("SELECT 1 FROM chunks WHERE group_id = ? AND sequence = ?", *key)
        written = self._look("SELECT 1 FROM intent_chunks WHERE group_id = ? AND sequence = ?", *key)
        if is_member and (committed or written):
            self.report(8, f"{server} let go of chunk {chunk_id}, which is in use")

    def _counts_as_member(self, server: str, chunk_id: ChunkId) -> bool:
        """Whether somebody may go by what a server holds of a group.

        Nobody does before a member that is to be filled has heard of it; until then it may drop what it had as a
        former holder.
        """
        rows = self._look(
            "SELECT m.server_id, m.state, g.epoch FROM group_members m JOIN groups g ON g.group_id = m.group_id "
            "WHERE m.group_id = ?",
            chunk_id.group_id,
        )
        store = self._store_of(server)
        heard = 0 if store is None else store.epochs.get(chunk_id.group_id)
        return any(
            self._name_of(each) == server and (state != "filling" or heard >= epoch) for each, state, epoch in rows
        )

    # --- At the end ------------------------------------------------------------------------------------------

    def check_histories(self, history: History) -> None:
        """Invariants 1 to 4: the answers fit one order of the operations."""
        for family in FAMILIES:
            operations = [each for each in history.operations if (each.path + "/").startswith(family + "/")]
            verdict = linearizability.check(operations, State({}))
            if verdict.holds is None:
                self.undecided += 1
            elif not verdict.holds:
                placed = set(map(id, verdict.placed))
                lines = "\n".join(
                    f"    {'+' if id(each) in placed else '-'} {each}"
                    for each in operations
                    if each.certainty.value != "nothing"
                )
                self.report(
                    3,
                    f"no order of the operations in {family} explains the answers; stuck at {verdict.stuck}:\n{lines}",
                )

    def untidy(self, status: ClusterStatus, absent: Collection[str], *, keeps_unknown: bool = False) -> list[str]:
        """Invariant 13: return what is not yet as it must be once nothing breaks any more.

        Servers that are absent keep nothing, and what is on their disks does not count. Where metadata was put back,
        chunks that it does not know are kept.
        """
        found = [
            f"{check.code}: {check.message}"
            for check in status.checks
            if not any(name in check.message for name in absent)
            # A damaged chunk that no record names stays as well.
            and not (keeps_unknown and check.code in ("UNKNOWN_CHUNKS", "CHUNKS_CORRUPT"))
        ]
        for what, count in (
            ("chunks are under-replicated", status.under_replicated_chunks),
            ("chunks are unavailable", status.unavailable_chunks),
            ("deleted chunks are not collected", status.deleted_chunks),
            ("writes are in progress", status.writes_in_progress),
        ):
            if count:
                found.append(f"{count} {what}")
        members = self._members()
        wanted = {
            chunk_path(ChunkId(GroupId(group_id), sequence)): members.get(group_id, {})
            for group_id, sequence in self._look("SELECT group_id, sequence FROM chunks")
        }
        for path, states in wanted.items():
            found += self._untidy_copies(path, states, absent)
        for name, disk in self._world.disks.items():
            found += [
                f"{path} is left on {name}"
                for path in sorted(disk.names)
                if name not in absent
                and (
                    path.startswith(("tmp/", "trash/", "unsynced/", "doubts/"))
                    or (_is_chunk(path) and not keeps_unknown and name not in wanted.get(path, {}))
                )
            ]
        return found

    def _untidy_copies(self, path: str, states: Mapping[str, str], absent: Collection[str]) -> list[str]:
        found = []
        if sorted(states.values()) != ["whole"] * self._world.policy.replicas or states.keys() & set(absent):
            found.append(f"{path} is in a group of {dict(states)}")
        for name in states:
            if name not in absent:
                problem = self.problem_of_copy(self._world.disks[name], path, durable=True)
                if problem is not None:
                    found.append(f"{path} on {name}: {problem}")
        return found

    def removed(self) -> frozenset[str]:
        """Return the nodes that the master knows no more: operators removed them."""
        known = {row[0] for row in self._look("SELECT server_id FROM servers")}
        return frozenset(name for name, disk in self._world.disks.items() if disk.identity() not in known)

    def _members(self) -> dict[int, dict[str, str]]:
        """Return the members of every group, and their states, by the names of their nodes."""
        members: dict[int, dict[str, str]] = {}
        for group_id, server_id, state in self._look("SELECT group_id, server_id, state FROM group_members"):
            members.setdefault(group_id, {})[self._name_of(server_id) or server_id] = state
        return members

    def check_secrecy(self) -> None:
        """Invariant 11: no plaintext, and no key, on any disk."""
        for where, raw in self._everything_stored():
            if CANARY in raw:
                self.report(11, f"plaintext is in {where}")
            if self._world.kek in raw:
                self.report(11, f"a key is in {where}")

    def _everything_stored(self) -> Iterator[tuple[str, bytes]]:
        for name, disk in self._world.disks.items():
            for path, inode in disk.names.items():
                yield f"{path} on {name}", bytes(inode.content)
        yield from self._world.metadata.everything()

    # --- Looking ---------------------------------------------------------------------------------------------

    def _look(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._world.metadata.look(sql, *values)

    def _name_of(self, server_id: ServerId) -> str | None:
        for name, disk in self._world.disks.items():
            if disk.identity() == server_id:
                return name
        return None

    def _store_of(self, server: str) -> Any:
        process = self._world.network.nodes[server].process
        return None if process is None else process.internals.get("store")

    def problem_of_copy(self, disk: MachineDisk, path: str, *, durable: bool, name: str | None = None) -> str | None:
        """Return what is wrong with a copy; None when it is good. Its ``name`` is the last part of the path."""
        if durable:
            raw = disk.durable_content(path)
        else:
            inode = disk.names.get(path)
            raw = None if inode is None else bytes(inode.content)
        if raw is None:
            return "its name is not durable there" if durable else "it is not there"
        return problem_of_file(raw, path if name is None else f"/{name}")


def problem_of_file(raw: bytes, path: str) -> str | None:
    """Return what is wrong with a chunk file; None when it is good."""
    page = raw[:CHUNK_FILE_HEADER_SIZE_BYTES]
    try:
        header = decode_header(page)
        end = CHUNK_FILE_HEADER_SIZE_BYTES + header.length_bytes
        check_blocks(decode_footer(page, header, raw[end:]), 0, raw[CHUNK_FILE_HEADER_SIZE_BYTES:end])
    except Corrupt as error:
        return str(error)
    return None if path.endswith(f"/{header.chunk_id}") else f"it is that of {header.chunk_id}"


def _is_chunk(path: str) -> bool:
    return path.startswith("groups/") and path.count("/") == 3
