"""Joining a cluster and staying in it, while the master comes and goes."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from small_cluster import CLUSTER, FaultyDisk, Network, SeededRandom, StoppedClock, start_server

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.memory import MemoryDisk
from dstore.chunkserver.server import Chunkserver
from dstore.core.backoff import Backoff
from dstore.core.errors import AlreadyExists, DstoreError, InvalidRequest, NotFound, NotReady, Unavailable
from dstore.core.groups import MemberState, ServerIdentity, ServerLabels
from dstore.core.ids import BootId, ClusterId, GroupId, ServerId
from dstore.core.upkeep import Assignment, Heartbeat, Orders, Registration, Standing, UpkeepSettings

IDENTITY = ServerIdentity(
    server_id=ServerId(""),
    cluster_id=None,
    boot_id=BootId("b0b0b0b0-0000-4000-8000-000000000000"),
    name="cs-1",
    address="127.0.0.1:7171",
    http_address="",
    labels=ServerLabels("host-1"),
    version="0",
)
AWAY = Unavailable("The master is away.")
GROUP = GroupId(42)
HISTORY = "d0d0d0d0-0000-4000-8000-000000000000"
SETTINGS = UpkeepSettings(0, scrub_is_paused=False, copy_bytes_per_s=0, trash_delay_s=3600)


@dataclass
class ScriptedMaster:
    """A ``Cluster`` that answers as the script says; when the script is over, it sets ``done`` and waits."""

    script: list[DstoreError | int]
    cluster_id: ClusterId = CLUSTER
    calls: list[ServerIdentity | Heartbeat] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def register(self, identity: ServerIdentity) -> Registration:
        return Registration(self.cluster_id, 0.001, 1, await self._answer(identity))

    async def heartbeat(self, heartbeat: Heartbeat) -> Orders:
        return await self._answer(heartbeat)

    async def _answer(self, call: ServerIdentity | Heartbeat) -> Orders:
        if not self.script:
            self.done.set()
            await asyncio.Event().wait()
        self.calls.append(call)
        answer = self.script.pop(0)
        if isinstance(answer, DstoreError):
            raise answer
        assignment = Assignment(GROUP, answer, MemberState.WHOLE, 3, ())
        return Orders(Standing(1, HISTORY, 1), 0, (assignment,), bytes([answer]), (), (), (), SETTINGS)


async def run_script(master: ScriptedMaster, memory: MemoryDisk) -> Chunkserver:
    """Run a server on a disk until the script is over, and a little longer, so that it obeys the last orders."""
    server = await Chunkserver.open(memory, StoppedClock(), SeededRandom(), Network(), name="cs-1")
    server.chunks.write_streams, server.chunks.read_streams = 2, 3
    task = asyncio.create_task(server.run(master, IDENTITY, backoff=Backoff(0.001, 0.002)))
    done = asyncio.create_task(master.done.wait())
    await asyncio.wait((task, done), return_when=asyncio.FIRST_COMPLETED)
    for _ in range(100):
        await asyncio.sleep(0)
    done.cancel()
    if task.done():
        task.result()
    task.cancel()
    await asyncio.wait([task])
    return server


async def joined_disk() -> MemoryDisk:
    return (await start_server()).memory


def kinds(master: ScriptedMaster) -> str:
    return "".join("R" if isinstance(call, ServerIdentity) else "h" for call in master.calls)


async def test_a_fresh_disk_joins_and_remembers_its_cluster() -> None:
    memory = MemoryDisk()
    master = ScriptedMaster([3, 4, 2])
    server = await run_script(master, memory)
    assert kinds(master) == "Rhh"
    assert server.registered
    assert server.last_failure is None
    memory.crash()
    again = await ChunkStore.open(memory, SeededRandom(7), name="cs-1")
    assert again.identity.cluster_id == CLUSTER
    assert again.epochs.get(GROUP) == 4, "epochs only go up"
    registration, heartbeat = master.calls[0], master.calls[1]
    assert isinstance(registration, ServerIdentity)
    assert isinstance(heartbeat, Heartbeat)
    assert registration.server_id == again.identity.server_id == heartbeat.server_id
    assert registration.cluster_id is None
    assert (heartbeat.write_streams, heartbeat.read_streams, heartbeat.chunk_count) == (2, 3, 0)
    assert heartbeat.incarnation == 1
    assert heartbeat.standing == Standing(1, HISTORY, 1)


async def test_a_master_that_is_away_is_waited_for() -> None:
    master = ScriptedMaster([AWAY, AWAY, NotReady("Starting.", reason="NOT_READY"), 1, AWAY, AWAY, 2])
    server = await run_script(master, await joined_disk())
    assert kinds(master) == "RRRRhhh"
    assert server.registered
    assert server.store.epochs.get(GROUP) == 2


async def test_an_earlier_process_may_still_count_as_running() -> None:
    running = AlreadyExists("Another process.", reason="SERVER_ALREADY_RUNNING")
    assert (await run_script(ScriptedMaster([running, running, 1]), await joined_disk())).registered


async def test_a_master_that_forgot_the_server_is_joined_again() -> None:
    master = ScriptedMaster([1, 1, NotFound("Who?", reason="SERVER_UNKNOWN"), AWAY, 5, 6])
    await run_script(master, await joined_disk())
    assert kinds(master) == "RhhRRh"
    registration = master.calls[3]
    assert isinstance(registration, ServerIdentity)
    assert registration.cluster_id == CLUSTER


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([NotReady("Other.", reason="WRONG_CLUSTER")], "WRONG_CLUSTER"),
        ([AWAY, AlreadyExists("Taken.", reason="SERVER_NAME_TAKEN")], "SERVER_NAME_TAKEN"),
        ([InvalidRequest("Bad.", reason="SERVER_IDENTITY_INVALID")], "SERVER_IDENTITY_INVALID"),
        ([1, AWAY, NotReady("Replaced.", reason="SERVER_REPLACED")], "SERVER_REPLACED"),
        (
            [1, NotFound("Who?", reason="SERVER_UNKNOWN"), NotReady("Removed.", reason="SERVER_REMOVED")],
            "SERVER_REMOVED",
        ),
    ],
)
async def test_a_final_refusal_ends_the_process(script: list[DstoreError | int], reason: str) -> None:
    with pytest.raises(DstoreError) as caught:
        await run_script(ScriptedMaster(script), await joined_disk())
    assert caught.value.reason == reason


async def test_a_master_of_another_cluster_is_refused() -> None:
    memory = await joined_disk()
    other = ClusterId("00000000-0000-4000-8000-000000000000")
    with pytest.raises(NotReady) as caught:
        await run_script(ScriptedMaster([9], cluster_id=other), memory)
    assert caught.value.reason == "WRONG_CLUSTER"
    store = await ChunkStore.open(memory, SeededRandom(7), name="cs-1")
    assert store.epochs.get(GROUP) == 0, "nothing that it said is obeyed"
    assert store.identity.cluster_id == CLUSTER


async def test_a_suspect_disk_reports_itself_full() -> None:
    memory = MemoryDisk()
    disk = FaultyDisk(memory)
    server = await Chunkserver.open(disk, StoppedClock(), SeededRandom(), Network(), name="cs-1")
    server.store.fail(OSError(5, "injected"), "testing")
    master = ScriptedMaster([1, 1])
    task = asyncio.create_task(server.run(master, IDENTITY))
    await master.done.wait()
    task.cancel()
    await asyncio.wait([task])
    heartbeat = master.calls[1]
    assert isinstance(heartbeat, Heartbeat)
    assert heartbeat.capacity.free_bytes == 0
    assert heartbeat.capacity == replace(await server.store.capacity(), used_bytes=1024 * 1024 * 1024)
    assert heartbeat.suspicion == "testing: injected"
