"""What fsck, collection and safe-mode say."""

from dataclasses import replace

import pytest

from dstore.cli.upkeep_text import collection_lines, finding_line, safe_mode_lines, summary_line
from dstore.core.checking import (
    CheckSummary,
    CollectionState,
    CollectionStatus,
    Finding,
    FindingKind,
    SafeModeStatus,
    Severity,
)
from dstore.core.ids import ChunkId, GroupId

CLEAN = CheckSummary(3, 2, 31, 93, 0, 0, 0, 0, True)
RUNNING = CollectionStatus(CollectionState.RUNNING, "", 5, 3, 0, 0, None)


def plain(text: str, style: str) -> str:
    return text


def test_a_finding_is_one_line() -> None:
    finding = Finding(
        FindingKind.REPLICA_LOST,
        Severity.WARN,
        "cs-1 should hold a copy and does not list it",
        "dstore fsck --repair",
        path="/a\nb",
        chunk_id=ChunkId(GroupId(1), 2),
        server="cs-1",
    )
    line = finding_line(finding, plain)
    assert "\n" not in line
    assert line.startswith("WARN  REPLICA_LOST  /a")
    assert line.endswith(
        "chunk 00000001-0000000000000002: cs-1 should hold a copy and does not list it → dstore fsck --repair"
    )
    assert finding_line(replace(finding, is_repaired=True), plain).endswith("[repair begun]")


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (CLEAN, "OK: 3 files, 2 directories, 31 chunks, 93 copies; nothing is wrong."),
        (replace(CLEAN, infos=2), "OK: 3 files, 2 directories, 31 chunks, 93 copies; nothing is wrong."),
        (replace(CLEAN, warnings=1), "NOT OK: 3 files, 2 directories, 31 chunks, 93 copies; 1 warning."),
        (
            replace(CLEAN, errors=1, warnings=2, repaired=1),
            "DAMAGED: 3 files, 2 directories, 31 chunks, 93 copies; 1 error and 2 warnings; 1 being repaired.",
        ),
        (
            replace(CLEAN, warnings=1, is_complete=False),
            "NOT OK: 3 files, 2 directories, 31 chunks, 93 copies; 1 warning; not everything could be looked at.",
        ),
    ],
)
def test_a_summary_says_whether_all_is_well(summary: CheckSummary, expected: str) -> None:
    assert summary_line(summary, plain) == expected
    assert summary.is_clean == expected.startswith("OK")


def test_a_collection_that_does_not_run_says_why_and_what_helps() -> None:
    assert collection_lines(RUNNING, plain) == [
        "  collection: running",
        "  deleted:    5 chunks still on disks, 3 being discarded",
    ]
    stopped = replace(RUNNING, state=CollectionState.STOPPED, reason="cs-1 would lose all.", owed_chunks=1)
    lines = collection_lines(stopped, plain)
    assert lines[0] == "  collection: stopped — cs-1 would lose all."
    assert "1 copy on servers that are away" in lines[2]
    assert lines[-1].endswith("dstore collection approve")


def test_safe_mode_says_what_leaving_means() -> None:
    off = SafeModeStatus(False, "", "h-2", ("h-1",))
    assert safe_mode_lines(off, plain) == ["  safe mode: off", "  history:   h-2"]
    lines = safe_mode_lines(replace(off, is_on=True, reason="cs-1 saw more"), plain)
    assert lines[0] == "  safe mode: on — cs-1 saw more"
    assert lines[-1].endswith("dstore safe-mode leave")
