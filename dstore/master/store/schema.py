"""The tables of the metadata store, and what is fixed when a cluster is created.

Numbers that are read often (files, chunks of a group, missing replicas) are kept as counters in the
transaction that changes them, so that nothing has to count rows.
"""

from dataclasses import dataclass

from dstore.core.errors import NotReady
from dstore.core.files import Policy
from dstore.core.ids import ROOT_ID, ClusterId
from dstore.master import codec
from dstore.master.store.base import Transaction

SCHEMA_VERSION = 3

#: The end of rows that have not ended. As a literal in the indexes and views, since the engines use a partial index
#: only where they see that it fits.
LIVE = (1 << 63) - 1

#: Tables of short rows that are read by their key: the rows are in the tree of the key, so that there is one tree
#: less to search and to write. PostgreSQL has no such thing and needs none.
_IN_TREE_OF_KEY = frozenset({"entries", "chunks", "missing_replicas", "deleted_chunks", "owed_discards"})

#: Types as SQLite spells them; in PostgreSQL, INTEGER is BIGINT and BLOB is BYTEA. STRICT makes SQLite as
#: exact.
_TABLES = (
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    # A file, or a directory, from one transaction to another (dstore/master/history.py). `floor_version` of a
    # directory: the largest version that was visible in it and is not any more, so that a rename prepared before
    # cannot bring back an older one.
    """CREATE TABLE inodes (
        file_id INTEGER NOT NULL,
        from_txn INTEGER NOT NULL,
        to_txn INTEGER NOT NULL,
        kind TEXT NOT NULL,
        version INTEGER NOT NULL,
        first_version INTEGER NOT NULL,
        floor_version INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        chunk_count INTEGER NOT NULL,
        chunk_size_bytes INTEGER NOT NULL,
        created_ns INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        wrapped_keys TEXT NOT NULL,
        sealed_manifest BLOB NOT NULL
    )""",
    # All that a stat or a listing tells: the rows themselves hold whole small files and fill pages. It is unique by its
    # first two columns already.
    """CREATE UNIQUE INDEX inodes_by_id ON inodes (file_id, to_txn, kind, version, first_version, floor_version,
        size_bytes, chunk_count, chunk_size_bytes, created_ns, modified_ns)""",
    f"CREATE INDEX inodes_ended ON inodes (to_txn, file_id) WHERE to_txn < {LIVE}",
    f"CREATE VIEW live_inodes AS SELECT * FROM inodes WHERE to_txn = {LIVE}",  # noqa: S608
    f"CREATE VIEW ended_inodes AS SELECT * FROM inodes WHERE to_txn < {LIVE}",  # noqa: S608
    # Names are bytes, so that every engine and every collation sorts them as UTF-8. `ended_ns` and `ended_by` say
    # when (for people) and why an entry ended; 0 and '' while it lives. The live entries of a directory are next to
    # each other in the order of their names, however many have ended.
    """CREATE TABLE entries (
        parent_id INTEGER NOT NULL,
        to_txn INTEGER NOT NULL,
        name BLOB NOT NULL,
        from_txn INTEGER NOT NULL,
        file_id INTEGER NOT NULL,
        ended_ns INTEGER NOT NULL,
        ended_by TEXT NOT NULL,
        PRIMARY KEY (parent_id, to_txn, name)
    )""",
    "CREATE UNIQUE INDEX entries_of_files ON entries (file_id, to_txn)",
    f"CREATE INDEX entries_ended ON entries (to_txn, parent_id, name) WHERE to_txn < {LIVE}",
    f"CREATE INDEX entries_ended_at ON entries (parent_id, name, to_txn) WHERE to_txn < {LIVE}",
    f"CREATE VIEW live_entries AS SELECT * FROM entries WHERE to_txn = {LIVE}",  # noqa: S608
    f"CREATE VIEW ended_entries AS SELECT * FROM entries WHERE to_txn < {LIVE}",  # noqa: S608
    # What ended up to `collected_txn` is being deleted, and is gone for everybody.
    """CREATE VIEW kept_entries AS SELECT * FROM ended_entries
        WHERE to_txn > (SELECT value FROM counters WHERE name = 'collected_txn')""",
    # Which transactions had happened at which running time, some moments per retention.
    """CREATE TABLE moments (
        running_s INTEGER PRIMARY KEY,
        txn INTEGER NOT NULL,
        wall_ns INTEGER NOT NULL
    )""",
    """CREATE TABLE chunks (
        file_id INTEGER NOT NULL,
        chunk_index INTEGER NOT NULL,
        group_id INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        length_bytes INTEGER NOT NULL,
        crc32c INTEGER NOT NULL,
        header BLOB NOT NULL,
        PRIMARY KEY (file_id, chunk_index)
    )""",
    "CREATE INDEX chunks_by_id ON chunks (group_id, sequence)",
    # Replicas that a committed chunk should have and does not.
    """CREATE TABLE missing_replicas (
        group_id INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        server_id TEXT NOT NULL,
        length_bytes INTEGER NOT NULL,
        PRIMARY KEY (group_id, sequence, server_id)
    )""",
    "CREATE INDEX missing_replicas_by_server ON missing_replicas (server_id, group_id, sequence)",
    # Invariant 9: only what stands here may ever be deleted from a disk.
    """CREATE TABLE deleted_chunks (
        group_id INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        reason TEXT NOT NULL,
        deleted_ns INTEGER NOT NULL,
        deleted_running_s INTEGER NOT NULL,
        PRIMARY KEY (group_id, sequence)
    )""",
    "CREATE INDEX deleted_chunks_by_age ON deleted_chunks (deleted_running_s, group_id, sequence)",
    # Copies that servers may have which were away when the last row of the chunk went: to be discarded, too.
    """CREATE TABLE owed_discards (
        server_id TEXT NOT NULL,
        group_id INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (server_id, group_id, sequence)
    )""",
    """CREATE TABLE groups (
        group_id INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        chunk_count INTEGER NOT NULL,
        chunk_bytes INTEGER NOT NULL,
        missing_chunk_count INTEGER NOT NULL,
        missing_bytes INTEGER NOT NULL
    )""",
    """CREATE TABLE group_members (
        group_id INTEGER NOT NULL,
        position INTEGER NOT NULL,
        server_id TEXT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (group_id, position)
    )""",
    "CREATE INDEX group_members_by_server ON group_members (server_id)",
    """CREATE TABLE servers (
        server_id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        boot_id TEXT NOT NULL,
        address TEXT NOT NULL,
        http_address TEXT NOT NULL,
        host TEXT NOT NULL,
        rack TEXT NOT NULL,
        version TEXT NOT NULL,
        joined_ns INTEGER NOT NULL,
        incarnation INTEGER NOT NULL,
        duty TEXT NOT NULL,
        is_out INTEGER NOT NULL,
        maintenance_until_s INTEGER NOT NULL,
        missing_chunk_count INTEGER NOT NULL
    )""",
    # The master that runs the planners: one row. A beat that stands still is a leader that is gone.
    "CREATE TABLE leader (holder TEXT NOT NULL, epoch INTEGER NOT NULL, beat INTEGER NOT NULL)",
    """CREATE TABLE intents (
        intent_id TEXT PRIMARY KEY,
        file_id INTEGER NOT NULL,
        version INTEGER NOT NULL,
        minimum_version INTEGER NOT NULL,
        parent_id INTEGER NOT NULL,
        name BLOB NOT NULL,
        precondition TEXT NOT NULL,
        precondition_version INTEGER NOT NULL,
        created_ns INTEGER NOT NULL
    )""",
    "CREATE INDEX intents_by_name ON intents (parent_id, name)",
    "CREATE INDEX intents_by_file ON intents (file_id)",
    # Every chunk id that was given to an intent; from `chunk_index` on, NULL until the client says it is
    # written. `replicas`: the servers that acknowledged it, separated by commas.
    """CREATE TABLE intent_chunks (
        intent_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        group_id INTEGER NOT NULL,
        chunk_index INTEGER,
        length_bytes INTEGER,
        crc32c INTEGER,
        header BLOB,
        replicas TEXT,
        PRIMARY KEY (intent_id, sequence)
    )""",
    "CREATE INDEX intent_chunks_by_sequence ON intent_chunks (sequence)",
    # Answers to mutations (Invariant 4), with the running time at which they were stored: a wall clock that jumps
    # cannot make an answer disappear early.
    """CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        method TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        response TEXT NOT NULL,
        stored_running_s INTEGER NOT NULL
    )""",
    "CREATE INDEX requests_by_age ON requests (stored_running_s)",
)

_COUNTERS = {
    # The number of the last transaction that changed the namespace or deleted something.
    "txn": 0,
    "collected_txn": 0,
    # Seconds that the cluster's masters have been running.
    "running_s": 0,
    "version": 1,
    "file_id": int(ROOT_ID),
    "chunk_sequence": 0,
    "group_id": 0,
    # Counts changes of groups and their members, so that other masters notice them.
    "group_changes": 0,
    "files": 0,
    "directories": 1,
    "logical_bytes": 0,
    # Files that are retained and not live.
    "retained_files": 0,
    "retained_bytes": 0,
    "deleted_chunks": 0,
}


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """What is decided when a cluster is created.

    Attributes:
        history_id: of this line of metadata; a restore from a backup starts another one.
        policy: of the root directory.
    """

    cluster_id: ClusterId
    history_id: str
    policy: Policy


def open_cluster(tx: Transaction, fresh: ClusterRecord, now_ns: int) -> ClusterRecord:
    """Return what is stored; in an empty database, create the tables and store ``fresh``.

    Raises:
        NotReady: reason ``SCHEMA_TOO_NEW`` or ``SCHEMA_TOO_OLD``.
    """
    tx.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    meta: dict[str, str] = dict(tx.execute("SELECT name, value FROM meta"))
    if not meta:
        _create(tx, fresh, now_ns)
        return fresh
    found = int(meta["schema_version"])
    if found > SCHEMA_VERSION:
        raise NotReady(
            f"The metadata was written by a newer dstore (schema {found}, this one knows {SCHEMA_VERSION}); "
            "start the version that wrote it, or a later one.",
            reason="SCHEMA_TOO_NEW",
            metadata={"found": str(found), "known": str(SCHEMA_VERSION)},
        )
    if found < SCHEMA_VERSION:
        raise NotReady(
            f"The metadata was written by an older dstore (schema {found}), and this one only reads schema "
            f"{SCHEMA_VERSION}; start the version that wrote it, and copy the files into a new cluster.",
            reason="SCHEMA_TOO_OLD",
            metadata={"found": str(found), "known": str(SCHEMA_VERSION)},
        )
    return ClusterRecord(
        cluster_id=ClusterId(meta["cluster_id"]),
        history_id=meta["history_id"],
        policy=codec.decode(Policy, meta["policy"]),
    )


def _create(tx: Transaction, fresh: ClusterRecord, now_ns: int) -> None:
    for statement in _TABLES:
        tx.execute(statement + _options(statement))
    tx.execute_many(
        "INSERT INTO meta (name, value) VALUES (?, ?)",
        [
            ("schema_version", str(SCHEMA_VERSION)),
            ("cluster_id", fresh.cluster_id),
            ("history_id", fresh.history_id),
            ("policy", codec.encode(fresh.policy)),
        ],
    )
    tx.execute_many("INSERT INTO counters (name, value) VALUES (?, ?)", list(_COUNTERS.items()))
    tx.execute("INSERT INTO leader (holder, epoch, beat) VALUES ('', 0, 0)")
    tx.execute(
        "INSERT INTO inodes (file_id, from_txn, to_txn, kind, version, first_version, floor_version, size_bytes, "
        "chunk_count, chunk_size_bytes, created_ns, modified_ns, wrapped_keys, sealed_manifest) "
        "VALUES (?, 0, ?, 'directory', 1, 1, 0, 0, 0, 0, ?, ?, '[]', ?)",
        (ROOT_ID, LIVE, now_ns, now_ns, b""),
    )


def _options(statement: str) -> str:
    """Return what only SQLite wants to know of a table."""
    words = statement.split(maxsplit=3)
    if words[:2] != ["CREATE", "TABLE"]:
        return ""
    return " STRICT, WITHOUT ROWID" if words[2] in _IN_TREE_OF_KEY else " STRICT"
