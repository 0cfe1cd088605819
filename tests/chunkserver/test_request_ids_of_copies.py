"""A copy that repair makes is found in the logs of both servers by the id of its chunk."""

from small_cluster import content
from upkeep_cluster import chunk, upkeep_cluster
from virtual_time import virtually

from dstore.core.groups import MemberState
from dstore.core.request_ids import current_request


def test_the_source_reads_under_the_id_of_the_copy() -> None:
    seen: set[str] = set()

    async def before(operation: str, path: str) -> None:
        request = current_request()
        if operation == "read" and request.request_id:
            assert request.request_id == f"copy:{request.chunk}"
            seen.add(request.request_id)

    async def main() -> None:
        async with upkeep_cluster("a", "b") as cluster:
            for sequence in (1, 2):
                await cluster.nodes["a"].store(sequence, content(200_000))
            source = await cluster.start("a", await cluster.kill("a"))
            source.disk.before = before
            cluster.assign({"a": MemberState.WHOLE, "b": MemberState.FILLING}, epoch=2)
            await cluster.until(lambda: cluster.nodes["b"].held() == [1, 2])

    virtually(main())
    assert seen == {f"copy:{chunk(sequence)}" for sequence in (1, 2)}
