"""What ``dstore doctor`` makes of what it measured: a pure function."""

from dataclasses import dataclass
from enum import Enum

from dstore.cli.quantities import format_duration
from dstore.core.groups import ServerPhase
from dstore.core.limits import CLOCK_OFFSET_TOLD_S, PROBE_SLOW_S
from dstore.core.status import ClusterStatus, Health, ServerStatus

#: `dstore sync` compares times, so a second is told where the servers themselves do not mind.
CLOCK_OFFSET_HERE_S = 2.0
#: Every piece of a transfer waits for an answer.
ROUND_TRIP_SLOW_S = 0.1
#: Acknowledging a write takes a few of these; a healthy disk needs some milliseconds.
DISK_SLOW_S = 0.25
#: A transfer with many jobs has a connection to each server, and each job its local file.
OPEN_FILES_FEW = 1024


class Verdict(Enum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of the check, the same in every version.
        subject: which server, or what on this machine.
        hint: what to do; empty when nothing is wrong.
    """

    name: str
    subject: str
    verdict: Verdict
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a cluster.

    Attributes:
        status: as the master tells it.
        client_version: of this installation.
        master_round_trip_s: of a call to the master.
        clock_ahead_s: of this machine before the master's, halfway between question and answer.
        round_trips_s: by the name of the server; None for one that did not answer.
    """

    status: ClusterStatus
    client_version: str
    master_round_trip_s: float
    clock_ahead_s: float
    round_trips_s: dict[str, float | None]


def diagnose(measured: Measured) -> list[Check]:
    """Return what is to be said of a cluster."""
    status = measured.status
    checks = [
        _version("master", status.version, measured.client_version),
        _round_trip("master", measured.master_round_trip_s),
        _clock("this machine", measured.clock_ahead_s, CLOCK_OFFSET_HERE_S + measured.master_round_trip_s),
    ]
    for server in status.servers:
        checks.append(_version(server.name, server.version, status.version))
        checks.append(_round_trip(server.name, measured.round_trips_s.get(server.name)))
        if server.last_heartbeat_age_s is not None:
            checks.append(_clock(server.name, server.clock_ahead_s, CLOCK_OFFSET_TOLD_S))
        if server.phase is ServerPhase.UP:
            checks.append(_disk(server))
    is_healthy = status.health is Health.OK
    verdict = Verdict.OK if is_healthy else Verdict.ERROR if status.health is Health.ERROR else Verdict.WARN
    message = f"{status.health.value}: {status.summary}"
    checks.append(Check("health", "cluster", verdict, message, "" if is_healthy else "dstore status"))
    return checks


def open_files(limit: int) -> Check:
    """Return what is to be said of how many files this process may have open."""
    message = f"{limit} open files are allowed"
    if limit >= OPEN_FILES_FEW:
        return Check("open_files", "this machine", Verdict.OK, message)
    return Check("open_files", "this machine", Verdict.WARN, message, f"ulimit -n {4 * OPEN_FILES_FEW}")


def _version(subject: str, version: str, other: str) -> Check:
    if version == other:
        return Check("version", subject, Verdict.OK, f"dstore {version}")
    message = f"dstore {version}, and the {'client' if subject == 'master' else 'master'} is {other}"
    return Check("version", subject, Verdict.WARN, message, "install the same version everywhere, servers first")


def _round_trip(subject: str, round_trip_s: float | None) -> Check:
    if round_trip_s is None:
        hint = f"see whether it runs (dstore node start {subject}), and whether its port is reached from here"
        return Check("round_trip", subject, Verdict.ERROR, "does not answer", hint)
    message = f"answers in {format_duration(round_trip_s)}"
    if round_trip_s <= ROUND_TRIP_SLOW_S:
        return Check("round_trip", subject, Verdict.OK, message)
    return Check("round_trip", subject, Verdict.WARN, message, "see what keeps the network or that machine busy")


def _clock(subject: str, ahead_s: float, told_s: float) -> Check:
    word = "ahead of" if ahead_s >= 0 else "behind"
    message = f"the clock is {format_duration(abs(ahead_s))} {word} the master's"
    if abs(ahead_s) <= told_s:
        return Check("clock", subject, Verdict.OK, message)
    return Check("clock", subject, Verdict.WARN, message, f"set the clock of {subject} (timedatectl set-ntp true)")


def _disk(server: ServerStatus) -> Check:
    if not server.probe_latency_s:
        return Check("disk", server.name, Verdict.OK, "no sync was measured yet")
    message = f"a small write and sync takes {format_duration(server.probe_latency_s)}"
    if server.probe_latency_s <= DISK_SLOW_S:
        return Check("disk", server.name, Verdict.OK, message)
    verdict = Verdict.ERROR if server.probe_latency_s > PROBE_SLOW_S else Verdict.WARN
    hint = f"see what else uses the disk of {server.name}, and its SMART values"
    return Check("disk", server.name, verdict, message, hint)
