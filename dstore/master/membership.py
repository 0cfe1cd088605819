"""Which chunkservers there are, and how they are doing.

    (register) ──► UP ──(no beat for 3 s)──► SUSPECT ──(no beat for 6 s)──► DOWN ──(out_after_s)──► OUT
                    ▲ ▲                       ▲  │                           │                      │
                    │ └──(disk slow or bad)───┘  │                           │                      │
                    └─────────(heartbeat)────────┴───────────────────────────┴──────────────────────┘

Who has joined, what operators told it and whether it is OUT is stored; heartbeats live in memory, on a clock that never
goes back. After a restart of the master a server that has not reported yet counts as SUSPECT until it does, or until it
should have, and the time until it is OUT starts again. A disk that takes no writes makes a server OUT after the same
time, though it still reports.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dstore.core.errors import AlreadyExists, LimitExceeded, NotFound, NotReady
from dstore.core.groups import Capacity, Duty, ServerIdentity, ServerPhase
from dstore.core.ids import ServerId
from dstore.core.limits import PROBE_SLOW_S, SERVER_DOWN_AFTER_S, SERVER_SUSPECT_AFTER_S, SERVERS_MAX
from dstore.core.traffic import NO_TRAFFIC, Traffic
from dstore.core.upkeep import Heartbeat
from dstore.master.placement import ServerView
from dstore.master.server_rows import ServerRecord
from dstore.master.traffic import TrafficMeter
from dstore.master.views import PlannedServer

_UNKNOWN_CAPACITY = Capacity(0, 0)


@dataclass(frozen=True, slots=True)
class ServerState:
    """A chunkserver at one moment.

    Attributes:
        age_s: since the last beat; None when there was none since the start.
        heartbeat: the last one of the present run of its process.
        counted_after_s: what the heartbeat reports was counted after this moment; None when that is not known.
        clock_offset_s: how far its wall clock was ahead of the master's when its last beat came; for people.
        useless_s: for how long it could not be counted on: since its last beat, or since its disk takes no writes.
        traffic: what it moves; without rates when it is not heard.
    """

    record: ServerRecord
    phase: ServerPhase
    age_s: float | None
    heartbeat: Heartbeat | None
    counted_after_s: float | None = None
    clock_offset_s: float = 0.0
    useless_s: float = 0.0
    traffic: Traffic = NO_TRAFFIC

    @property
    def capacity(self) -> Capacity:
        """Of its disk; 0 bytes until it has reported."""
        return self.heartbeat.capacity if self.heartbeat is not None else _UNKNOWN_CAPACITY

    @property
    def suspicion(self) -> str:
        """Why its disk takes no writes; empty when it is good."""
        return self.heartbeat.suspicion if self.heartbeat is not None else ""

    @property
    def is_slow(self) -> bool:
        """Whether it is suspect for nothing but a slow disk."""
        return self.phase is ServerPhase.SUSPECT and self.is_heard and self.heartbeat is not None and not self.suspicion

    @property
    def is_heard(self) -> bool:
        """Whether its beats arrive, however good its disk is."""
        return self.age_s is not None and self.age_s < SERVER_SUSPECT_AFTER_S

    @property
    def is_readable(self) -> bool:
        """Whether it may be asked for chunks: it is there, or was a moment ago."""
        return self.phase in (ServerPhase.UP, ServerPhase.SUSPECT) or (
            self.phase is ServerPhase.OUT and self.is_heard and self.heartbeat is not None
        )

    @property
    def view(self) -> ServerView:
        """What placement needs of it."""
        return ServerView(self.record.server_id, self.record.labels, self.phase, self.capacity, self.record.duty)

    @property
    def planned(self) -> PlannedServer:
        """What the planners of upkeep need of it."""
        record = self.record
        return PlannedServer(record.server_id, record.name, record.labels, self.phase, record.duty, self.capacity)


@dataclass(slots=True)
class _Live:
    record: ServerRecord
    seen_s: float | None = None
    heartbeat: Heartbeat | None = None
    counted_after_s: float | None = None
    clock_offset_s: float = 0.0
    suspicious_since_s: float | None = None
    traffic: TrafficMeter = field(default_factory=TrafficMeter)


def phase_of(age_s: float, *, reported: bool) -> ServerPhase:
    """Return the phase of a server whose last beat (or, without one, the master's start) is ``age_s`` ago."""
    if age_s >= SERVER_DOWN_AFTER_S:
        return ServerPhase.DOWN
    if age_s >= SERVER_SUSPECT_AFTER_S or not reported:
        return ServerPhase.SUSPECT
    return ServerPhase.UP


def is_disk_suspect(heartbeat: Heartbeat) -> bool:
    """Whether a report says that the disk is slow, stuck, or takes no writes."""
    probe = heartbeat.probe
    return bool(heartbeat.suspicion) or max(probe.latency_s, probe.pending_s) >= PROBE_SLOW_S


class Membership:
    """The live state of all chunkservers."""

    def __init__(self, records: Iterable[ServerRecord], started_s: float) -> None:
        self._started_s = started_s
        self._servers = {record.server_id: _Live(record) for record in records}

    def states(self, now_s: float) -> dict[ServerId, ServerState]:
        """Return all servers as they are now."""
        return {server_id: self._state(live, now_s) for server_id, live in self._servers.items()}

    def state(self, server_id: ServerId, now_s: float) -> ServerState | None:
        """Return one server as it is now."""
        live = self._servers.get(server_id)
        return None if live is None else self._state(live, now_s)

    def address(self, server_id: ServerId) -> str | None:
        """Return where a server is reached; None for one that is not known."""
        live = self._servers.get(server_id)
        return None if live is None else live.record.address

    def check_admission(self, identity: ServerIdentity, now_s: float) -> None:
        """Refuse a second process on a disk whose first one is up.

        A restarted server comes back with another boot id at the address that it had, which only one process can
        have; elsewhere it is admitted once the one before has missed beats.

        Raises:
            AlreadyExists: reason ``SERVER_ALREADY_RUNNING``.
            LimitExceeded: reason ``TOO_MANY_SERVERS``.
        """
        known = self.state(identity.server_id, now_s)
        if known is None and len(self._servers) >= SERVERS_MAX:
            raise LimitExceeded(
                f"{SERVERS_MAX} chunkservers have joined already; start another cluster.", reason="TOO_MANY_SERVERS"
            )
        if (
            known is not None
            and known.is_heard
            and known.heartbeat is not None
            and known.record.boot_id != identity.boot_id
            and known.record.address != identity.address
        ):
            raise AlreadyExists(
                f"A chunkserver with this disk ({known.record.name}) is up at {known.record.address}; stop that one, "
                f"or wait {SERVER_SUSPECT_AFTER_S:.0f} s after it died.",
                reason="SERVER_ALREADY_RUNNING",
                metadata={"server_id": identity.server_id, "address": known.record.address},
            )

    def joined(self, record: ServerRecord, now_s: float) -> None:
        """Take note of a server whose row is stored; joining counts as a beat.

        What another run of its process reported says nothing about this one: its disk may be another.
        """
        known = self._servers.get(record.server_id)
        if known is not None and known.record.incarnation > record.incarnation:
            return
        if known is not None and known.record.boot_id == record.boot_id:
            self._servers[record.server_id] = replace(known, record=record, seen_s=now_s)
        else:
            self._servers[record.server_id] = _Live(record, now_s)

    def changed(self, record: ServerRecord) -> None:
        """Take note of a row that was changed, for the run of the process that it is about."""
        known = self._servers.get(record.server_id)
        if known is not None and known.record.incarnation == record.incarnation:
            known.record = record

    def removed(self, server_id: ServerId) -> None:
        """Forget a server whose row was deleted."""
        self._servers.pop(server_id, None)

    def heard(self, heartbeat: Heartbeat, now_s: float, wall_ns: int) -> None:
        """Take note of a heartbeat; ``wall_ns`` is now by the master's wall clock.

        Raises:
            NotFound: reason ``SERVER_UNKNOWN``.
            NotReady: reason ``SERVER_REPLACED``.
        """
        live = self._servers.get(heartbeat.server_id)
        if live is None:
            raise NotFound(
                f"The server {heartbeat.server_id[:64]} has not joined; register first.",
                reason="SERVER_UNKNOWN",
                metadata={"server_id": heartbeat.server_id[:64]},
            )
        record = live.record
        if record.boot_id != heartbeat.boot_id or heartbeat.incarnation != record.incarnation:
            raise NotReady(
                f"Another process registered the disk of {record.name} after this one; stop this process.",
                reason="SERVER_REPLACED",
                metadata={"server_id": heartbeat.server_id},
            )
        # A server reports again only after its last call was answered.
        live.counted_after_s = live.seen_s
        live.seen_s = now_s
        live.heartbeat = heartbeat
        live.traffic.sample(heartbeat, now_s)
        live.clock_offset_s = (heartbeat.sent_ns - wall_ns) / 1e9 if heartbeat.sent_ns else 0.0
        if not heartbeat.suspicion:
            live.suspicious_since_s = None
        elif live.suspicious_since_s is None:
            live.suspicious_since_s = now_s

    def excuse(self, duration_s: float, now_s: float) -> None:
        """Leave out of account that nobody was heard for a while, because this master itself stood still."""
        self._started_s = min(now_s, self._started_s + duration_s)
        for live in self._servers.values():
            if live.seen_s is not None:
                live.seen_s = min(now_s, live.seen_s + duration_s)
            if live.suspicious_since_s is not None:
                live.suspicious_since_s = min(now_s, live.suspicious_since_s + duration_s)

    def _state(self, live: _Live, now_s: float) -> ServerState:
        age_s = None if live.seen_s is None else max(0.0, now_s - live.seen_s)
        away_s = now_s - self._started_s if age_s is None else age_s
        phase = phase_of(away_s, reported=live.heartbeat is not None)
        useless_s = away_s
        if live.suspicious_since_s is not None:
            useless_s = max(away_s, now_s - live.suspicious_since_s)
        if phase is ServerPhase.UP and live.heartbeat is not None and is_disk_suspect(live.heartbeat):
            phase = ServerPhase.SUSPECT
        if live.record.is_out:
            phase = ServerPhase.OUT
        return ServerState(
            live.record,
            phase,
            age_s,
            live.heartbeat,
            live.counted_after_s,
            live.clock_offset_s,
            useless_s,
            live.traffic.now(is_heard=age_s is not None and age_s < SERVER_SUSPECT_AFTER_S),
        )


def goes_out(state: ServerState, out_after_s: float) -> bool:
    """Whether the groups of a server should get other members: it was useless for too long, unexpectedly."""
    return (
        not state.record.is_out
        and state.record.duty is not Duty.MAINTENANCE
        and (state.phase is ServerPhase.DOWN or bool(state.suspicion))
        and state.useless_s >= out_after_s
    )
