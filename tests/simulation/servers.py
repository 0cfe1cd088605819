"""The programs of the nodes: what ``process.py`` of master and chunkserver join together, without gRPC."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from dstore.chunkserver.server import Chunkserver
from dstore.core.files import Policy
from dstore.core.groups import ServerLabels
from dstore.core.limits import AUDIT_PERIOD_DEFAULT_S
from dstore.core.status import ClusterStatus
from dstore.master.config import UpkeepConfig
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


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a cluster waits before it acts: short, so that everything happens in a simulated minute or two.

    As in a real cluster, the trash keeps chunks longer than a server can be away without being out. Without a period
    the audit looks at what is in doubt, and comes to nothing else.
    """

    retention_s: int = 10
    out_after_s: float = 20.0
    scrub_period_s: float = 40.0
    copy_bytes_per_s: int = 0
    trash_delay_s: float = 45.0
    grace_s: int = 10
    drop_grace_s: float = 10.0
    audit_period_s: float | None = None


def master_program(network: Network, disk: MetadataDisk, policy: Policy, pace: Pace) -> Program:
    """Return what a master's node runs."""

    upkeep_config = UpkeepConfig(
        pace.out_after_s,
        pace.scrub_period_s,
        pace.copy_bytes_per_s,
        pace.trash_delay_s,
        pace.grace_s,
        pace.drop_grace_s,
        pace.audit_period_s or AUDIT_PERIOD_DEFAULT_S,
    )

    async def run(process: Process) -> None:
        node = process.node
        store = await disk.open(process, node.dice)
        master = await open_master(
            store,
            clock=node.clock,
            random=node.dice,
            policy=policy,
            version="simulation",
            upkeep=upkeep_config,
            peers=network.peers(process),
        )
        process.internals = {"master": master}
        upkeep = Upkeep(master, show=_look_away)
        await upkeep.step()
        process.services = {"namespace": master.namespace, "cluster": master.cluster, "admin": master.admin}
        await asyncio.gather(upkeep.run(), master.audit.run())

    return run


def _look_away(_: ClusterStatus) -> None:
    pass


def chunkserver_program(network: Network, disk: MachineDisk, place: ServerPlace) -> Program:
    """Return what a chunkserver's node runs."""

    async def run(process: Process) -> None:
        node = process.node
        server = await Chunkserver.open(
            disk.open(process), node.clock, node.dice, network.peers(process), name=place.name
        )
        process.services = {"chunks": server.chunks}
        process.internals = {"store": server.store, "server": server}
        identity = server.identity(
            address=place.address, http_address="", labels=ServerLabels(host=place.host), version="simulation"
        )
        await server.run(network.service(process, MASTER, "cluster"), identity)

    return run
