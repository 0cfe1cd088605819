"""Invariant 1 on real processes: after a power loss of a server, or of all at once, what was acknowledged is there.

``make sweep`` loses power at every moment; here it is every so-manieth.
"""

from pathlib import Path

import pytest
from injection import Injection
from power_loss import (
    EAT_MY_DATA,
    check_all_losses,
    check_cluster_after_loss,
    chunks_on_no_disk,
    record_workload,
)

#: Recording starts servers under strace, and other tests run beside.
pytestmark = pytest.mark.timeout(300)


#: A busy machine may sync in the background what was replicated before the client hears of it.
RECORDINGS_MAX = 5


async def test_what_was_acknowledged_survives(tmp_path: Path) -> None:
    recording = await record_workload(tmp_path / "0")
    assert await check_all_losses(recording, "cs-1", seed=1, every=80) > 100
    assert await check_all_losses(recording, "master", seed=1, every=250) > 100
    assert await check_cluster_after_loss(recording, recording.acknowledgements[-1]) == 0
    # Power goes before the background has synced: then what was replicated is lost, and told, and nothing else.
    for number in range(1, RECORDINGS_MAX):
        weak = max(recording.acknowledgements, key=lambda each: len(chunks_on_no_disk(recording, each)))
        if chunks_on_no_disk(recording, weak):
            break
        recording = await record_workload(tmp_path / str(number))
    assert 0 < await check_cluster_after_loss(recording, weak) <= len(weak.weak)


async def test_the_same_fails_when_nothing_is_synced(tmp_path: Path) -> None:
    """With a library that turns syncs off; otherwise the test above would prove nothing."""
    recording = await record_workload(tmp_path, preload=EAT_MY_DATA)
    assert not any(call.function == "sync" for calls in recording.calls.values() for call in calls)
    for server in ("cs-1", "master"):
        with pytest.raises(AssertionError, match="power lost after"):
            await check_all_losses(recording, server, seed=1, every=40)
    with pytest.raises(AssertionError, match="differs from what was acknowledged"):
        await check_cluster_after_loss(recording, recording.acknowledgements[-1])


async def test_a_sync_of_the_master_that_failed_leaves_nothing_that_a_power_loss_can_take(tmp_path: Path) -> None:
    """What was committed before it, and after the restart that it causes, stands on syncs that succeeded."""
    failing = Injection("fdatasync", "pool", 9, "EIO")
    recording = await record_workload(tmp_path, failing=failing)
    assert any(call.function == "sync" and call.failed for call in recording.calls["master"])
    assert await check_all_losses(recording, "master", seed=1, every=250) > 100
