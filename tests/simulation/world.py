"""One simulated cluster: nodes, disks, wires, and clients."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dstore.client.client import AsyncClient
from dstore.client.contact import Services
from dstore.client.high_water import HighWaterMarks
from dstore.client.retries import Retries
from dstore.client.retrying import RetryingAdmin
from dstore.core.files import Policy
from dstore.core.interfaces import Admin
from dstore.core.limits import KIB
from dstore.crypto.keys import Kek, Keyring
from simulation.dice import Dice
from simulation.disk import MachineDisk
from simulation.loop import SimulatedLoop
from simulation.metadata import MetadataDisk
from simulation.network import Network
from simulation.node import Node, Process
from simulation.servers import MASTER, Pace, Program, ServerPlace, chunkserver_program, master_program
from simulation.trace import Trace

CHUNK_SIZE_BYTES = 16 * KIB
#: In this share of the runs, tasks that are ready go on in any order.
DISORDER_SHARE = 0.3
#: How long clients go on when the master is away.
PATIENCE_S = 20.0


class World:
    """Everything that is simulated.

    Attributes:
        disks: of the chunkservers, by node name.
        metadata: the master's disk.
        operators: their machines; not every cluster has one.
    """

    def __init__(
        self,
        seed: int,
        directory: Path,
        *,
        server_count: int,
        client_count: int,
        client_program: Program,
        operator_program: Program | None = None,
        retention_s: int | None = None,
    ) -> None:
        logging.disable(logging.CRITICAL)
        self.seed = seed
        self.dice = Dice(seed)
        self.loop = SimulatedLoop()
        # Dice of their own: other seeds are as they would be without.
        disorder = Dice(f"{seed} disorder")
        if disorder.happens(DISORDER_SHARE):
            self.loop.disorder = disorder
        self.trace = Trace()
        self.network = Network(self.loop, self.dice.fork("network"), self.trace)
        self.metadata = MetadataDisk(directory, self.dice.fork("metadata"))
        self.disks: dict[str, MachineDisk] = {}
        self.kek = self.dice.token_bytes(32)
        self.keyring = Keyring([Kek(self.kek)])
        self.pace = Pace(
            retention_s=self.dice.choice((0, 5, 20)),
            out_after_s=self.dice.choice((8.0, 20.0)),
            copy_bytes_per_s=self.dice.choice((0, 0, 100_000)),
        )
        if retention_s is not None:
            self.pace = replace(self.pace, retention_s=retention_s)
        if operator_program is not None:
            # Long enough that people come before the collection does.
            self.pace = replace(self.pace, retention_s=2 * self.pace.retention_s, audit_period_s=30.0)
        self.policy = Policy("default", 3, 2, CHUNK_SIZE_BYTES, "server", self.pace.retention_s)
        program = master_program(self.network, self.metadata, self.policy, self.pace)
        self.master = self._add(MASTER, "master.test:7070", program, self.metadata.stop)
        self.servers = [self._add_server(number) for number in range(1, server_count + 1)]
        names = [f"client-{number}" for number in range(1, client_count + 1)]
        self.clients = [self._add(name, name, client_program) for name in names]
        self.observer = self._add("observer", "observer", _idle)
        self.operators = [] if operator_program is None else [self._add("operator", "operator", operator_program)]

    @property
    def nodes(self) -> list[Node]:
        """Every machine."""
        return [self.master, *self.servers, *self.callers, self.observer]

    @property
    def callers(self) -> list[Node]:
        """The machines of clients and operators."""
        return [*self.clients, *self.operators]

    def client(self, process: Process) -> AsyncClient:
        """Return a client for the process of a node."""
        network = self.network

        def services() -> Services:
            return Services(
                network.service(process, MASTER, "namespace"),
                network.service(process, MASTER, "admin"),
                network.peers(process),
                _close_nothing,
            )

        return AsyncClient(
            services,
            load_keyring=lambda: self.keyring,
            clock=process.node.clock,
            random=process.node.dice,
            marks=HighWaterMarks(),
            endpoint="master.test:7070",
            patience_s=PATIENCE_S,
        )

    def admin(self, process: Process) -> Admin:
        """Return what the command line has of the master, for the process of a node."""
        retries = Retries(
            endpoint="master.test:7070", clock=process.node.clock, random=process.node.dice, patience_s=PATIENCE_S
        )
        return RetryingAdmin(self.network.service(process, MASTER, "admin"), retries)

    def _add_server(self, number: int) -> Node:
        place = ServerPlace(f"cs-{number}", f"cs-{number}.test:7071", f"host-{number}")
        disk = MachineDisk(place.name, self.loop, self.dice.fork(f"disk {number}"), self.trace)
        self.disks[place.name] = disk

        def at_end(power: bool) -> None:
            if power:
                disk.lose_power()

        return self._add(place.name, place.address, chunkserver_program(self.network, disk, place), at_end)

    def _add(
        self,
        name: str,
        address: str,
        program: Program,
        at_end: Callable[[bool], None] = lambda _: None,
    ) -> Node:
        node = Node(name, self.loop, self.dice.fork(name), self.trace, program, at_end=at_end)
        self.network.add(node, address)
        return node


async def _idle(process: Process) -> None:
    """Run nothing: whoever looks lends its process."""
    await process.node.loop.create_future()


async def _close_nothing() -> None:
    pass
