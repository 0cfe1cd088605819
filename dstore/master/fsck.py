"""The check of a whole cluster: namespace against chunks against what chunkservers list; without keys.

Nothing stands still meanwhile. Rows are read in pages, each consistent in itself; what could come from looking at
different moments is looked at twice. With ``repair``, copies that are gone are recorded as missing, so that the
ordinary repair makes them again, and counters are counted anew; nothing is ever deleted.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from dstore.core.checking import CheckSummary, Finding, FindingKind, Severity
from dstore.core.groups import ServerPhase
from dstore.core.ids import ChunkId, GroupId, ServerId
from dstore.core.interfaces import Peers
from dstore.core.limits import FINDINGS_PER_KIND_MAX
from dstore.master import findings
from dstore.master.counter_check import check_counters, repair_counters
from dstore.master.group_check import CheckedRange, GroupCheck, corrupt_in, record_missing, sources_of
from dstore.master.namespace_check import PASSES, check_chunk_tables, describe_path
from dstore.master.replica_check import Problem, Window
from dstore.master.shared import Shared


class Fsck:
    """One check. ``run`` is used once."""

    def __init__(self, shared: Shared, peers: Peers, *, repair: bool) -> None:
        self._shared = shared
        self._peers = peers
        self._repair = repair
        self._states = shared.membership.states(shared.clock.monotonic_s())
        self._counts: Counter[FindingKind] = Counter()
        self._severities: Counter[Severity] = Counter()
        self._repaired = 0
        self._files = self._directories = self._chunks = self._replicas = 0
        self._failures: dict[ServerId, str] = {}
        self._deleted_held: Counter[ServerId] = Counter()

    async def run(self) -> AsyncIterator[Finding | CheckSummary]:
        """Yield the findings as they are made, then the summary."""
        for part in (self._check_namespace(), self._check_rows(), self._check_groups(), self._check_servers()):
            async for finding in part:
                self._counts[finding.kind] += 1
                if self._counts[finding.kind] <= FINDINGS_PER_KIND_MAX:
                    yield finding
                self._severities[finding.severity] += 1
                self._repaired += finding.is_repaired
        for kind, count in self._counts.items():
            if count > FINDINGS_PER_KIND_MAX:
                yield findings.more(kind, count - FINDINGS_PER_KIND_MAX)
        yield CheckSummary(
            files=self._files,
            directories=self._directories,
            chunks=self._chunks,
            replicas=self._replicas,
            infos=self._severities[Severity.INFO],
            warnings=self._severities[Severity.WARN],
            errors=self._severities[Severity.ERROR],
            repaired=self._repaired,
            is_complete=not self._failures,
        )

    async def _check_namespace(self) -> AsyncIterator[Finding]:
        for check, first in PASSES:
            position: tuple[int, bytes] | None = first
            while position is not None:
                page = await self._shared.store.read(lambda tx, at=position, look=check: look(tx, at))  # type: ignore[misc]
                self._files += page.files
                self._directories += page.directories
                position = page.position
                for finding in page.findings:
                    yield finding

    async def _check_rows(self) -> AsyncIterator[Finding]:
        store = self._shared.store
        found = (*await store.read(check_chunk_tables), *await store.read(check_counters))
        cured = {FindingKind.COUNTER_OFF, FindingKind.MISSING_ROW_WITHOUT_CHUNK}
        is_repaired = self._repair and any(finding.kind in cured for finding in found)
        if is_repaired:
            await store.write(repair_counters)
        for finding in found:
            yield replace(finding, is_repaired=is_repaired and finding.kind in cured)

    async def _check_groups(self) -> AsyncIterator[Finding]:
        for group_id in sorted(self._shared.allocator.groups.by_id):
            group = self._shared.allocator.groups.by_id.get(group_id)
            if group is None:
                continue
            sources = sources_of(self._states, group, self._peers)
            # One that did not answer is not waited for again with every group.
            asked = {server_id: chunks for server_id, chunks in sources.items() if server_id not in self._failures}
            check = GroupCheck(self._shared.store, group_id, asked, corrupt_in(self._states, group_id))
            async for checked in check.run():
                self._chunks += len(checked.window.rows)
                self._replicas += checked.replicas
                self._deleted_held.update(checked.deleted_held)
                for finding in await self._describe(group_id, checked, check):
                    yield finding
            for server_id, error in check.failures.items():
                self._failures.setdefault(server_id, error.message)

    async def _check_servers(self) -> AsyncIterator[Finding]:
        groups = self._shared.allocator.groups
        for server_id, state in sorted(self._states.items(), key=lambda item: item[1].record.name):
            name = state.record.name
            for summary in state.heartbeat.groups if state.heartbeat is not None else ():
                group = groups.by_id.get(summary.group_id)
                if summary.chunk_count and group is None:
                    yield findings.unknown_group(name, summary)
                elif summary.chunk_count and group is not None and server_id not in group.members:
                    yield findings.stray_group(name, summary)
            if self._deleted_held[server_id]:
                yield findings.deleted_held(name, self._deleted_held[server_id])
            if not state.is_readable:
                self._failures[server_id] = f"it is {state.phase.value}"
            if server_id in self._failures:
                yield findings.not_checked(name, self._failures[server_id], is_up=state.phase is ServerPhase.UP)

    async def _describe(self, group_id: GroupId, checked: CheckedRange, check: GroupCheck) -> list[Finding]:
        if not checked.problems:
            return []
        repaired: frozenset[Problem] = frozenset()
        if self._repair:
            repaired = await self._shared.store.write(lambda tx: record_missing(tx, group_id, checked))
        paths = await self._paths(checked.window, checked.problems)
        unasked = [self._name(each) for each in checked.window.members if each not in check.sources]
        return [
            findings.about_chunk(
                problem.trouble,
                ChunkId(group_id, problem.sequence),
                paths.get(problem.sequence, ""),
                self._states.get(problem.server_id) if problem.server_id is not None else None,
                unasked,
                is_repaired=problem in repaired,
            )
            for problem in checked.problems
        ]

    async def _paths(self, window: Window, problems: Iterable[Problem]) -> dict[int, str]:
        files = {each.sequence: window.rows[each.sequence].file_id for each in problems if each.sequence in window.rows}
        return await self._shared.store.read(
            lambda tx: {sequence: describe_path(tx, file_id) for sequence, file_id in files.items()}
        )

    def _name(self, server_id: ServerId) -> str:
        state = self._states.get(server_id)
        return state.record.name if state is not None else server_id
