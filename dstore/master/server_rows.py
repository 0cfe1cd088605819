"""The rows of chunkservers: who has joined, what operators told them, and who is out."""

from dataclasses import dataclass
from typing import Any

from dstore.core.errors import AlreadyExists, NotReady
from dstore.core.groups import Duty, ServerIdentity, ServerLabels
from dstore.core.ids import BootId, ServerId
from dstore.master.store.base import Transaction

_SELECT = (
    "SELECT server_id, name, boot_id, address, http_address, host, rack, version, incarnation, duty, is_out, "
    "maintenance_until_s FROM servers"
)


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A chunkserver that has joined, as it is stored.

    Attributes:
        incarnation: counts the runs of its process that joined.
        is_out: it was away for too long, and its groups get other members.
        maintenance_until_s: of the running time; means something only while the duty is MAINTENANCE.
    """

    server_id: ServerId
    name: str
    boot_id: BootId
    address: str
    http_address: str
    labels: ServerLabels
    version: str
    incarnation: int = 1
    duty: Duty = Duty.ACTIVE
    is_out: bool = False
    maintenance_until_s: int = 0


def store_server(tx: Transaction, identity: ServerIdentity, now_ns: int) -> ServerRecord:
    """Store a server that joins or comes back; whoever joins is not out any more.

    Raises:
        AlreadyExists: reason ``SERVER_NAME_TAKEN``.
        NotReady: reason ``SERVER_REMOVED``.
    """
    if tx.execute("SELECT 1 FROM meta WHERE name = ?", (_removed(identity.server_id),)):
        raise NotReady(
            f"The disk of {identity.name} was removed from this cluster; start the chunkserver with an empty directory "
            "to join again.",
            reason="SERVER_REMOVED",
            metadata={"server_id": identity.server_id},
        )
    taken = tx.execute(
        "SELECT server_id FROM servers WHERE name = ? AND server_id <> ?", (identity.name, identity.server_id)
    )
    if taken:
        raise AlreadyExists(
            f"The name {identity.name} belongs to another disk ({taken[0][0]}); choose another name.",
            reason="SERVER_NAME_TAKEN",
            metadata={"name": identity.name, "server_id": taken[0][0]},
        )
    # A repeated call of one run of a process changes nothing: its reports go on.
    tx.execute(
        "INSERT INTO servers (server_id, name, boot_id, address, http_address, host, rack, version, joined_ns, "
        "incarnation, duty, is_out, maintenance_until_s, missing_chunk_count) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'active', 0, 0, 0) "
        "ON CONFLICT (server_id) DO UPDATE SET name = excluded.name, boot_id = excluded.boot_id, "
        "address = excluded.address, http_address = excluded.http_address, host = excluded.host, "
        "rack = excluded.rack, version = excluded.version, is_out = 0, "
        "incarnation = servers.incarnation + CASE WHEN servers.boot_id = excluded.boot_id THEN 0 ELSE 1 END",
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
    record = read_server(tx, identity.server_id)
    assert record is not None
    return record


def read_server(tx: Transaction, server_id: ServerId) -> ServerRecord | None:
    """Return one server; None when it has not joined, or was removed."""
    rows = tx.execute(_SELECT + " WHERE server_id = ?", (server_id,))
    return _record(rows[0]) if rows else None


def load_servers(tx: Transaction) -> tuple[ServerRecord, ...]:
    """Return all servers that have joined."""
    return tuple(_record(row) for row in tx.execute(_SELECT))


def set_out(tx: Transaction, server_id: ServerId, incarnation: int) -> ServerRecord | None:
    """Put a server out, unless it joined again meanwhile; return its row as it is then."""
    tx.execute("UPDATE servers SET is_out = 1 WHERE server_id = ? AND incarnation = ?", (server_id, incarnation))
    return read_server(tx, server_id)


def clear_out(tx: Transaction, server_id: ServerId) -> ServerRecord | None:
    """Take a server back that reports again; return its row, None when it was removed."""
    tx.execute("UPDATE servers SET is_out = 0 WHERE server_id = ?", (server_id,))
    return read_server(tx, server_id)


def set_duty(tx: Transaction, server_id: ServerId, duty: Duty, maintenance_until_s: int) -> ServerRecord | None:
    """Store what an operator told a server; return its row, None when it was removed."""
    tx.execute(
        "UPDATE servers SET duty = ?, maintenance_until_s = ? WHERE server_id = ?",
        (duty.value, maintenance_until_s, server_id),
    )
    return read_server(tx, server_id)


def off_duty(tx: Transaction) -> frozenset[tuple[ServerId, Duty]]:
    """Return the servers that operators put into maintenance or drain."""
    rows = tx.execute("SELECT server_id, duty FROM servers WHERE duty <> 'active'")
    return frozenset((ServerId(server_id), Duty(duty)) for server_id, duty in rows)


def end_maintenance(tx: Transaction, running_s: int) -> tuple[ServerRecord, ...]:
    """Make the servers active whose maintenance is over; return their rows."""
    ended = tx.execute(
        "UPDATE servers SET duty = 'active' WHERE duty = 'maintenance' AND maintenance_until_s <= ? "
        "RETURNING server_id",
        (running_s,),
    )
    records = (read_server(tx, server_id) for (server_id,) in ended)
    return tuple(record for record in records if record is not None)


def delete_server(tx: Transaction, server_id: ServerId) -> None:
    """Forget a server that is a member of no group; its disk cannot join again."""
    assert not tx.execute("SELECT 1 FROM group_members WHERE server_id = ? LIMIT 1", (server_id,)), "a member"
    tx.execute("DELETE FROM servers WHERE server_id = ?", (server_id,))
    tx.execute("INSERT INTO meta (name, value) VALUES (?, '') ON CONFLICT DO NOTHING", (_removed(server_id),))


def _removed(server_id: ServerId) -> str:
    return f"removed {server_id}"


def _record(row: tuple[Any, ...]) -> ServerRecord:
    server_id, name, boot_id, address, http_address, host, rack, version, incarnation, duty, is_out, until_s = row
    return ServerRecord(
        server_id,
        name,
        boot_id,
        address,
        http_address,
        ServerLabels(host, rack),
        version,
        incarnation,
        Duty(duty),
        bool(is_out),
        until_s,
    )
