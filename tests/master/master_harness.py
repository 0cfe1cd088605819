"""A whole master in this process, on a clock that tests move."""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dstore.core.errors import DstoreError
from dstore.core.files import (
    ANY,
    ChunkPlacement,
    ChunkRecord,
    Commit,
    FileInfo,
    Policy,
    Precondition,
    Rename,
    SmallFile,
    WrappedKey,
    WriteIntent,
    WrittenChunk,
)
from dstore.core.groups import Capacity, ServerIdentity, ServerLabels
from dstore.core.ids import ROOT_ID, BootId, ClusterId, FileId, GroupId, IntentId, RequestId, ServerId, Version
from dstore.core.interfaces import Peers
from dstore.core.removed import RemovedFile, Restore
from dstore.core.status import ClusterStatus
from dstore.core.upkeep import GroupSummary, Heartbeat, Orders
from dstore.master import retention
from dstore.master.config import UpkeepConfig
from dstore.master.master import Master, open_master
from dstore.master.service import NamespaceService
from dstore.master.store.base import Transaction
from dstore.master.store.runner import InlineRunner, Runner
from dstore.master.store.schema import LIVE
from dstore.master.store.sqlite import SqliteStore
from dstore.master.upkeep import Upkeep

CHUNK_SIZE = 16384
#: A whole chunk: its header, one full segment, and an empty one.
SEALED_SIZE = 56 + (CHUNK_SIZE + 16) + 16
HEADER = bytes(range(56))
POLICY = Policy("default", 3, 2, CHUNK_SIZE, "server")
KEYS = (WrappedKey(1, b"8 bytes.", b"wrapped"),)
#: Files that do not live any more, each once.
RETAINED_FILES = (
    "(SELECT DISTINCT file_id, size_bytes FROM inodes WHERE kind = 'file' "
    "AND file_id NOT IN (SELECT file_id FROM live_inodes)) AS retained"
)


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000 + int(self.now_s * 1e9)


class SeededRandom:
    """The same values in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def token_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self._random.randbytes(16), version=4))

    def uniform(self) -> float:
        return self._random.random()


def server_id(number: int) -> ServerId:
    return ServerId(f"00000000-0000-4000-8000-{number:012x}")


def boot_id(number: int) -> BootId:
    return BootId(f"11111111-0000-4000-8000-{number:012x}")


def identity(number: int, **changes: object) -> ServerIdentity:
    values: dict[str, object] = {
        "server_id": server_id(number),
        "cluster_id": None,
        "boot_id": boot_id(number),
        "name": f"cs-{number}",
        "address": f"127.0.0.1:{7700 + number}",
        "http_address": "",
        "labels": ServerLabels(f"host-{number}"),
        "version": "0.1.0",
    }
    return ServerIdentity(**(values | changes))  # type: ignore[arg-type]


class MasterHarness:
    """Opens a master on a directory, and can open it again."""

    def __init__(self, directory: Path, policy: Policy = POLICY, runner: type[Runner] = InlineRunner) -> None:
        self.clock = FakeClock()
        self.random = SeededRandom()
        self.policy = policy
        self.config = UpkeepConfig()
        self._path = str(directory / "metadata.db")
        self._runner = runner
        self._requests = 0
        self._down: set[int] = set()
        self._joined: dict[int, Capacity] = {}
        self._boots: dict[int, BootId] = {}
        self._incarnations: dict[int, int] = {}
        self.shown: list[ClusterStatus] = []
        self.peers: Peers | None = None
        self.store: SqliteStore
        self.master: Master
        self.upkeep: Upkeep

    async def open(self) -> None:
        self.store = await SqliteStore.open(self._path, runner=self._runner())
        self.master = await open_master(
            self.store,
            clock=self.clock,
            random=self.random,
            policy=self.policy,
            version="0.1.0",
            upkeep=self.config,
            peers=self.peers,
        )
        self.upkeep = Upkeep(self.master, show=self.shown.append)

    async def restart(self) -> None:
        """As after a kill: nothing in memory survives."""
        await self.store.close()
        await self.open()

    @property
    def namespace(self) -> NamespaceService:
        return self.master.namespace

    def request_id(self) -> RequestId:
        self._requests += 1
        return RequestId(f"request-{self._requests}")

    async def join(self, *numbers: int, capacity: Capacity | None = None, **changes: object) -> None:
        for number in numbers:
            presented = identity(number, **changes)
            registration = await self.master.cluster.register(presented)
            self._boots[number] = presented.boot_id
            self._incarnations[number] = registration.incarnation
            self._joined[number] = capacity or Capacity(1_000_000, 100_000)
            self._down.discard(number)
            await self.beat(number)

    async def beat(
        self, *numbers: int, corrupt: int = 0, held: Mapping[GroupId, int] | None = None, **changes: object
    ) -> None:
        """Send heartbeats of these servers; of all that are not stopped when none is named.

        ``held`` is the number of chunks of each group; by default they hold all that was ever placed.
        """
        if held is None:
            rows = await self.rows("SELECT value FROM counters WHERE name = 'chunk_sequence'")
            held = dict.fromkeys(self.master.shared.allocator.groups.by_id, int(str(rows[0][0])))
        for number in numbers or sorted(set(self._joined) - self._down):
            await self.send(self.report(number, held, corrupt_chunk_count=corrupt, **changes))

    def report(self, number: int, held: Mapping[GroupId, int], **changes: object) -> Heartbeat:
        """Return a heartbeat of a server that holds so many chunks of each of its groups."""
        groups = self.master.shared.allocator.groups
        summaries = tuple(
            GroupSummary(group_id, groups.by_id[group_id].epoch, held.get(group_id, 0), 0, b"")
            for group_id in groups.of_server(server_id(number))
        )
        heartbeat = Heartbeat(
            server_id(number),
            self._boots.get(number, boot_id(number)),
            self._joined[number],
            sum(summary.chunk_count for summary in summaries),
            incarnation=self._incarnations[number],
            groups=summaries,
        )
        return replace(heartbeat, **changes)  # type: ignore[arg-type]

    async def send(self, heartbeat: Heartbeat) -> Orders:
        return await self.master.cluster.heartbeat(heartbeat)

    async def committed(self) -> dict[GroupId, int]:
        """Return how many committed chunks each group has."""
        rows = await self.rows("SELECT group_id, chunk_count FROM groups")
        return {GroupId(int(str(group_id))): int(str(count)) for group_id, count in rows}

    async def stop(self, *numbers: int) -> None:
        """Let these servers die, and wait until the master has noticed."""
        self._down.update(numbers)
        await self.advance(7.0)

    async def advance(self, duration_s: float) -> None:
        """Move the clock; the servers that live go on beating."""
        self.clock.now_s += duration_s
        await self.beat()

    async def begin(self, path: str, *, chunk_count: int = 0, precondition: Precondition = ANY) -> WriteIntent:
        return await self.namespace.begin_write(
            path, precondition=precondition, chunk_count=chunk_count, request_id=self.request_id()
        )

    async def commit(
        self,
        intent: WriteIntent,
        chunks: Sequence[WrittenChunk] = (),
        *,
        version: Version | None = None,
        size_bytes: int | None = None,
        chunk_count: int | None = None,
        sealed_manifest: bytes = b"sealed",
        request_id: RequestId | None = None,
    ) -> FileInfo:
        count = len(chunks) if chunk_count is None else chunk_count
        commit = Commit(
            intent_id=intent.intent_id,
            version=intent.version if version is None else version,
            size_bytes=count * CHUNK_SIZE if size_bytes is None else size_bytes,
            chunk_count=count,
            chunks=tuple(chunks),
            sealed_manifest=sealed_manifest,
            wrapped_keys=KEYS,
        )
        return await self.namespace.commit_write(commit, request_id=request_id or self.request_id())

    async def write(
        self,
        path: str,
        *,
        chunk_count: int = 0,
        without: Sequence[ServerId] = (),
        precondition: Precondition = ANY,
    ) -> FileInfo:
        """Write a whole file; ``without`` are servers that fail to acknowledge."""
        intent = await self.begin(path, chunk_count=chunk_count, precondition=precondition)
        return await self.commit(intent, [written(p, i, without) for i, p in enumerate(intent.placements)])

    async def seal(self, *paths: str, parent_id: FileId = ROOT_ID, size_bytes: int = 3) -> list[SmallFile]:
        """Return small files with identities and versions of their own, as they would be sent."""
        reserved = await self.namespace.reserve_files(len(paths))
        return [
            SmallFile(
                path=path,
                precondition=ANY,
                parent_id=parent_id,
                file_id=FileId(reserved.first_file_id + offset),
                version=Version(reserved.first_version + offset),
                size_bytes=size_bytes,
                sealed_manifest=b"sealed with its content" + bytes(size_bytes),
                wrapped_keys=KEYS,
            )
            for offset, path in enumerate(paths)
        ]

    async def put(self, *files: SmallFile) -> tuple[FileInfo | DstoreError, ...]:
        """Send small files in one call."""
        return await self.namespace.put_files(tuple((file, self.request_id()) for file in files))

    @staticmethod
    def written(placement: ChunkPlacement, index: int, replicas: tuple[ServerId, ...]) -> WrittenChunk:
        """Return the record of a chunk that these servers acknowledged."""
        return replace(written(placement, index), replicas=replicas)

    async def rename(self, source: str, target: str) -> FileInfo:
        ticket = await self.namespace.prepare_rename(source, target)
        sealed = b"" if ticket.source.is_directory else b"sealed again"
        return await self.namespace.rename(
            Rename(source, target, ticket.source.version, ticket.version, sealed), request_id=self.request_id()
        )

    async def restore(self, path: str, target: str = "", *, version: int = 0) -> FileInfo:
        """Restore one file or directory, without what was in it."""
        ticket = await self.namespace.prepare_restore(path, version=Version(version), target=target)
        source = ticket.move.source
        sealed = b"" if source.is_directory else b"sealed again"
        return await self.namespace.restore(
            Restore(path, target or path, source.version, ticket.move.version, sealed), request_id=self.request_id()
        )

    async def removed(self, path: str = "/", *, recursive: bool = True, page_size: int = 0) -> list[RemovedFile]:
        """List what can be restored, all pages."""
        entries: list[RemovedFile] = []
        token = ""
        while True:
            page = await self.namespace.list_removed(path, recursive=recursive, page_size=page_size, page_token=token)
            entries += page.entries
            token = page.next_page_token
            if not token:
                return entries

    async def make_directory(self, path: str) -> FileInfo:
        return await self.namespace.make_directory(path, parents=True, exist_ok=True, request_id=self.request_id())

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        await self.namespace.remove(path, recursive=recursive, request_id=self.request_id())

    async def collect_all(self) -> None:
        """Collect everything that ended, as if its retention were over."""
        while not (await self.collect(retention_s=0)).is_done:
            pass

    async def collect(self, limit: int = 1_000, *, retention_s: int | None = None) -> retention.CollectedVersions:
        """Do one round of collection."""

        def run(tx: Transaction) -> retention.CollectedVersions:
            horizon = retention.horizon(tx, self.policy.retention_s if retention_s is None else retention_s)
            return retention.collect(tx, horizon, limit, now_ns=self.clock.wall_ns())

        return await self.store.write(run)

    async def names(self, path: str) -> list[str]:
        page = await self.namespace.list(path, page_size=0, page_token="")
        assert page.next_page_token == ""
        return [entry.name for entry in page.entries]

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return await self.store.read(lambda tx: tx.execute(sql))

    async def check_counters(self) -> None:
        """Compare every counter with the rows that it counts."""

        async def number(sql: str) -> object:
            return (await self.rows(sql))[0][0]

        for name, sql in {
            "files": "SELECT COUNT(*) FROM live_inodes WHERE kind = 'file'",
            "directories": "SELECT COUNT(*) FROM live_inodes WHERE kind = 'directory'",
            "logical_bytes": "SELECT COALESCE(SUM(size_bytes), 0) FROM live_inodes",
            "retained_files": f"SELECT COUNT(*) FROM {RETAINED_FILES}",
            "retained_bytes": f"SELECT COALESCE(SUM(size_bytes), 0) FROM {RETAINED_FILES}",
            "deleted_chunks": "SELECT COUNT(*) FROM deleted_chunks",
        }.items():
            counted = await number(f"SELECT value FROM counters WHERE name = '{name}'")
            assert counted == await number(sql), name
        assert await self.rows(
            "SELECT group_id, chunk_count, chunk_bytes, missing_chunk_count, missing_bytes FROM groups"
        ) == await self.rows(
            "SELECT g.group_id, (SELECT COUNT(*) FROM chunks c WHERE c.group_id = g.group_id), "
            "(SELECT COALESCE(SUM(length_bytes), 0) FROM chunks c WHERE c.group_id = g.group_id), "
            "(SELECT COUNT(DISTINCT sequence) FROM missing_replicas m WHERE m.group_id = g.group_id), "
            "(SELECT COALESCE(SUM(length_bytes), 0) FROM missing_replicas m WHERE m.group_id = g.group_id) "
            "FROM groups g"
        )
        assert await self.rows("SELECT server_id, missing_chunk_count FROM servers") == await self.rows(
            "SELECT s.server_id, (SELECT COUNT(*) FROM missing_replicas m WHERE m.server_id = s.server_id) "
            "FROM servers s"
        )
        assert await number("SELECT COUNT(*) FROM live_inodes") == 1 + int(
            str(await number("SELECT COUNT(*) FROM live_entries"))
        )
        # Every chunk belongs to a file that lives or is retained, and every row has the time that it was true.
        assert await number("SELECT COUNT(*) FROM chunks WHERE file_id NOT IN (SELECT file_id FROM inodes)") == 0
        for table in ("inodes", "entries"):
            assert await number(f"SELECT COUNT(*) FROM {table} WHERE from_txn >= to_txn") == 0
        assert await number(f"SELECT COUNT(*) FROM entries WHERE (to_txn = {LIVE}) <> (ended_by = '')") == 0


def written(placement: ChunkPlacement, index: int, without: Sequence[ServerId] = ()) -> WrittenChunk:
    record = ChunkRecord(index, placement.chunk_id, SEALED_SIZE, 0xDEADBEEF, HEADER)
    return WrittenChunk(record, tuple(each for each in placement.chain if each not in without))


def told(entries: list[RemovedFile]) -> list[tuple[str, str, str]]:
    return [(entry.path, entry.kind.value, entry.reason.value) for entry in entries]


async def refused(call: object) -> DstoreError:
    with pytest.raises(DstoreError) as caught:
        await call  # type: ignore[misc]
    return caught.value


UNKNOWN_INTENT = IntentId("22222222-0000-4000-8000-000000000000")
OTHER_CLUSTER = ClusterId("33333333-0000-4000-8000-000000000000")
