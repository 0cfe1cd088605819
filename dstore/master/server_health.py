"""What is wrong with single chunkservers, each with the command that helps."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from dstore.core.groups import Duty, ServerPhase
from dstore.core.limits import (
    CLOCK_OFFSET_TOLD_S,
    FILL_PLACEMENT_MAX,
    FILL_WRITE_MAX,
    PROBE_SLOW_S,
    UNSYNCED_AGE_TOLD_S,
)
from dstore.core.status import Health, HealthCheck
from dstore.master.membership import ServerState

#: Servers that are named one by one; a thousand lines about one broken switch would help nobody.
NAMED_MAX = 10


def about_servers(servers: Sequence[ServerState], running_s: int) -> list[HealthCheck]:
    """Return the reasons, at most so many of a kind; ``servers`` are sorted by name."""
    if not servers:
        return [
            HealthCheck(
                "NO_SERVERS", Health.ERROR, "No chunkserver has joined.", "dstore chunkserver run --help; dstore up"
            )
        ]
    checks = _named([state for state in servers if state.phase is not ServerPhase.UP], _about_absence)
    more = sum(state.phase is not ServerPhase.UP for state in servers) - len(checks)
    if more > 0:
        checks.append(warn("SERVERS_DOWN", f"{more} more chunkservers are not up.", "dstore node list"))
    on_duty = [state for state in servers if state.record.duty is Duty.MAINTENANCE]
    return (
        checks
        + [_about_maintenance(state, running_s) for state in on_duty[:NAMED_MAX]]
        + _named([state for state in servers if state.phase is not ServerPhase.DOWN], _about_space)
        + _named(servers, _about_corrupt_chunks)
        + _named(servers, _about_doubts)
        + _named(servers, _about_syncs)
        + _about_clocks([state for state in servers if state.is_heard])
    )


def warn(code: str, message: str, hint: str) -> HealthCheck:
    """Return a reason that is a warning."""
    return HealthCheck(code, Health.WARN, message, hint)


def _named(servers: Sequence[ServerState], describe: Callable[[ServerState], HealthCheck | None]) -> list[HealthCheck]:
    found: Iterator[HealthCheck | None] = map(describe, servers)
    return [check for check in found if check is not None][:NAMED_MAX]


def _about_absence(state: ServerState) -> HealthCheck:
    name = state.record.name
    since = f"no heartbeat for {state.age_s:.0f} s" if state.age_s is not None else "not heard since the master started"
    if state.suspicion:
        fate = "it is out, and its chunks go to others" if state.phase is ServerPhase.OUT else "it gets no new chunks"
        return warn(
            "DISK_SUSPECT",
            f"The disk of {name} takes no writes ({state.suspicion}); {fate}.",
            f"look at the log of {name}, replace the disk, then restart it",
        )
    if state.phase is ServerPhase.OUT:
        return warn(
            "SERVER_OUT",
            f"{name} is out: {since}. Its chunks are copied to others; it may come back, or be removed.",
            f"dstore node start {name}, or dstore node remove {name}",
        )
    if state.phase is ServerPhase.DOWN:
        return warn("SERVER_DOWN", f"{name} is down: {since}.", f"dstore node start {name}")
    if state.is_heard and state.heartbeat is not None:
        probe = state.heartbeat.probe
        return warn(
            "DISK_SLOW",
            f"The disk of {name} takes {max(probe.latency_s, probe.pending_s):.1f} s for a small write, more than "
            f"{PROBE_SLOW_S:.0f} s; it gets no new chunks.",
            f"look at the disk of {name}; dstore node drain {name} if it stays slow",
        )
    return warn("SERVER_SUSPECT", f"{name} missed heartbeats: {since}.", "dstore status")


def _about_doubts(state: ServerState) -> HealthCheck | None:
    doubts = state.heartbeat.doubts if state.heartbeat is not None else ()
    if not doubts:
        return None
    groups = "1 group is" if len(doubts) == 1 else f"{len(doubts)} groups are"
    return warn(
        "COPIES_IN_DOUBT",
        f"{state.record.name} ended, or failed, before all was synced that it had acknowledged as replicated; {groups} "
        "compared with what was committed.",
        "dstore status",
    )


def _about_syncs(state: ServerState) -> HealthCheck | None:
    unsynced = state.heartbeat.unsynced if state.heartbeat is not None else None
    if unsynced is None or unsynced.age_s < UNSYNCED_AGE_TOLD_S:
        return None
    return warn(
        "SYNCS_BEHIND",
        f"The disk of {state.record.name} does not keep up: what it acknowledged as replicated {unsynced.age_s:.0f} s "
        "ago is not synced.",
        f"look at the disk of {state.record.name}; write with --durability synced",
    )


def _about_maintenance(state: ServerState, running_s: int) -> HealthCheck:
    name, left_s = state.record.name, max(0, state.record.maintenance_until_s - running_s)
    return warn(
        "SERVER_IN_MAINTENANCE",
        f"{name} is in maintenance for {left_s // 60 + 1} more min: it gets no new chunks, and is not replaced while "
        "it is away.",
        f"dstore node activate {name}",
    )


def _about_space(state: ServerState) -> HealthCheck | None:
    fill = state.capacity.fill
    if state.capacity.total_bytes == 0 or fill < FILL_PLACEMENT_MAX:
        return None
    hint = "dstore rm, or add chunkservers"
    if fill >= FILL_WRITE_MAX:
        return warn("DISK_FULL", f"The disk of {state.record.name} is {fill:.0%} full and takes no writes.", hint)
    return warn("DISK_NEARLY_FULL", f"The disk of {state.record.name} is {fill:.0%} full and gets no new chunks.", hint)


def _about_corrupt_chunks(state: ServerState) -> HealthCheck | None:
    count = state.heartbeat.corrupt_chunk_count if state.heartbeat is not None else 0
    if not count:
        return None
    which = "1 chunk that failed its checks" if count == 1 else f"{count} chunks that failed their checks"
    return warn(
        "CHUNKS_CORRUPT",
        f"The disk of {state.record.name} holds {which}; other copies are read, and good ones are put in their place.",
        f"look at the disk of {state.record.name}; dstore node drain {state.record.name} if it happens again",
    )


def _about_clocks(servers: Sequence[ServerState]) -> list[HealthCheck]:
    """Return whose wall clock is not the one that most have, the master's among them."""
    offsets_s = sorted((0.0, *(state.clock_offset_s for state in servers)))
    common_s = min(statistics.median_low(offsets_s), statistics.median_high(offsets_s), key=abs)
    clocks = [
        ("the master", 0.0, "the times of files"),
        *((state.record.name, state.clock_offset_s, "the times in its log") for state in servers),
    ]
    checks = []
    for name, offset_s, shown in clocks:
        ahead_s = offset_s - common_s
        if abs(ahead_s) > CLOCK_OFFSET_TOLD_S:
            direction = "ahead" if ahead_s > 0 else "behind"
            effect = f"nothing is decided by it, but {shown} are wrong."
            message = f"The clock of {name} is {abs(ahead_s):,.0f} s {direction}; {effect}"
            checks.append(warn("CLOCK_WRONG", message, f"set the clock of {name} (timedatectl set-ntp true)"))
    return checks[:NAMED_MAX]
