"""Real servers on hosts of their own, clients that never stop, and faults drawn from a seed.

``python tests/chaos/run_chaos.py --duration 120 --seed 1``. Every run ends with: faults stop, the cluster becomes well
by itself, everything that was acknowledged is there, and one order of the operations explains every answer that any
client got. A failure prints the seed.
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunk_files import check_chunk_file, chunk_files
from clocks import set_clock
from hosts_cluster import HostsCluster
from nemesis_faults import Nemesis
from network_hosts import NetworkHosts, sandboxed
from server_processes import ClusterShape, complaints, fast_directory
from simulation import linearizability
from simulation.dice import Dice
from simulation.history import Certainty, History
from simulation.namespace_model import State
from simulation.workload import FAMILIES, Workload

import dstore
from dstore.core.errors import Corrupt, DeadlineExceeded, DstoreError, Unavailable
from dstore.core.groups import ServerPhase
from dstore.core.status import ClusterStatus
from dstore.rpc.channel import Connections

CHUNKSERVERS = 5
CLIENTS = 4
#: How long the cluster may take to become well once the faults are over.
RECOVERY_S = 300.0
LONG_PAUSE_S = 80.0
_NOTE_INTERVAL_S = 10.0
_MIB = 1024 * 1024
#: Everything that a cluster does for itself, within the time of a run.
_MASTER_OPTIONS = ("--scrub-period", "20s", "--trash-delay", "5s")
#: Steps of the search for an order; histories of real clusters are longer than simulated ones.
_STEPS_MAX = 3_000_000


@dataclass(slots=True)
class _Client:
    """Stands for a process where the workload of the simulation wants one."""

    name: str
    loop: asyncio.AbstractEventLoop
    alive: bool = True

    @property
    def node(self) -> "_Client":
        return self

    def note(self, what: str) -> None:
        """Operations are in the history; nobody wants them twice."""


class ChaosRun:
    """One run, from start to end.

    Attributes:
        violations: what was broken, each a sentence.
    """

    def __init__(self, cluster: HostsCluster, hosts: NetworkHosts, seed: int, duration_s: float) -> None:
        self.violations: list[str] = []
        self._cluster = cluster
        self._hosts = hosts
        self._duration_s = duration_s
        self._started_s = time.monotonic()
        dice = Dice(seed)
        self._history = History()
        self._workload = Workload(self._history, dice.fork("workload"), pause_s=0.1)
        self.nemesis = Nemesis(cluster, hosts, random.Random(dice.getrandbits(64)), self._note)

    async def run(self) -> None:
        """Start, break, heal, and examine."""
        cluster = self._cluster
        await cluster.start()
        supervising = asyncio.create_task(self.nemesis.supervise())
        clients = [cluster.client() for _ in range(CLIENTS)]
        try:
            processes: list[Any] = [
                _Client(f"client-{number}", asyncio.get_running_loop()) for number in range(CLIENTS)
            ]
            for client in clients:
                # One that never reached the master gives up sooner, as its address may be wrong.
                await client.cluster()
            await self._workload.prepare(processes[0], clients[0])
            working = [
                asyncio.create_task(self._workload.run(process, client))
                for process, client in zip(processes, clients, strict=True)
            ]
            long_pause_s = LONG_PAUSE_S if self._duration_s > LONG_PAUSE_S else 0.0
            await self.nemesis.run(self._duration_s, long_pause_s=long_pause_s)
            await self._heal(clients[0])
            await self._wait_scrubbed()
            await self._lose_one(clients[0])
            self._workload.stopping = True
            await asyncio.gather(*working)
            await self._workload.read_all(processes[0], clients[0])
            self._examine()
        finally:
            supervising.cancel()
            for client in clients:
                await client.close()
            await asyncio.gather(supervising, return_exceptions=True)
            await cluster.kill()

    async def _heal(self, client: dstore.AsyncClient) -> None:
        """End every fault, and wait until the cluster is well while its clients go on."""
        self._note("no more faults")
        self._hosts.mend_all()
        for server in self._cluster.servers.values():
            set_clock(server.log_path, 0)
        await self._wait_well(client)

    async def _wait_scrubbed(self) -> None:
        """Wait until no disk has a damaged copy any more: each was found by the servers and replaced."""
        started_s = time.monotonic()
        while bad := self._damaged_files():
            if time.monotonic() > started_s + RECOVERY_S:
                self.violations.append(f"Invariant 12: still damaged {RECOVERY_S:.0f} s after the last fault: {bad}")
                return
            await asyncio.sleep(1.0)
        self._note(f"{len(self.nemesis.flipped)} flipped bytes were found and healed after {_since(started_s)}")

    def _damaged_files(self) -> list[str]:
        bad = []
        for server in self._cluster.servers.values():
            files = chunk_files(server.directory)
            for chunk_id in self.nemesis.flipped & set(files):
                try:
                    check_chunk_file(chunk_id, files[chunk_id])
                except FileNotFoundError:
                    continue  # it was collected meanwhile
                except Corrupt as error:
                    bad.append(f"{chunk_id} on {server.name}: {error.metadata['problem']}")
        return bad

    async def _lose_one(self, client: dstore.AsyncClient) -> None:
        """Lose a server and its disk for good, while clients go on: nobody but the cluster makes good for it."""
        status = await client.status()
        name = max(status.servers, key=lambda server: server.chunk_count).name
        count_before = len(self._history.operations)
        await self.nemesis.lose(name)
        await self._wait_well(client)
        operations = self._history.operations[count_before:]
        failed = [operation for operation in operations if operation.certainty is Certainty.NOTHING]
        self._note(f"meanwhile clients did {len(operations)} operations; {len(failed)} failed")
        self.violations += [f"Invariant 14: one server was lost, and a client saw {operation}" for operation in failed]

    async def _wait_well(self, client: dstore.AsyncClient) -> None:
        started_s = noted_s = time.monotonic()
        found = "no answer"
        while time.monotonic() < started_s + RECOVERY_S:
            try:
                status = await client.status()
            except DstoreError as error:
                found = repr(error)
            else:
                if self._is_well(status):
                    self._note(f"well after {_since(started_s)}: {_describe(status)}")
                    return
                found = _describe(status)
                if any(check.code == "COLLECTION_STOPPED" for check in status.checks):
                    await self._approve_collection()
            if time.monotonic() > noted_s + _NOTE_INTERVAL_S:
                noted_s = time.monotonic()
                self._note(f"not well yet: {found}")
            await asyncio.sleep(0.5)
        self.violations.append(f"Invariant 13: not well {RECOVERY_S:.0f} s after the last fault: {found}")

    async def _approve_collection(self) -> None:
        """Do what the status asks an operator for: these clients replace most of what there is, and know it."""
        connections = Connections()
        try:
            await connections.connection(self._cluster.endpoint).admin.approve_collection()
        except (Unavailable, DeadlineExceeded):
            return  # the next status asks again
        finally:
            await connections.close()

    def _is_well(self, status: ClusterStatus) -> bool:
        """Tell whether nothing is missing, and nothing is said but that a lost server is lost."""
        lost = self.nemesis.lost
        for server in status.servers:
            # As long as it is not out, nothing was done about a server that was lost.
            if server.phase is not (ServerPhase.OUT if server.name in lost else ServerPhase.UP):
                return False
        return all(any(name in complaint for name in lost) for complaint in complaints(status))

    def _examine(self) -> None:
        self.violations += self._workload.violations
        for family in FAMILIES:
            operations = [each for each in self._history.operations if (each.path + "/").startswith(family + "/")]
            verdict = linearizability.check(operations, State({}), steps_max=_STEPS_MAX)
            if verdict.holds is None:
                self._note(f"the history of {family} is not decided within {_STEPS_MAX} steps")
            elif not verdict.holds:
                near = [each for each in operations if verdict.stuck is None or each.path == verdict.stuck.path]
                lines = "\n".join(f"    {each}" for each in near)
                self.violations.append(f"Invariant 3: no order explains {family}; stuck at {verdict.stuck}:\n{lines}")

    def summary(self) -> str:
        """Return what happened, in a few lines."""
        operations = self._history.operations
        kinds = Counter(operation.certainty.value for operation in operations)
        errors = Counter(str(each.result) for each in operations if each.certainty is Certainty.NOTHING)
        return (
            f"faults: {dict(sorted(self.nemesis.counts.items()))}\n"
            f"servers that ended by themselves: {dict(self.nemesis.restarts)}\n"
            f"operations: {dict(kinds)}, errors: {dict(errors)}; the longest took {self._workload.longest_s:.1f} s"
        )

    def _note(self, what: str) -> None:
        print(f"{time.monotonic() - self._started_s:7.1f} s  {what}", flush=True)


def _since(started_s: float) -> str:
    return f"{time.monotonic() - started_s:.1f} s"


def _describe(status: ClusterStatus) -> str:
    checks = "; ".join(check.message for check in status.checks)
    return f"{status.health.value}: {checks or status.summary}"


async def _run(seed: int, duration_s: float, out_after_s: int, hosts: NetworkHosts, home: Path) -> int:
    shape = ClusterShape(CHUNKSERVERS)
    disk_size_bytes = 192 * _MIB + int(duration_s) * _MIB
    options = [*_MASTER_OPTIONS, "--out-after", f"{out_after_s}s"]
    cluster = HostsCluster(home, shape, hosts, disk_size_bytes=disk_size_bytes, master_options=options)
    run = ChaosRun(cluster, hosts, seed, duration_s)
    try:
        await run.run()
    except AssertionError as error:
        run.violations.append(str(error))
    print(run.summary())
    if not run.violations:
        print(f"seed {seed}: no violation")
        return 0
    print(cluster.logs())
    print("\n".join(run.violations))
    print(
        f"seed {seed}: {len(run.violations)} violations. Again with: make chaos SEED={seed} DURATION={duration_s:.0f}"
    )
    return 1


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--duration", type=float, default=120.0, help="seconds of faults (120)")
    parser.add_argument("--out-after", type=int, default=20, help="seconds until a silent server is replaced (20)")
    given = parser.parse_args(arguments)
    seed = secrets.randbits(32) if given.seed is None else given.seed
    times = ["--duration", str(given.duration), "--out-after", str(given.out_after)]
    sandboxed([__file__, "--seed", str(seed), *times])
    print(f"seed {seed}, {given.duration:.0f} s of faults", flush=True)
    hosts = NetworkHosts(ClusterShape(CHUNKSERVERS).names)
    hosts.set_up()
    home = Path(tempfile.mkdtemp(prefix="dstore-chaos-", dir=fast_directory()))
    return asyncio.run(_run(seed, given.duration, given.out_after, hosts, home))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
