"""The programs of the nodes: what ``process.py`` of master and chunkserver join together, without gRPC."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from dstore.chunkserver.chunkstore import ChunkStore
from dstore.chunkserver.heartbeat import Membership
from dstore.chunkserver.metrics import ChunkserverMetrics
from dstore.chunkserver.service import ChunkService
from dstore.core.files import Policy
from dstore.core.groups import ServerIdentity, ServerLabels
from dstore.core.ids import BootId
from dstore.core.status import ClusterStatus
from dstore.master.master import open_master
from dstore.master.upkeep import Upkeep
from simulation.disk import MachineDisk
from simulation.metadata import MetadataDisk
from simulation.network import Network
from simulation.node import Process

MASTER = "master"

Program = Callable[[Process], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where a chunkserver is: its name, and its address on the simulated network."""

    name: str
    address: str
    host: str


def master_program(disk: MetadataDisk, policy: Policy) -> Program:
    """Return what a master's node runs."""

    async def run(process: Process) -> None:
        node = process.node
        store = await disk.open(process, node.dice)
        master = await open_master(store, clock=node.clock, random=node.dice, policy=policy, version="simulation")
        upkeep = Upkeep(master, show=_look_away)
        await upkeep.step()
        process.services = {"namespace": master.namespace, "cluster": master.cluster, "admin": master.admin}
        await upkeep.run()

    return run


def _look_away(_: ClusterStatus) -> None:
    pass


def chunkserver_program(network: Network, disk: MachineDisk, place: ServerPlace) -> Program:
    """Return what a chunkserver's node runs."""

    async def run(process: Process) -> None:
        node = process.node
        store = await ChunkStore.open(disk.open(process), node.dice, name=place.name)
        service = ChunkService(store, network.peers(process), node.clock, ChunkserverMetrics())
        process.services = {"chunks": service}
        process.internals = {"store": store}
        membership = Membership(
            network.service(process, MASTER, "cluster"),
            store,
            node.dice,
            ServerIdentity(
                server_id=store.identity.server_id,
                cluster_id=store.identity.cluster_id,
                boot_id=BootId(node.dice.uuid()),
                name=place.name,
                address=place.address,
                http_address="",
                labels=ServerLabels(host=place.host),
                version="simulation",
            ),
            lambda: (service.write_streams, service.read_streams),
        )
        await membership.run()

    return run
