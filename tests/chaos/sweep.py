"""The system call sweep: a fault at every n-th call of a server while a client writes, then a check of everything.

``python tests/chaos/sweep.py`` runs all of it and prints a line for each part; with ``--function`` it runs one part,
and with ``--first``, ``--last`` and ``--step`` some of its numbers. For each n, one server is started under strace,
which strikes at its n-th call; the workload runs; the server is started again; and everything that was acknowledged
must be there, and nothing else. Then n + 1, until the workload ends before the fault.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from chunk_files import ChunkFileChecker, check_adopted, whole_unsynced_files
from failed_syncs import check_nothing_rests_on_failed_syncs
from injection import Injection
from replicated_files import replicated_contents, take_losses, wait_synced
from server_processes import ServerCluster, ServerProcess, fast_directory, running_cluster
from sweep_parts import FAULTS, TARGETS, SweepPart, SweepResult, Target, all_parts
from workload import Counts, Model, compare, run_steps, scripted_steps, unsynced_steps

import dstore
from dstore.core.errors import DstoreError
from dstore.core.ids import ChunkId

#: How soon after a client's error the fault behind it must show.
_FAULT_SHOWS_S = 5.0
_BACK_S = 60.0
_POLL_S = 0.005
#: A client with so little patience is told that nobody knows, and has to resolve it.
_NO_PATIENCE_S = 0.25
#: So many numbers in a row must be out of reach before a part ends: on a busy machine, a server that starts slowly gets
#: less to do than the others.
_MISSES = 3
#: The count in the line of a part.
_STRUCK = re.compile(r" n=(\d+)")


class StruckServer:
    """The server that is struck in one run: starts it under strace, notices the fault, and starts it again.

    Attributes:
        adopted: chunks that its starts found unsynced and whole.
    """

    def __init__(self, cluster: ServerCluster, target: Target, injection: Injection) -> None:
        self.adopted = 0
        self._cluster = cluster
        self._process: ServerProcess = cluster.servers[target.server]
        self._is_alone = target.is_alone
        self._injection = injection
        self._record = cluster.home / f"strace-{injection.number}.log"
        self._is_seen = asyncio.Event()
        self._is_back = asyncio.Event()

    @property
    def is_struck(self) -> bool:
        """Whether the fault happened."""
        if self._injection.fault == "kill":
            return not self._process.is_running or self._process.starts != self._starts
        return b"(INJECTED)" in self._record.read_bytes()

    async def start(self) -> None:
        """Start it under strace; one that is struck while it starts is started again."""
        await self._process.kill()
        unsynced = self._check_disk()
        self._process.start(self._injection.command(self._record), self._injection.launch)
        self._starts = self._process.starts
        self._watching = asyncio.create_task(self._bring_back())
        if not await self._process.wait_ready():
            await self.restarted()
        # What cannot be copied at one start is left to the next, which is checked when it comes.
        if not self.is_struck:
            self._check_adopted(unsynced)

    async def wait_well(self, client: dstore.AsyncClient) -> None:
        """Wait until the cluster is well; a server that is struck before the workload begins is started again."""
        waiting = asyncio.create_task(self._cluster.wait_well(client))
        while not waiting.done():
            if self.is_struck:
                await self.restarted()
            await asyncio.sleep(_POLL_S)
        await waiting

    async def recover(self, error: DstoreError) -> None:
        """Return when the server that made a client fail is back; fail when no fault explains the error."""
        assert self._is_alone, f"a client saw an error although other servers were there: {error!r}"
        deadline = time.monotonic() + _FAULT_SHOWS_S
        while not self.is_struck:
            assert time.monotonic() < deadline, f"an error without a fault: {error!r}\n{self._cluster.logs()}"
            await asyncio.sleep(_POLL_S)
        await self.restarted()

    async def restarted(self) -> None:
        """Start it again if it is not yet; it was struck."""
        self._is_seen.set()
        back = asyncio.create_task(self._is_back.wait())
        await asyncio.wait((self._watching, back), timeout=_BACK_S, return_when=asyncio.FIRST_COMPLETED)
        back.cancel()
        if self._watching.done():
            self._watching.result()
        assert self._is_back.is_set(), f"not back within {_BACK_S} s\n{self._cluster.logs()}"

    async def disarm(self) -> None:
        """Start it again without strace: heartbeats count too, so the fault could strike between two numbers."""
        await self.stop_watching()
        await self._process.kill()
        await self._process.start_and_wait()

    def check_failed_syncs(self) -> None:
        """Require that nothing rests on the sync that failed, if that is the fault."""
        if self._injection.fault == "EIO":
            check_nothing_rests_on_failed_syncs(self._record, self._process.directory)

    async def stop_watching(self) -> None:
        """End what is left of the run."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        self._record.unlink(missing_ok=True)

    async def _bring_back(self) -> None:
        # A server that got EIO may go on, and is killed once its clients noticed.
        while self._process.is_running and not (self._is_seen.is_set() and self.is_struck):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        await self._process.kill()
        unsynced = self._check_disk()
        await self._process.start_and_wait()
        self._check_adopted(unsynced)
        self._is_back.set()

    def _check_disk(self) -> dict[ChunkId, Path]:
        """Check what is on the disk of a server that ended; return what it has to make durable when it starts."""
        if self._process.name == "master":
            return {}
        ChunkFileChecker(self._process.directory).check()
        return whole_unsynced_files(self._process.directory)

    def _check_adopted(self, unsynced: dict[ChunkId, Path]) -> None:
        if unsynced:
            check_adopted(self._process.directory, unsynced)
            self.adopted += len(unsynced)


class Sweep:
    """One part of the sweep on a cluster of its own."""

    def __init__(self, cluster: ServerCluster, part: SweepPart) -> None:
        self._cluster = cluster
        self._part = part
        self._target = TARGETS[part.target]
        self._model: Model = {}
        self._weak: frozenset[bytes] = frozenset()
        self.result = SweepResult(part)

    async def run(self) -> None:
        """Strike at every n, then restart everything and check all of it once more."""
        started = time.monotonic()
        number = self._part.first
        missed = 0
        while missed < _MISSES and (self._part.last is None or number <= self._part.last):
            # New clients for each: one that saw a server fail leaves it alone for some seconds.
            try:
                async with (
                    self._cluster.client() as patient,
                    self._cluster.client(patience_s=_NO_PATIENCE_S) as impatient,
                ):
                    is_patient = number // self._part.step % 2 == 1
                    client = patient if is_patient else impatient
                    if self._target.is_start:
                        struck = await self._run_start(number, client)
                    else:
                        struck = await self._run_one(number, patient, client)
            except (AssertionError, DstoreError) as error:
                raise AssertionError(f"{error!s}\nAgain with: {self._part.replay(number)}") from error
            self.result.struck += struck
            missed = 0 if struck else missed + 1
            number += self._part.step
        await self._check_after_restart()
        self.result.seconds = time.monotonic() - started

    async def _run_one(self, number: int, patient: dstore.AsyncClient, client: dstore.AsyncClient) -> bool:
        struck = StruckServer(self._cluster, self._target, self._injection(number))
        root = f"/run-{number}"
        steps = scripted_steps(root, self._cluster.shape.chunk_size_bytes)
        self._weak = replicated_contents(steps)

        async def recover(error: DstoreError) -> None:
            await struck.recover(error)
            await self._wait_well(patient)

        try:
            await struck.start()
            await struck.wait_well(patient)
            counts = await run_steps(client, steps, self._model, watcher=patient, recover=recover, root=root)
            await wait_synced(self._cluster, lambda: struck.is_struck)
            if not struck.is_struck:
                await struck.disarm()
                return False
            await struck.restarted()
            struck.check_failed_syncs()
            await self._wait_well(patient)
            await wait_synced(self._cluster, lambda: False)
        finally:
            self.result.adopted += struck.adopted
            await struck.stop_watching()
        await compare(patient, self._model, root)
        self._check_patience(client is patient, counts)
        self.result.counts.add(counts)
        return True

    def _injection(self, number: int) -> Injection:
        part = self._part
        return Injection(part.function, part.role, number, part.fault)

    async def _run_start(self, number: int, client: dstore.AsyncClient) -> bool:
        """Strike at a start that finds what an earlier run had acknowledged, and not synced."""
        struck = StruckServer(self._cluster, self._target, self._injection(number))
        root = f"/start-{number}"
        try:
            for step in unsynced_steps(root, self._cluster.shape.chunk_size_bytes):
                await step.perform(client)
                step.apply(self._model)
            await struck.start()
            is_struck = struck.is_struck
            if is_struck:
                await struck.restarted()
                struck.check_failed_syncs()
            else:
                await struck.disarm()
        finally:
            self.result.adopted += struck.adopted
            await struck.stop_watching()
        await self._cluster.wait_joined()
        await compare(client, self._model, root)
        return is_struck

    async def _wait_well(self, client: dstore.AsyncClient) -> None:
        # A file that nobody else has may be lost, if it could not be synced.
        if self._target.is_alone and self._part.fault == "EIO":
            await self._cluster.wait_joined()
            self.result.lost += await take_losses(self._cluster, client, self._model, self._weak)
        await self._cluster.wait_well(client)

    def _check_patience(self, is_patient: bool, counts: Counts) -> None:
        if is_patient and self._target.server == "master":
            failed = counts.refused + counts.unknown
            assert not failed, f"{failed} calls failed although the client waits for a master that comes back"

    async def _check_after_restart(self) -> None:
        await self._cluster.kill()
        await self._cluster.start()
        async with self._cluster.client() as client:
            await compare(client, self._model)
        for name, server in self._cluster.servers.items():
            if name != "master":
                ChunkFileChecker(server.directory).check()


async def run_part(part: SweepPart) -> SweepResult:
    """Run one part; an AssertionError says what was violated and how to see it again."""
    home = Path(tempfile.mkdtemp(prefix="dstore-sweep-", dir=fast_directory()))
    async with running_cluster(home, TARGETS[part.target].shape) as cluster:
        sweep = Sweep(cluster, part)
        await sweep.run()
    return sweep.result


async def _run_all(parts: Sequence[SweepPart], jobs: int) -> int:
    """Run parts in processes of their own, ``jobs`` at a time; return how many failed."""
    slots = asyncio.Semaphore(jobs)
    struck: Counter[str] = Counter()

    async def run(part: SweepPart) -> bool:
        async with slots:
            command = [sys.executable, __file__, *part.arguments]
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            output = (await process.communicate())[0].decode()
        print(output, end="", flush=True)
        struck[part.target] += sum(map(int, _STRUCK.findall(output)))
        return process.returncode == 0

    passed = await asyncio.gather(*(run(part) for part in parts))
    for target, count in struck.items():
        print(f"{target}: struck {count} times")
    print(f"{sum(passed)} parts passed, {len(passed) - sum(passed)} failed")
    return len(passed) - sum(passed)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--function")
    parser.add_argument("--role", choices=("pool", "main"), default="pool")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="parts at a time")
    given = parser.parse_args()
    if given.function is not None:
        target, fault = given.target or "master", given.fault or "kill"
        part = SweepPart(target, given.function, given.role, fault, given.first, given.last, given.step)
        try:
            print(asyncio.run(run_part(part)), flush=True)
        except AssertionError as error:
            print(f"{part} FAILED: {error}", flush=True)
            return 1
        return 0
    parts = [part for part in all_parts() if given.target in (None, part.target) and given.fault in (None, part.fault)]
    return 1 if asyncio.run(_run_all(parts, given.jobs)) else 0


if __name__ == "__main__":
    sys.exit(main())
