"""A disk that cannot read some of its chunks is still a source of the others."""

import asyncio
import errno
from collections.abc import Callable, Iterable

import pytest
from small_cluster import content
from upkeep_cluster import GROUP, Node, UpkeepCluster, chunk, upkeep_cluster
from virtual_time import virtually

from dstore.chunkserver.holdings import _UNREADABLE_MAX
from dstore.core.errors import Unavailable
from dstore.core.groups import MemberState

WHOLE, FILLING = MemberState.WHOLE, MemberState.FILLING
DATA = content(200_000)


def cannot_read(node: Node, sequences: Iterable[int], *, after_reads: int = 0) -> None:
    """Let reads of these chunks fail: from the given one on, of each."""
    names = {str(chunk(sequence)): 0 for sequence in sequences}

    async def before(operation: str, path: str) -> None:
        name = path.rpartition("/")[2]
        if operation == "read" and name in names:
            names[name] += 1
            if names[name] > after_reads:
                raise OSError(errno.EIO, "Input/output error")

    node.disk.before = before


async def stored_by_a(cluster: UpkeepCluster, count: int) -> Node:
    """Have a server store chunks, and start again, so that it knows only their names."""
    for sequence in range(1, count + 1):
        await cluster.nodes["a"].store(sequence, DATA)
    return await cluster.start("a", await cluster.kill("a"))


@pytest.mark.parametrize("after_reads", [0, 1, 2])
def test_all_but_the_unreadable_chunk_is_copied_and_the_group_is_not_filled(after_reads: int) -> None:
    """The header page, the footer, or the data cannot be read."""

    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            node = await stored_by_a(cluster, 100)
            cannot_read(node, [2], after_reads=after_reads)
            cluster.assign({"a": WHOLE, "b": FILLING}, epoch=2)
            wanted = [1, *range(3, 101)]
            await cluster.until(lambda: cluster.nodes["b"].held() == wanted)
            await asyncio.sleep(30)
            assert not cluster.is_filled("b")
            assert node.server.store.suspicion is not None
            assert node.server.store.corrupt == set(), "what cannot be read is not known to be damaged"

    virtually(main())


@pytest.mark.parametrize(
    ("unreadable", "is_listed"),
    [
        (lambda count: range(0), True),
        (lambda count: range(1, _UNREADABLE_MAX + 1), True),
        (lambda count: range(1, _UNREADABLE_MAX + 2), False),
        (lambda count: range(1, count + 1), False),
    ],
)
@pytest.mark.parametrize("count", [_UNREADABLE_MAX, 2 * _UNREADABLE_MAX])
def test_a_disk_that_reads_nothing_lists_nothing(
    count: int, unreadable: Callable[[int], range], *, is_listed: bool
) -> None:
    async def main() -> None:
        async with upkeep_cluster("a") as cluster:
            node = await stored_by_a(cluster, count)
            bad = [each for each in unreadable(count) if each <= count]
            cannot_read(node, bad)
            for _ in range(2):
                listing = node.server.chunks.list_group(GROUP, bucket=None, after_sequence=0, count=0)
                if is_listed and len(bad) < count:
                    page = await listing
                    assert [each.sequence for each in page.chunks] == list(range(len(bad) + 1, count + 1))
                    assert page.is_last
                else:
                    with pytest.raises(Unavailable, match="Input/output error"):
                        await listing
            assert node.server.store.chunk_count == count

    virtually(main())
