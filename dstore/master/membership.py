"""Which chunkservers there are, and how they are doing.

    (register) ──► UP ──(no beat for 3 s)──► SUSPECT ──(no beat for 6 s)──► DOWN
                    ▲                            │                           │
                    └────────(heartbeat)─────────┴───────────────────────────┘

Who has joined is stored; heartbeats live in memory, on a clock that never goes back. After a restart of the master a
server that has not reported yet counts as SUSPECT until it does, or until it should have.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dstore.core.errors import AlreadyExists, InvalidRequest, LimitExceeded, NotFound, NotReady
from dstore.core.groups import Capacity, Replica, ServerIdentity, ServerLabels, ServerPhase
from dstore.core.ids import BootId, ClusterId, ServerId, parse_uuid
from dstore.core.limits import SERVER_DOWN_AFTER_S, SERVER_NAME_SIZE_MAX, SERVER_SUSPECT_AFTER_S, SERVERS_MAX
from dstore.core.upkeep import Heartbeat
from dstore.master.placement import ServerView
from dstore.master.store.base import Transaction

_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{SERVER_NAME_SIZE_MAX}}}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253}):([0-9]{1,5})")
_LABEL_SIZE_MAX = 255
_UNKNOWN_CAPACITY = Capacity(0, 0)


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A chunkserver that has joined, as it is stored."""

    server_id: ServerId
    name: str
    boot_id: BootId
    address: str
    http_address: str
    labels: ServerLabels
    version: str


@dataclass(frozen=True, slots=True)
class ServerState:
    """A chunkserver at one moment.

    Attributes:
        age_s: since the last beat; None when there was none since the start.
        heartbeat: the last one of the present run of its process.
        counted_after_s: what the heartbeat reports was counted after this moment; None when that is not known.
    """

    record: ServerRecord
    phase: ServerPhase
    age_s: float | None
    heartbeat: Heartbeat | None
    counted_after_s: float | None = None

    @property
    def capacity(self) -> Capacity:
        """Of its disk; 0 bytes until it has reported."""
        return self.heartbeat.capacity if self.heartbeat is not None else _UNKNOWN_CAPACITY

    @property
    def view(self) -> ServerView:
        """What placement needs of it."""
        return ServerView(self.record.server_id, self.record.labels, self.phase, self.capacity)

    @property
    def replica(self) -> Replica:
        """What clients need of it."""
        return Replica(self.record.server_id, self.record.name, self.record.address, self.phase)


@dataclass(slots=True)
class _Live:
    record: ServerRecord
    seen_s: float | None = None
    heartbeat: Heartbeat | None = None
    counted_after_s: float | None = None


def phase_of(age_s: float, *, reported: bool) -> ServerPhase:
    """Return the phase of a server whose last beat (or, without one, the master's start) is ``age_s`` ago."""
    if age_s >= SERVER_DOWN_AFTER_S:
        return ServerPhase.DOWN
    if age_s >= SERVER_SUSPECT_AFTER_S or not reported:
        return ServerPhase.SUSPECT
    return ServerPhase.UP


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
            and known.phase is ServerPhase.UP
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
        if known is not None and known.record.boot_id == record.boot_id:
            self._servers[record.server_id] = replace(known, record=record, seen_s=now_s)
        else:
            self._servers[record.server_id] = _Live(record, now_s)

    def heard(self, heartbeat: Heartbeat, now_s: float) -> None:
        """Take note of a heartbeat.

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
        if live.record.boot_id != heartbeat.boot_id:
            raise NotReady(
                f"Another process registered the disk of {live.record.name} after this one; stop this process.",
                reason="SERVER_REPLACED",
                metadata={"server_id": heartbeat.server_id},
            )
        # A server reports again only after its last call was answered.
        live.counted_after_s = live.seen_s
        live.seen_s = now_s
        live.heartbeat = heartbeat

    def _state(self, live: _Live, now_s: float) -> ServerState:
        if live.seen_s is None:
            phase = phase_of(now_s - self._started_s, reported=False)
            return ServerState(live.record, phase, None, live.heartbeat)
        age_s = max(0.0, now_s - live.seen_s)
        phase = phase_of(age_s, reported=live.heartbeat is not None)
        return ServerState(live.record, phase, age_s, live.heartbeat, live.counted_after_s)


def check_identity(identity: ServerIdentity, cluster_id: ClusterId) -> None:
    """Refuse an identity that is malformed or of another cluster.

    Raises:
        InvalidRequest: reason ``SERVER_IDENTITY_INVALID``.
        NotReady: reason ``WRONG_CLUSTER``.
    """
    try:
        parse_uuid(identity.server_id, what="server id")
        parse_uuid(identity.boot_id, what="boot id")
        if identity.cluster_id is not None:
            parse_uuid(identity.cluster_id, what="cluster id")
    except InvalidRequest as error:
        raise _identity_invalid(error.message) from error
    if _NAME.fullmatch(identity.name) is None:
        raise _identity_invalid(
            f"The name {identity.name[:80]!r} is not 1 to {SERVER_NAME_SIZE_MAX} letters, digits, '-', '_' and '.'."
        )
    for what, address in (("address", identity.address), ("HTTP address", identity.http_address)):
        match = _ADDRESS.fullmatch(address)
        if (match is None or not 0 < int(match[2]) < 1 << 16) and (address or what == "address"):
            raise _identity_invalid(f"The {what} {address[:80]!r} is not host:port.")
    for what, label in (("host", identity.labels.host), ("rack", identity.labels.rack), ("version", identity.version)):
        if len(label) > _LABEL_SIZE_MAX or not label.isprintable():
            raise _identity_invalid(f"The {what} {label[:80]!r} is longer than {_LABEL_SIZE_MAX} or not printable.")
    if identity.cluster_id is not None and identity.cluster_id != cluster_id:
        raise NotReady(
            f"The disk of {identity.name} belongs to cluster {identity.cluster_id}, this is {cluster_id}; start it "
            "with the master of its own cluster, or with an empty directory.",
            reason="WRONG_CLUSTER",
            metadata={"disk_cluster_id": identity.cluster_id, "cluster_id": cluster_id},
        )


def store_server(tx: Transaction, identity: ServerIdentity, now_ns: int) -> ServerRecord:
    """Store a server that joins or comes back.

    Raises:
        AlreadyExists: reason ``SERVER_NAME_TAKEN``.
    """
    taken = tx.execute(
        "SELECT server_id FROM servers WHERE name = ? AND server_id <> ?", (identity.name, identity.server_id)
    )
    if taken:
        raise AlreadyExists(
            f"The name {identity.name} belongs to another disk ({taken[0][0]}); choose another name.",
            reason="SERVER_NAME_TAKEN",
            metadata={"name": identity.name, "server_id": taken[0][0]},
        )
    tx.execute(
        "INSERT INTO servers (server_id, name, boot_id, address, http_address, host, rack, version, joined_ns, "
        "incarnation, duty, is_out, maintenance_until_s, missing_chunk_count) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'active', 0, 0, 0) "
        "ON CONFLICT (server_id) DO UPDATE SET name = excluded.name, boot_id = excluded.boot_id, "
        "address = excluded.address, http_address = excluded.http_address, host = excluded.host, "
        "rack = excluded.rack, version = excluded.version, incarnation = servers.incarnation + 1",
        (
            identity.server_id,
            identity.name,
            identity.boot_id,
            identity.address,
            identity.http_address,
            identity.labels.host,
            identity.labels.rack,
            identity.version,
            now_ns,
        ),
    )
    return ServerRecord(
        server_id=identity.server_id,
        name=identity.name,
        boot_id=identity.boot_id,
        address=identity.address,
        http_address=identity.http_address,
        labels=identity.labels,
        version=identity.version,
    )


def load_servers(tx: Transaction) -> tuple[ServerRecord, ...]:
    """Return all servers that have joined."""
    rows = tx.execute("SELECT server_id, name, boot_id, address, http_address, host, rack, version FROM servers")
    return tuple(
        ServerRecord(server_id, name, boot_id, address, http_address, ServerLabels(host, rack), version)
        for server_id, name, boot_id, address, http_address, host, rack, version in rows
    )


def _identity_invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"{why} Correct the chunkserver's settings.", reason="SERVER_IDENTITY_INVALID")
