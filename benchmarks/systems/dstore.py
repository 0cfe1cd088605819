"""dstore: a master and three chunkservers, encrypted on the client, as its own options name the durability."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import dstore
from benchmarks.servers import open_servers
from benchmarks.systems.base import ClientProcess, Variant, open_client_process, wait_for_space
from benchmarks.workloads import MIB, Workload
from dstore.core.checking import CollectionState
from dstore.core.interfaces import Admin
from dstore.crypto.keyring import create_keyring
from dstore.rpc.channel import Connections
from dstore.system.environment import SystemRandom

CHUNKSERVERS = 3
#: What docs/performance.md recommends to programs that move large files.
ALLOCATOR_SETTINGS = {"MALLOC_ARENA_MAX": "1"}
#: What was removed goes at once, so that a run does not need the space of all runs; nothing of this is on the way of a
#: read or a write.
MASTER_OPTIONS = (
    *("--retention", "0s", "--trash-delay", "5s", "--collection-grace", "1s"),
    *("--scrub-period", "0s"),
)
SYNCED = "synced: fsync of file and directory on 3 replicas, commit synced"
REPLICATED = "replicated: in memory of 3 replicas, synced within a second"
_RECLAIM_PATIENCE_S = 30.0
_APPROVAL_INTERVAL_S = 0.5
#: What stays behind: databases, and files of the other workloads.
_REST_BYTES = 64 * MIB

_CHUNK_READS = frozenset({"read-large", "read-ranges", "read-ranges-together"})
_SMALL_READS = frozenset({"read-small", "get-many"})


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the installed client can do; benchmarks of older commits run with what they had."""

    has_batches: bool
    has_ranges: bool
    has_durability: bool
    has_local_reads: bool

    @classmethod
    def of_client(cls) -> "Abilities":
        """Look at the public face of the client."""
        get = inspect.signature(dstore.AsyncClient.get).parameters
        put = inspect.signature(dstore.AsyncClient.put).parameters
        connect = inspect.signature(dstore.connect_async).parameters
        return cls(
            has_batches=hasattr(dstore.AsyncClient, "put_many"),
            has_ranges="ranges" in get,
            has_durability="durability" in put or "durability" in connect,
            has_local_reads="local_reads" in connect,
        )

    def variants(self) -> dict[str, dict[str, str]]:
        """Return the options of the client for each variant by its name."""
        off = {"local_reads": "off"} if self.has_local_reads else {}
        found = {name: dict(off) for name in ("synced", "grpc", "grpc, get")}
        if self.has_durability:
            found["replicated"] = {**off, "durability": "replicated"}
        if self.has_local_reads:
            found |= {name: {"local_reads": "own"} for name in ("short-circuit", "short-circuit, get")}
        return found


class DstoreSession:
    """A running cluster with a client process."""

    name = "dstore"
    copies = CHUNKSERVERS

    def __init__(
        self, directory: Path, endpoint: str, client: ClientProcess, pids: Mapping[str, int], abilities: Abilities
    ) -> None:
        self.client = client
        self._directory = directory
        self._endpoint = endpoint
        self._pids = dict(pids)
        self._abilities = abilities

    def pids(self) -> Mapping[str, int]:
        """Return the pid of every server by its name."""
        return self._pids

    def variants(self, workload: Workload) -> tuple[Variant, ...]:
        """Return the ways in which it does the workload; none when this version cannot."""
        if workload.verb in {"put-many", "get-many"} and not self._abilities.has_batches:
            return ()
        if workload.verb == "read-ranges-together" and not self._abilities.has_ranges:
            return ()
        if workload.verb == "write-large":
            names = ["replicated", "synced"] if self._abilities.has_durability else ["synced"]
        elif workload.verb in _CHUNK_READS:
            names = ["short-circuit", "grpc"] if self._abilities.has_local_reads else ["grpc"]
            # A file that is opened for each range costs a call to the master more.
            names += ["grpc, get"] if workload.verb == "read-ranges" and self._abilities.has_ranges else []
            names += ["short-circuit, get"] if workload.verb == "read-large" and self._abilities.has_local_reads else []
        else:
            # Small files lie with their inode, so whatever is chosen for chunks, their commit is synced.
            names = ["grpc" if workload.verb in _SMALL_READS else "synced"]
        return tuple(Variant(name, REPLICATED if name == "replicated" else SYNCED) for name in names)

    async def reclaim(self) -> None:
        """Return when dropped files are gone from the disks.

        A cluster stops and asks before it deletes so large a share within an hour: here, that is a wish.
        """
        connections = Connections()
        try:
            approving = asyncio.create_task(_approve(connections.connection(self._endpoint).admin))
            await wait_for_space(self._directory, _REST_BYTES, _RECLAIM_PATIENCE_S)
            approving.cancel()
            await asyncio.wait([approving])
        finally:
            await connections.close()


async def _approve(admin: Admin) -> None:
    """Approve every collection that stops and asks."""
    while True:
        if (await admin.get_collection()).state is CollectionState.STOPPED:
            await admin.approve_collection()
        await asyncio.sleep(_APPROVAL_INTERVAL_S)


@asynccontextmanager
async def open_dstore(directory: Path) -> AsyncIterator[DstoreSession]:
    """Start a cluster below ``directory`` with its client, and end both with the block."""
    directory.mkdir()
    key_file = directory / "key"
    create_keyring(key_file, SystemRandom())
    abilities = Abilities.of_client()
    async with open_servers(directory, chunkservers=CHUNKSERVERS, master_options=MASTER_OPTIONS) as (master, servers):
        settings = {"endpoint": master.address, "key_file": str(key_file), "variants": abilities.variants()}
        environ = {
            "DSTORE_STATE_DIR": str(directory / "state"),
            "DSTORE_CONFIG_DIR": str(directory / "config"),
            **ALLOCATOR_SETTINGS,
        }
        async with open_client_process("dstore", settings, environ=environ) as client:
            pids = {server.name: server.pid for server in (master, *servers)}
            yield DstoreSession(directory, master.address, client, pids, abilities)
