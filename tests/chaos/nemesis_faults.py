"""What goes wrong in a run on real processes: each fault begins, lasts, and is taken back."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from chunk_files import chunk_files
from clocks import set_clock
from network_hosts import CLIENT, NetworkHosts
from server_processes import ServerCluster, ServerProcess

from dstore.core.ids import ChunkId

#: At most this many servers are in trouble at once: with three copies, at least one is left.
LANES = 2
_SUPERVISION_S = 0.2
_DAY_S = 86_400


class Nemesis:
    """Draws faults from a seed and carries them out, in a few lanes beside each other.

    Attributes:
        counts: how often each fault happened.
        restarts: how often a server ended by itself and was started again.
    """

    def __init__(
        self, cluster: ServerCluster, hosts: NetworkHosts, source: random.Random, note: Callable[[str], None]
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.flipped: set[ChunkId] = set()
        self._cluster = cluster
        self._hosts = hosts
        self._random = source
        self._note = note
        self._busy: set[str] = set()
        self._held: set[str] = set()
        self._lost: set[str] = set()
        self._faults: dict[str, tuple[int, Callable[[ServerProcess], Awaitable[None]]]] = {
            "kill": (4, self._kill),
            "pause 3 s": (3, self._pause_short),
            "cut one way": (3, self._cut_one_way),
            "cut both ways": (3, self._cut_both_ways),
            "full disk": (2, self._fill_disk),
            "flip a byte": (4, self._flip_byte),
            "jump of the clock": (2, self._jump_clock),
        }

    @property
    def lost(self) -> frozenset[str]:
        """The servers that were lost for good."""
        return frozenset(self._lost)

    async def run(self, duration_s: float, *, long_pause_s: float = 0.0) -> None:
        """Break things for this long; ``long_pause_s``: one chunkserver is stopped for that long, besides."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + duration_s
        lanes = [self._lane(lane, end_s) for lane in range(LANES)]
        if long_pause_s:
            lanes.append(self._one(f"pause {long_pause_s:.0f} s", lambda server: self._pause(server, long_pause_s)))
        await asyncio.gather(*lanes)

    async def supervise(self) -> None:
        """Start servers again that ended by themselves, as an init system does."""
        while True:
            for server in self._cluster.servers.values():
                if server.name not in self._held and not server.is_running:
                    self.restarts[server.name] += 1
                    self._note(f"{server.name} ended by itself and is started again")
                    server.start()
            await asyncio.sleep(_SUPERVISION_S)

    async def lose(self, name: str) -> None:
        """Kill a chunkserver for good, and its disk with it; all other copies must be good."""
        self.counts["lost for good"] += 1
        self._note(f"{name} is lost for good")
        self._held.add(name)
        self._lost.add(name)
        await self._cluster.servers[name].kill()
        shutil.rmtree(self._cluster.servers[name].directory)

    async def _lane(self, lane: int, end_s: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(lane)
        while loop.time() < end_s:
            kind = self._random.choices(list(self._faults), [weight for weight, _ in self._faults.values()])[0]
            await self._one(kind, self._faults[kind][1])
            await asyncio.sleep(self._random.uniform(0.5, 3.0))

    async def _one(self, kind: str, fault: Callable[[ServerProcess], Awaitable[None]]) -> None:
        free = [name for name in self._cluster.servers if name not in self._busy | self._lost]
        # The master is one of a kind: it is hit less often, and has no disk that is filled or flipped.
        if kind not in ("kill", "pause 3 s", "cut both ways", "jump of the clock") or self._random.random() < 0.8:
            free = [name for name in free if name != "master"]
        if not free:
            return
        name = self._random.choice(free)
        self._busy.add(name)
        self._note(f"{kind}: {name}")
        self.counts[kind] += 1
        try:
            await fault(self._cluster.servers[name])
        finally:
            self._busy.discard(name)
            self._note(f"{kind}: {name} is over")

    async def _kill(self, server: ServerProcess) -> None:
        self._held.add(server.name)
        await server.kill()
        await asyncio.sleep(self._random.choice((0.0, 2.0, 8.0, 20.0)))
        server.start()
        self._held.discard(server.name)

    async def _pause_short(self, server: ServerProcess) -> None:
        await self._pause(server, 3.0)

    async def _pause(self, server: ServerProcess, duration_s: float) -> None:
        if server.is_running and server.is_ready:
            pid = server.pid
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(duration_s)
            os.kill(pid, signal.SIGCONT)

    async def _cut_one_way(self, server: ServerProcess) -> None:
        others = [name for name in (CLIENT, *self._cluster.servers) if name != server.name]
        pairs = [(server.name, other) for other in self._random.sample(others, self._random.randint(1, len(others)))]
        if self._random.random() < 0.5:
            pairs = [(target, source) for source, target in pairs]
        await self._cut(pairs)

    async def _cut_both_ways(self, server: ServerProcess) -> None:
        others = [name for name in (CLIENT, *self._cluster.servers) if name != server.name]
        chosen = self._random.sample(others, self._random.randint(1, len(others)))
        pairs = [pair for other in chosen for pair in ((server.name, other), (other, server.name))]
        await self._cut(pairs)

    async def _cut(self, pairs: list[tuple[str, str]]) -> None:
        for source, target in pairs:
            self._hosts.cut(source, target)
        await asyncio.sleep(self._random.uniform(2.0, 12.0))
        for source, target in pairs:
            self._hosts.mend(source, target)

    async def _fill_disk(self, server: ServerProcess) -> None:
        ballast = server.directory.parent / "ballast"
        with ballast.open("wb") as file:
            for left_bytes in (0, 1 << 20, 1 << 24):
                status = os.statvfs(ballast.parent)
                # What the server writes meanwhile may take the last pages.
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - left_bytes))
                    break
        await asyncio.sleep(self._random.uniform(3.0, 10.0))
        ballast.unlink()

    async def _flip_byte(self, server: ServerProcess) -> None:
        # One copy of a chunk at most, so that a good one is left.
        files = {key: path for key, path in chunk_files(server.directory).items() if key not in self.flipped}
        if files:
            chunk_id = self._random.choice(sorted(files, key=str))
            self.flipped.add(chunk_id)
            _flip(files[chunk_id], self._random)

    async def _jump_clock(self, server: ServerProcess) -> None:
        offset_s = self._random.choice((-_DAY_S, -3600, 3600, _DAY_S))
        set_clock(server.log_path, offset_s)
        await asyncio.sleep(self._random.uniform(5.0, 15.0))
        set_clock(server.log_path, 0)


def _flip(path: Path, source: random.Random) -> None:
    try:
        with path.open("r+b") as file:
            offset = source.randrange(path.stat().st_size)
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ (1 << source.randrange(8))]))
    except FileNotFoundError:
        return  # it was collected meanwhile
