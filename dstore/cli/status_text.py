"""The state of a cluster on one screen, as text: pure functions of what the master says."""

from collections.abc import Callable, Mapping, Sequence

from dstore.cli.quantities import count, format_duration
from dstore.core.groups import Duty, ServerPhase
from dstore.core.sizes import format_size
from dstore.core.status import ClusterStatus, Health, ServerStatus
from dstore.core.text import printable

Style = Callable[[str, str], str]

_HEALTH_STYLES = {Health.OK: "green", Health.WARN: "yellow", Health.ERROR: "red"}
_PHASE_STYLES = {
    ServerPhase.UP: "green",
    ServerPhase.SUSPECT: "yellow",
    ServerPhase.DOWN: "red",
    ServerPhase.OUT: "red",
}


def status_lines(status: ClusterStatus, style: Style) -> list[str]:
    """Return the lines of ``dstore status``; every reason for a bad health comes with the command that helps."""
    lines = [f"  health:  {style(status.health.value, _HEALTH_STYLES[status.health])}{_summary(status)}"]
    for check in status.checks:
        lines.append(f"           {style(check.code, _HEALTH_STYLES[check.severity])}  {check.message}")
        if check.hint not in ("", "dstore status"):
            lines.append(f"             → {check.hint}")
    lines.append(f"  nodes:   {status.servers_up}/{status.servers_total} up{_not_up(status)}")
    if status.leader_epoch and not status.is_leading:
        lines.append(f"  master:  {style('another one leads', 'yellow')}, or none does; this one only answers")
    policy = status.policy
    lines.append(
        f"  data:    {count(status.file_count, 'file')}, {count(status.directory_count, 'directory')}, "
        f"{format_size(status.logical_bytes)} logical, {format_size(status.stored_bytes)} stored "
        f"({policy.replicas} replicas)"
    )
    lines.append(
        f"  chunks:  {status.chunk_count} total, {status.unavailable_chunks} unavailable, "
        f"{status.under_replicated_chunks} under-replicated"
    )
    lines.append(groups_line(status))
    lines += _kept(status)
    lines += _unsynced(status)
    lines.append(
        f"  space:   {format_size(status.capacity.free_bytes)} free of {format_size(status.capacity.total_bytes)} "
        f"summed over chunkservers ({status.capacity.fill:.0%} used)"
    )
    lines.append(f"  writes:  {status.writes_in_progress} in progress")
    lines += moving_lines(status)
    lines.append(f"  cluster: {status.cluster_id}, dstore {status.version}")
    return lines


def moving_lines(status: ClusterStatus, *, is_always: bool = False) -> list[str]:
    """Return what moves: reads and writes, repair, scrub. Nothing of what stands still, unless ``is_always``."""
    lines = []
    per_s, repair = status.traffic.per_s, status.repair
    if is_always or per_s.read_bytes or per_s.write_bytes:
        lines.append(
            f"  io:      {format_size(per_s.read_bytes)}/s read, {format_size(per_s.write_bytes)}/s written, with all "
            "copies"
        )
    if repair.filling_copies or repair.left_bytes:
        left = "" if repair.left_s is None else f", {format_duration(repair.left_s)} left"
        groups = count(repair.filling_copies, "copy")
        lines.append(
            f"  repair:  {format_size(repair.left_bytes)} to copy, {groups} of placement groups to fill, "
            f"{format_size(repair.bytes_per_s)}/s{left}"
        )
    elif is_always:
        lines.append("  repair:  nothing to copy")
    if is_always or per_s.scrubbed_bytes:
        lines.append(f"  scrub:   {format_size(per_s.scrubbed_bytes)}/s checked")
    return lines


def groups_line(status: ClusterStatus) -> str:
    """Return the placement groups by their state."""
    states = status.group_states
    parts = [
        f"{number} {name}"
        for name, number in (
            ("whole", states.whole),
            ("filling", states.filling),
            ("degraded", states.degraded),
            ("unavailable", states.unavailable),
        )
        if number
    ]
    return f"  groups:  {status.group_count} total{''.join(f', {part}' for part in parts)}"


def health_style(health: Health) -> str:
    """Return the style in which a health is shown."""
    return _HEALTH_STYLES[health]


def phase_style(phase: ServerPhase) -> str:
    """Return the style in which a chunkserver is shown."""
    return _PHASE_STYLES[phase]


def node_lines(servers: tuple[ServerStatus, ...], pids: Mapping[str, int], style: Style, *, master: str) -> list[str]:
    """Return the table of ``dstore node list``; ``pids`` are those of servers that run on this machine."""
    rows = [("NAME", "STATE", "ADDRESS", "HEARD", "CHUNKS", "GROUPS", "FREE", "PID")]
    rows.append(("master", "up", master, "-", "-", "-", "-", _pid(pids, "master")))
    for server in servers:
        heard = server.last_heartbeat_age_s
        rows.append(
            (
                printable(server.name),
                server.phase.value + ("" if server.duty is Duty.ACTIVE else f", {server.duty.value}"),
                printable(server.address),
                "never" if heard is None else f"{format_duration(heard)} ago",
                str(server.chunk_count) + (f" (-{server.missing_chunk_count})" if server.missing_chunk_count else ""),
                str(server.group_count) + (f" (+{server.filling_count})" if server.filling_count else ""),
                format_size(server.capacity.free_bytes),
                _pid(pids, server.name),
            )
        )
    lines = table(rows)
    styles = ["bold", "green", *(_PHASE_STYLES[server.phase] for server in servers)]
    return [style(line, name) for line, name in zip(lines, styles, strict=True)]


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows of equal length as lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _summary(status: ClusterStatus) -> str:
    return f"  {status.summary}" if status.summary else ""


def _not_up(status: ClusterStatus) -> str:
    parts = []
    for server in status.servers:
        if server.phase is ServerPhase.UP:
            continue
        heard = server.last_heartbeat_age_s
        since = "" if heard is None else f" (last heard {format_duration(heard)} ago)"
        parts.append(f"{printable(server.name)} {server.phase.value}{since}")
    return "   " + ", ".join(parts) if parts else ""


def _kept(status: ClusterStatus) -> list[str]:
    """Return why space is not free although files were removed; nothing when there is no reason."""
    if not (status.retained_file_count or status.deleted_chunks or status.trashed_copies):
        return []
    parts = []
    if status.retained_file_count:
        files = count(status.retained_file_count, "removed or replaced file")
        parts.append(
            f"{files} ({format_size(status.retained_bytes)}), restorable for "
            f"{format_duration(status.policy.retention_s)}"
        )
    parts.append(count(status.deleted_chunks, "deleted chunk"))
    parts.append(f"{count(status.trashed_copies, 'copy')} in the trash")
    return [f"  kept:    {'; '.join(parts)}"]


def _unsynced(status: ClusterStatus) -> list[str]:
    """Return what a power loss now could take; nothing when everything is synced."""
    if not status.unsynced_copies:
        return []
    holders = count(sum(server.unsynced_chunk_count > 0 for server in status.servers), "chunkserver")
    copies = f"{count(status.unsynced_copies, 'copy')} ({format_size(status.unsynced_bytes)}) on {holders}"
    age = format_duration(status.unsynced_age_s)
    return [f"  unsynced: {copies}, up to {age} old: a chunk is lost if all machines that have it lose power now"]


def _pid(pids: Mapping[str, int], name: str) -> str:
    pid = pids.get(name)
    return "-" if pid is None else str(pid)
