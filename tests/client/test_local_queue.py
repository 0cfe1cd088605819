"""Local reads that wait for a thread."""

import asyncio
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

from local_servers import CLUSTER, Collector, eventually, lent_paths, local_chunks, local_server

SIZE = 40_000
FIRST, SECOND = (random.Random(seed).randbytes(SIZE) for seed in range(2))


@dataclass
class HeldUp(Collector):
    """A cursor that takes nothing before it may."""

    go: threading.Event = field(default_factory=threading.Event)

    def decrypt(self, sealed: memoryview) -> None:
        assert self.go.wait(10)
        super().decrypt(sealed)


async def test_a_read_that_waits_for_a_thread_keeps_its_file(tmp_path: Path) -> None:
    async with local_server(tmp_path / "server") as server, local_chunks(files_max=1, threads=1) as local:
        contents = (FIRST, SECOND, FIRST)
        first, second = await server.put(1, FIRST), await server.put(2, SECOND)
        held_up = HeldUp(0, SIZE)
        cursors = [held_up, Collector(0, SIZE), Collector(0, SIZE)]
        fills = []
        for index, record in enumerate((first, second, first)):
            fill = local.fill((server.replica,), CLUSTER, record, cursors[index])
            fills.append(asyncio.create_task(fill))
            # Each has its file, and took the only place from the one before.
            await eventually(lambda wanted=index + 1: len(lent_paths()) == wanted)  # type: ignore[misc]
        held_up.go.set()
        assert await asyncio.gather(*fills) == [None] * 3
        assert [bytes(cursor.taken) for cursor in cursors] == list(contents)
        await eventually(lambda: len(lent_paths()) == local.file_count == 1)
    assert lent_paths() == []
