"""A few numbers of the system call sweep, one of each kind; ``make sweep`` runs all of them."""

import pytest
from sweep import run_part
from sweep_parts import SweepPart

#: Each number starts servers twice, and other tests run beside.
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    "part",
    [
        SweepPart("master", "fdatasync", "pool", first=6, last=7),
        # The first sync of all: a store that fails while it is opened.
        SweepPart("master", "fdatasync", "pool", "EIO", first=1, last=1),
        # The workload ends with the fifth at least on a free machine; a busy one leaves a slow server out of a write.
        SweepPart("chunkserver", "rename", "pool", first=2, last=3),
        SweepPart("only-copy", "fsync", "pool", "EIO", first=14, last=14),
        # A start copies two chunks that were not synced: each of the files is removed, and takes several syncs.
        SweepPart("start", "unlink", "pool", first=1, last=2),
        SweepPart("start", "fsync", "pool", "EIO", first=12, last=12),
    ],
    ids=str,
)
async def test_nothing_is_lost_when_a_server_fails_at_a_system_call(part: SweepPart) -> None:
    result = await run_part(part)
    assert part.last is not None
    assert result.struck == part.last - part.first + 1, "the workload ended before the fault"
    assert result.adopted > 0 or part.target != "start", "everything was synced when the server was killed"
