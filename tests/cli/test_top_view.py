"""The screen of ``dstore top``: what stands on it, and that it fits."""

import dataclasses

import pytest
from test_status_text import STATUS, server

from dstore.cli.top_view import Screen, screen_lines
from dstore.core.groups import ServerPhase
from dstore.core.status import GroupStates, HealthCheck, RepairProgress
from dstore.core.traffic import ByteCounts, Traffic

MIB = 1024 * 1024
BUSY = dataclasses.replace(
    STATUS,
    servers=(
        dataclasses.replace(
            server(1, ServerPhase.UP, 0.2),
            traffic=Traffic(ByteCounts(), ByteCounts(3 * MIB, 2 * MIB, MIB, 0)),
        ),
        *STATUS.servers[1:],
    ),
    traffic=Traffic(ByteCounts(), ByteCounts(3 * MIB, 2 * MIB, MIB, 512)),
    repair=RepairProgress(4, 300 * MIB, 10 * MIB, 30.0),
    group_states=GroupStates(1, 2, 1, 0),
)


def shown(width: int = 160, height: int = 0, **changes: object) -> list[str]:
    status = dataclasses.replace(BUSY, **changes)  # type: ignore[arg-type]
    return [line.text for line in screen_lines(status, Screen("title", "", width, height))]


def test_health_with_reasons_throughput_repair_and_nodes() -> None:
    assert shown() == [
        "title",
        "HEALTH_WARN  1 chunkserver down",
        "  SERVER_DOWN  cs-2 is down.",
        "  SPACE_LOW  No room.",
        "",
        "  io:      3.0 MiB/s read, 2.0 MiB/s written, with all copies",
        "  repair:  300.0 MiB to copy, 4 copies of placement groups to fill, 10.0 MiB/s, 30 s left",
        "  scrub:   512 B/s checked",
        "  groups:  4 total, 1 whole, 2 filling, 1 degraded",
        "  space:   12.0 GiB of 30.0 GiB used (40%), 1 file, 5 chunks, 1 write in progress",
        "",
        "NAME  STATE    FILL                  READ      WRITE       COPY  SCRUB  CHUNKS  MISSING      HEARD",
        "cs-1  up       ████······  40%  3.0 MiB/s  2.0 MiB/s  1.0 MiB/s      -       5        0        now",
        "cs-2  down     ████······  40%          -          -          -      -       5        1  8.0 s ago",
        "cs-3  suspect  ████······  40%          -          -          -      -       5        0      never",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    lines = shown(width)
    assert max(map(len, lines)) <= width
    header = next(line for line in lines if line.startswith("NAME"))
    # What matters most stays longest.
    assert header.split()[:2] == ["NAME", "STATE"]
    assert ("WRITE" in header, "SCRUB" in header) == (width >= 40, width >= 100)


@pytest.mark.parametrize(("height", "last"), [(14, "… 2 more lines"), (15, "cs-3"), (16, "cs-3")])
def test_nothing_is_higher_than_the_terminal(height: int, last: str) -> None:
    lines = shown(height=height)
    assert len(lines) <= height and lines[-1].startswith(last)


def test_many_reasons_leave_room_for_the_nodes() -> None:
    checks = tuple(HealthCheck(f"C{number}", BUSY.health, "x", "") for number in range(6))
    lines = shown(checks=checks)
    assert "  and 2 more reasons: dstore status" in lines and not any("C4" in line for line in lines)


def test_what_was_known_before_is_shown_while_the_master_is_away() -> None:
    lines = screen_lines(BUSY, Screen("title", "It is\x1b[2J away.", 80))
    assert (lines[1].text, lines[1].style) == ("It is\\x1b[2J away.", "red")
