"""Records what real servers do to their disks during a workload, and what a power loss at any moment would leave.

At each moment of the record, the disk of a server is built as POSIX allows it to be after a power loss
(``crash_states.py``), and the server's own recovery is run on it. What was acknowledged by then must be there.
"""

import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chunk_files import check_chunk_file, chunk_files
from crash_states import NOTHING_KEPT, CrashModel, losses
from disk_record import DiskCall, read_record, recording_command
from injection import Injection
from replicated_files import is_synced, replicated_contents, take_losses, wait_synced
from server_processes import ClusterShape, ServerCluster, fast_directory
from workload import Model, Step, compare, run_steps, scripted_steps

import dstore
from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.disk import LocalDisk
from dstore.core.errors import DstoreError
from dstore.core.files import FileInfo, Policy
from dstore.core.ids import ChunkId
from dstore.core.interfaces import Namespace
from dstore.core.limits import LIST_PAGE_SIZE_MAX
from dstore.master.master import open_master
from dstore.master.process import DATABASE_NAME
from dstore.master.store.runner import InlineRunner
from dstore.master.store.sqlite import SqliteStore
from dstore.system.environment import SystemClock, SystemRandom

ROOT = "/recorded"
#: Turns every sync of a process into nothing; Debian's package libeatmydata1.
EAT_MY_DATA = "libeatmydata.so"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the clients were told by a moment.

    Attributes:
        names: everything in the namespace, as the master describes it.
        chunks: which server holds which chunk, as the master counts it.
        weak: the contents that were acknowledged as replicated, and not seen to be synced since.
        weak_chunks: those of ``chunks`` that they are made of.
    """

    time_s: float
    model: Model
    names: dict[str, FileInfo]
    chunks: frozenset[tuple[str, ChunkId]]
    weak: frozenset[bytes]
    weak_chunks: frozenset[tuple[str, ChunkId]]


@dataclass(slots=True)
class Recording:
    """The calls of every server, and the acknowledgements between them."""

    home: Path
    shape: ClusterShape
    calls: dict[str, list[DiskCall]] = field(default_factory=dict)
    acknowledgements: list[Acknowledgement] = field(default_factory=list)

    def moments(self, server: str) -> list[float]:
        """Return every moment at which the disk of a server changes its state: the begin and the end of each call."""
        return sorted({at_s for call in self.calls[server] for at_s in (call.begin_s, call.end_s)})

    def acknowledged_by(self, now_s: float) -> tuple[Acknowledgement | None, Acknowledgement | None]:
        """Return the last acknowledgement of a moment, and the next one, which may have taken effect already."""
        before = [each for each in self.acknowledgements if each.time_s <= now_s]
        after = [each for each in self.acknowledgements if each.time_s > now_s]
        return (before[-1] if before else None), (after[0] if after else None)

    def disks(self, server: str, moments: Sequence[float]) -> Iterator[tuple[float, CrashModel]]:
        """Yield the disk of a server as a power loss at each of the moments would meet it; it changes with the next."""
        model = CrashModel()
        calls = iter([*self.calls[server], None])
        call = next(calls)
        for now_s in moments:
            while call is not None and call.begin_s <= now_s:
                model.begin(call)
                call = next(calls)
            model.advance(now_s)
            yield now_s, model


class _Recorder:
    """Starts servers under strace, again and again; each run has a record of its own."""

    def __init__(self, cluster: ServerCluster, preload: str) -> None:
        self._cluster = cluster
        self._preload = preload
        self._records: dict[str, list[Path]] = {name: [] for name in cluster.servers}

    def start(self, name: str, failing: Injection | None = None) -> None:
        """Start a server; ``failing`` is a call of it that fails."""
        record = self._cluster.home / f"{name}-{len(self._records[name])}.strace"
        self._records[name].append(record)
        command = recording_command(record, preload=self._preload, failing=failing)
        self._cluster.servers[name].start(command, failing.launch if failing else ("-", "-"))

    async def keep_running(self, name: str) -> None:
        """Start a server again whenever it has ended by itself."""
        while True:
            if not self._cluster.servers[name].is_running:
                self.start(name)
            await asyncio.sleep(0.01)

    def read(self) -> dict[str, list[DiskCall]]:
        """Return what all runs of each server did."""
        return {
            name: [call for record in records for call in read_record(record, self._cluster.data / name)]
            for name, records in self._records.items()
        }


async def record_workload(home: Path, *, preload: str = "", failing: Injection | None = None) -> Recording:
    """Run the workload on a new cluster under strace; the servers are restarted in its middle, one way or the other.

    Args:
        preload: a library for all servers.
        failing: a call of the master that fails; a master that ends for it is started again.
    """
    # Without retention, so that files that are told to be lost are done with when they are removed.
    recording = Recording(home, ClusterShape(master_options=("--retention", "0s")))
    cluster = ServerCluster(home, recording.shape)
    recorder = _Recorder(cluster, preload)
    steps = scripted_steps(ROOT, recording.shape.chunk_size_bytes)
    model: Model = {}
    try:
        for part in (steps[: len(steps) // 2], steps[len(steps) // 2 :]):
            for name in cluster.servers:
                recorder.start(name, failing if name == "master" else None)
            for name, server in cluster.servers.items():
                if not await server.wait_ready() and failing is not None:
                    recorder.start(name)  # the call that fails was one of its start
                assert await server.wait_ready(), f"{name} did not start:\n{server.log_tail()}"
            keeping = asyncio.create_task(recorder.keep_running("master"))
            async with cluster.client() as client:
                await cluster.wait_well(client)
                await _perform(client, cluster, part, model, recording)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            failing = None
            for server in cluster.servers.values():
                # A server that stops in good order tidies up, which must not lose anything either.
                await (server.kill() if server.name == "cs-1" else server.stop())
    finally:
        await cluster.kill()
    recording.calls = recorder.read()
    return recording


async def _perform(
    client: dstore.AsyncClient, cluster: ServerCluster, steps: Sequence[Step], model: Model, recording: Recording
) -> None:
    async def recover(error: DstoreError) -> None:
        raise AssertionError(f"the master comes back within the client's patience, but a call failed: {error!r}")

    weak: frozenset[bytes] = frozenset()
    for step in steps:
        await run_steps(client, [step], model, watcher=client, recover=recover)
        weak |= replicated_contents([step])
        if is_synced(cluster):
            weak = frozenset()
        recording.acknowledgements.append(await _acknowledged(client, model, weak))
    await wait_synced(cluster, lambda: False)
    recording.acknowledgements.append(await _acknowledged(client, model, frozenset()))


async def _acknowledged(client: dstore.AsyncClient, model: Model, weak: frozenset[bytes]) -> Acknowledgement:
    at_s = time.time()
    names = {path: await client.stat(path) for path in model}
    chunks: set[tuple[str, ChunkId]] = set()
    weak_chunks: set[tuple[str, ChunkId]] = set()
    for path, content in model.items():
        if content:
            for chunk in (await client.describe(path)).chunks:
                holders = [each for each in chunk.group.members if each.server_id not in chunk.missing]
                chunks.update((holder.name, chunk.record.chunk_id) for holder in holders)
                if content in weak:
                    weak_chunks.update((holder.name, chunk.record.chunk_id) for holder in holders)
    return Acknowledgement(at_s, dict(model), names, frozenset(chunks), weak, frozenset(weak_chunks))


def check_record(recording: Recording, server: str) -> None:
    """Require that the record leads to the directory that is there; otherwise it misses something."""
    image = recording.home / "image"
    ((_, model),) = recording.disks(server, [recording.moments(server)[-1]])
    model.build(model.pending, image)
    built, real = _contents(image), _contents(recording.home / server)
    shutil.rmtree(image)
    wrong = [path for path in sorted({*built, *real}) if built.get(path) != real.get(path)]
    assert not wrong, f"the record of {server} is not what happened: {wrong}"


def _contents(directory: Path) -> dict[str, bytes]:
    # SQLite writes its index of the log through memory, and makes it anew after a crash.
    files = (path for path in directory.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


async def check_all_losses(recording: Recording, server: str, seed: int, *, every: int = 1) -> int:
    """Lose power at every moment of a server's record, in every way that is tried; return how many disks were built.

    Args:
        every: look at each so many-th moment only.
    """
    source = random.Random(seed)
    check_record(recording, server)
    count = 0
    image = recording.home / "image"
    for now_s, model in recording.disks(server, recording.moments(server)[::every]):
        for loss in losses(model.pending, source):
            model.build(loss.kept, image, torn=loss.torn)
            try:
                await _check_image(recording, server, image, now_s)
            except (AssertionError, DstoreError, OSError) as error:
                raise AssertionError(f"{server}, {_moment(recording, now_s)}, {loss.name}: {error}") from error
            finally:
                shutil.rmtree(image)
            count += 1
    return count


async def _check_image(recording: Recording, server: str, image: Path, now_s: float) -> None:
    before, after = recording.acknowledged_by(now_s)
    if server == "master":
        await _check_master(image, before.names if before else {}, after.names if after else None)
        return
    disk = LocalDisk(image, threads=1)
    try:
        store = await ChunkStore.open(disk, SystemRandom(), name=server)
    finally:
        disk.close()
    files = chunk_files(image)
    for chunk_id, path in files.items():
        check_chunk_file(chunk_id, path)
    if before is not None:
        expected = {chunk_id for name, chunk_id in before.chunks if name == server}
        weak = {chunk_id for name, chunk_id in before.weak_chunks if name == server}
        # What was acknowledged as replicated may be gone, if the server says so.
        lost = {
            each for each in expected - set(files) if each not in weak or each.group_id not in store.doubts.group_ids
        }
        assert not lost, f"acknowledged chunks are lost: {', '.join(map(str, sorted(lost)))}"


async def _check_master(image: Path, before: dict[str, FileInfo], after: dict[str, FileInfo] | None) -> None:
    store = await SqliteStore.open(str(image / DATABASE_NAME), runner=InlineRunner())
    try:
        policy = Policy("default", 3, 2, 16 * 1024, "server")
        master = await open_master(store, clock=SystemClock(), random=SystemRandom(), policy=policy, version="0")
        problems = await store.read(lambda tx: tx.execute("PRAGMA integrity_check"))
        assert problems == [("ok",)], f"SQLite finds its file damaged: {problems}"
        found = {info.path: info for info in [each async for each in _walk(master.namespace, "/")]}
    finally:
        await store.close()
    # The step that was not acknowledged yet may have taken effect, as a whole.
    wrong = {path for path in (*found, *before) if found.get(path) != before.get(path)}
    assert not wrong or found == after, f"differs from what was acknowledged: {sorted(wrong)}"


async def _walk(namespace: Namespace, path: str) -> AsyncIterator[FileInfo]:
    page = await namespace.list(path, page_size=LIST_PAGE_SIZE_MAX, page_token="")
    assert not page.next_page_token
    for info in page.entries:
        full = replace(info, path=f"{path.rstrip('/')}/{info.path.rsplit('/', 1)[-1]}")
        yield full
        if info.is_directory:
            async for below in _walk(namespace, full.path):
                yield below


async def check_cluster_after_loss(recording: Recording, acknowledgement: Acknowledgement) -> int:
    """Lose the power of all servers right after an acknowledgement, and all that was not synced; read everything.

    Returns how many files were told to be lost: of those that were acknowledged as replicated and not synced yet.
    """
    home = recording.home / "after-loss"
    for name in recording.shape.names:
        ((_, model),) = recording.disks(name, [acknowledgement.time_s])
        model.build(NOTHING_KEPT.kept, home / "data" / name)
    home.mkdir(exist_ok=True)
    shutil.copy(recording.home / "key", home / "key")
    cluster = ServerCluster(home, recording.shape, data=home / "data")
    try:
        await cluster.start_servers()
        async with cluster.client() as client:
            expected, lost = dict(acknowledgement.model), 0
            if acknowledgement.weak:
                await cluster.wait_joined()
                lost = await take_losses(cluster, client, expected, acknowledgement.weak)
            await cluster.wait_well(client)
            await compare(client, expected)
            return lost
    except (AssertionError, DstoreError) as error:
        raise AssertionError(f"{_moment(recording, acknowledgement.time_s)}: {error}\n{cluster.logs()}") from error
    finally:
        await cluster.kill()
        shutil.rmtree(home)


def chunks_on_no_disk(recording: Recording, acknowledgement: Acknowledgement) -> frozenset[ChunkId]:
    """Return the chunks of replicated files that a power loss right after an acknowledgement takes from every disk."""
    kept: set[ChunkId] = set()
    image = recording.home / "image"
    for name in sorted({name for name, _ in acknowledgement.weak_chunks}):
        ((_, model),) = recording.disks(name, [acknowledgement.time_s])
        model.build(NOTHING_KEPT.kept, image)
        kept |= chunk_files(image).keys()
        shutil.rmtree(image)
    return frozenset(chunk_id for _, chunk_id in acknowledgement.weak_chunks) - kept


def _moment(recording: Recording, now_s: float) -> str:
    count = sum(each.time_s <= now_s for each in recording.acknowledgements)
    return f"power lost after {count} acknowledged steps, at {now_s:.6f}"


#: One run for each: a plain one, ones in which a sync of the master fails, and one without any sync.
_FAILING = tuple(Injection("fdatasync", "pool", number, "EIO") for number in (3, 6, 9, 12, 15))


async def _main() -> int:
    """Lose power at every moment of a server of each kind, and of all together after every acknowledgement."""
    async with _recorded() as recording:
        await _try_all(recording, ["master", "cs-1"], every=1)
    for failing in _FAILING:
        async with _recorded(failing=failing) as recording:
            await _try_all(recording, ["master"], every=5, what=f", {failing}")
    async with _recorded(preload=EAT_MY_DATA) as recording:
        await _require_losses(recording)
    return 0


@contextlib.asynccontextmanager
async def _recorded(*, preload: str = "", failing: Injection | None = None) -> AsyncIterator[Recording]:
    home = Path(tempfile.mkdtemp(prefix="dstore-power-loss-", dir=fast_directory()))
    yield await record_workload(home, preload=preload, failing=failing)
    shutil.rmtree(home)


async def _try_all(recording: Recording, servers: Sequence[str], *, every: int, what: str = "") -> None:
    for server in servers:
        started = time.monotonic()
        moments = len(recording.moments(server)[::every])
        count = await check_all_losses(recording, server, seed=1, every=every)
        seconds = time.monotonic() - started
        print(f"{server}{what}: {moments} moments, {count} disks, nothing is lost; {seconds:.0f} s", flush=True)
    lost = 0
    for acknowledgement in recording.acknowledgements:
        lost += await check_cluster_after_loss(recording, acknowledgement)
    count = len(recording.acknowledgements)
    told = f"{lost} replicated files are lost and told, nothing else is"
    print(f"all servers{what}: after each of {count} steps, {told}", flush=True)


async def _require_losses(recording: Recording) -> None:
    for acknowledgement in recording.acknowledgements:
        try:
            await check_cluster_after_loss(recording, acknowledgement)
        except AssertionError as error:
            print(f"without syncs: lost, as it must be: {str(error).splitlines()[0]}", flush=True)
        else:
            raise AssertionError("servers that sync nothing lost nothing, so this test cannot fail")


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
