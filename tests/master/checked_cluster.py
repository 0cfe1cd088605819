"""A scripted cluster whose servers can be asked what they hold, with tiny pages."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from master_harness import MasterHarness
from scripted_servers import ScriptedCluster

from dstore.core.checking import CheckSummary, Finding, Severity
from dstore.core.ids import ChunkId
from dstore.master import group_check, listing, namespace_check
from dstore.master.store.base import Value


@dataclass
class CheckedCluster(ScriptedCluster):
    async def check(self, *, repair: bool = False) -> tuple[list[Finding], CheckSummary]:
        messages = [each async for each in self.harness.master.admin.check_cluster(repair=repair)]
        summary = messages.pop()
        assert isinstance(summary, CheckSummary)
        findings = [each for each in messages if isinstance(each, Finding)]
        assert len(findings) == len(messages)
        assert all(each.what and each.hint for each in findings)
        assert (summary.infos, summary.warnings, summary.errors) == tuple(
            sum(each.severity is severity for each in findings) for severity in Severity
        )
        return findings, summary

    async def sql(self, statement: str, *values: Value) -> None:
        await self.harness.store.write(lambda tx: tx.execute(statement, values))

    async def only(self) -> Finding:
        """Return the one thing that a check finds."""
        findings, _ = await self.check()
        assert len(findings) == 1, findings
        return findings[0]

    async def first_chunk(self) -> ChunkId:
        """Return the only chunk of /dir/deeper/b."""
        opened = await self.harness.namespace.open_file("/dir/deeper/b")
        return opened.page.chunks[0].chunk_id


async def open_checked(directory: Path, monkeypatch: pytest.MonkeyPatch) -> CheckedCluster:
    """Return four servers that hold three files; all pages are tiny."""
    monkeypatch.setattr(namespace_check, "CHECKED_ROWS_PER_PAGE", 2)
    monkeypatch.setattr(group_check, "CHECKED_ROWS_PER_PAGE", 2)
    monkeypatch.setattr(listing, "HELD_CHUNKS_PER_PAGE_MAX", 3)
    checked = CheckedCluster(MasterHarness(directory))
    await checked.open()
    await checked.join(1, 2, 3, 4)
    await checked.take_lead()
    await checked.rounds(2)
    await checked.harness.make_directory("/dir/deeper")
    for path, count in (("/dir/a", 30), ("/dir/deeper/b", 1), ("/empty", 0)):
        await checked.write(path, count)
    await checked.beat()
    return checked
