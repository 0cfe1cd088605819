"""What people read about drains, balancing and the scrub."""

from dataclasses import replace

import pytest

from dstore.cli.operator_text import balance_lines, drain_lines, scrub_lines
from dstore.core.groups import Capacity, Duty, ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.core.operations import BalanceState, DutyChange, MemberMove, ScrubState
from dstore.core.status import ServerStatus

MOVES = tuple(MemberMove(GroupId(number), "cs-1", "cs-4", 1024) for number in range(1, 26))
SERVER = ServerStatus(
    server_id=ServerId("1"),
    name="cs-1",
    address="127.0.0.1:7071",
    http_address="",
    labels=ServerLabels("host"),
    phase=ServerPhase.UP,
    last_heartbeat_age_s=0.5,
    capacity=Capacity(100, 10),
    chunk_count=12,
    group_count=3,
    lead_count=1,
    missing_chunk_count=0,
    version="0.1.0",
    corrupt_chunk_count=2,
    scrub_position=0.421,
    scrub_age_s=7200.0,
)


def plain(text: str, style: str) -> str:
    return text


def test_a_drain() -> None:
    change = DutyChange("cs-1", Duty.DRAINING, True, MOVES[:2], 2, 2048)
    assert drain_lines(change) == [
        "cs-1 is being drained: 2 placement groups, 2.0 KiB to copy.",
        "`dstore status` shows how far it is, `dstore node activate cs-1` stops it.",
    ]
    # What has begun goes on, so this does not say that the drain is over.
    assert drain_lines(replace(change, moves=(), move_count=0, copied_bytes=0))[0] == (
        "cs-1 is being drained: nothing has to be begun any more."
    )


def test_a_plan_shows_moves_up_to_a_bound() -> None:
    lines = drain_lines(DutyChange("cs-1", Duty.DRAINING, False, MOVES, 1500, 1500 * 1024))
    assert lines[0] == "cs-1 can be drained: 1500 placement groups, 1.5 MiB to copy. Nothing was changed."
    assert lines[1].split() == ["GROUP", "FROM", "TO", "SIZE"]
    assert lines[2].split() == ["1", "cs-1", "cs-4", "1.0", "KiB"]
    assert len(lines) == 2 + 20 + 1
    assert lines[-1] == "  … and 1480 more"
    few = drain_lines(DutyChange("cs-1", Duty.DRAINING, False, MOVES[:20], 20, 20))
    assert len(few) == 2 + 20, "nothing is left to be counted"


@pytest.mark.parametrize(("is_paused", "word"), [(False, "on"), (True, "paused (dstore balance --resume)")])
def test_balancing(is_paused: bool, word: str) -> None:
    state = BalanceState(is_paused, MOVES[:1], 1, 1024, 0.12, 0.031, "No room.")
    lines = [
        f"  balance: {word}",
        "  fill:    at most 12.0% of a disk from the mean",
        "  to move: 1 copy of placement groups, 1.0 KiB; then at most 3.1% from the mean",
        "  uneven:  No room.",
    ]
    assert balance_lines(state, plain, list_moves=False) == lines
    assert balance_lines(state, plain, list_moves=True)[:4] == lines
    assert balance_lines(state, plain, list_moves=True)[-1].split() == ["1", "cs-1", "cs-4", "1.0", "KiB"]
    even = BalanceState(is_paused, (), 0, 0, 0.01, 0.01, "")
    assert balance_lines(even, plain, list_moves=True)[2:] == ["  to move: nothing"]


def test_the_scrub() -> None:
    lines = scrub_lines(ScrubState(True, 1_209_600.0), [SERVER, replace(SERVER, name="cs-2", scrub_age_s=None)], plain)
    assert lines[0] == "  scrub: paused (dstore scrub resume), every chunk within 14 d"
    assert [line.split() for line in lines[2:]] == [
        ["cs-1", "42%", "2", "h", "ago", "2"],
        ["cs-2", "42%", "-", "2"],
    ]
    assert scrub_lines(ScrubState(False, 0.0), [SERVER], plain) == [
        "  scrub: off (the master was started with --scrub-period 0s)"
    ]
