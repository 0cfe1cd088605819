"""Asking for places: what may be asked again without the servers that failed, and what may not."""

from types import SimpleNamespace
from typing import Any

import pytest

from dstore.client.placements import Ledger, Placements
from dstore.core.errors import DstoreError, OutOfSpace, Unavailable
from dstore.core.files import ChunkRecord, WrittenChunk
from dstore.core.ids import ChunkId, GroupId

WRITTEN = WrittenChunk(ChunkRecord(0, ChunkId(GroupId(1), 1), 73, 0, bytes(56)), ())


class FailingMaster:
    """Refuses to place chunks; remembers what it was asked."""

    def __init__(self, error: DstoreError) -> None:
        self.error = error
        self.avoided: list[tuple[str, ...]] = []

    async def allocate_chunks(self, intent_id: str, **options: Any) -> Any:
        self.avoided.append(options["avoid"])
        raise self.error


def placements_of(master: FailingMaster) -> Placements:
    session: Any = SimpleNamespace(
        namespace=master,
        avoided=SimpleNamespace(current=lambda: ("cs-1",)),
        request_id=lambda: "request",
        clock=SimpleNamespace(monotonic_s=lambda: 0.0),
        random=SimpleNamespace(uniform=lambda: 0.0),
    )
    intent: Any = SimpleNamespace(intent_id="intent", policy=None, placements=())
    ledger = Ledger()
    ledger.add(WRITTEN)
    return Placements(session, intent, ledger, expected=None)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        # The answer was lost: the master may have the records, and takes each only once.
        (Unavailable("No answer.", reason="MASTER_UNREACHABLE"), [("cs-1",)]),
        # It refused: nothing was recorded, and a server that failed a moment ago is better than none.
        (OutOfSpace("Full.", reason="CLUSTER_FULL"), [("cs-1",), ()]),
    ],
)
async def test_records_are_sent_again_only_after_a_refusal(error: DstoreError, asked: list[tuple[str, ...]]) -> None:
    master = FailingMaster(error)
    with pytest.raises(type(error)):
        await placements_of(master).take()
    assert master.avoided == asked
