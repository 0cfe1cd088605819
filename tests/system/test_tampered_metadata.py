"""Promise 2 with real processes: whoever edits the master's database, while it is stopped, gets a refusal out of every
reader and no wrong byte.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from clear_errors import check_logs, check_refusal, check_sentence
from cluster import LocalTestCluster
from large_files import client_of

import dstore

CHUNK = 1024 * 1024
CONTENT = {name: name.encode() * (2 * CHUNK + 77) for name in "abo"}
TABLES = ("inodes", "entries", "chunks")
Value = int | float | str | bytes | None
Row = tuple[Value, ...]
Rows = dict[str, list[Row]]


@dataclass
class Database:
    """The master's database, opened behind its back.

    Attributes:
        ids: the file ids of ``/a`` and ``/b``.
        older: all rows as they were before ``/o`` was replaced.
    """

    connection: apsw.Connection
    ids: dict[str, int]
    older: Rows

    def run(self, statement: str, *values: Value) -> list[Row]:
        return list(self.connection.execute(statement, values))

    def column(self, name: str, file: str) -> Value:
        return self.run(f"SELECT {name} FROM inodes WHERE file_id = ?", self.ids[file])[0][0]

    def blob(self, name: str, file: str) -> bytes:
        value = self.column(name, file)
        assert isinstance(value, bytes)
        return value

    def set(self, name: str, file: str, value: Value) -> None:
        self.run(f"UPDATE inodes SET {name} = ? WHERE file_id = ?", value, self.ids[file])

    def swap(self, *names: str) -> None:
        """Exchange columns of the two inodes."""
        for name in names:
            values = self.column(name, "a"), self.column(name, "b")
            self.set(name, "b", values[0])
            self.set(name, "a", values[1])

    def rows(self) -> Rows:
        return {table: self.run(f"SELECT * FROM {table}") for table in TABLES}

    def put_back(self, rows: Rows) -> None:
        for table, content in rows.items():
            self.run(f"DELETE FROM {table}")
            for row in content:
                self.run(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", *row)


def swap_entries(database: Database) -> None:
    a, b = database.ids["a"], database.ids["b"]
    for old, new in ((a, -1), (b, a), (-1, b)):
        database.run("UPDATE entries SET file_id = ? WHERE file_id = ?", new, old)


def entry_to_another(database: Database) -> None:
    database.run("DELETE FROM entries WHERE file_id = ?", database.ids["a"])
    database.run("UPDATE entries SET name = ? WHERE file_id = ?", b"a", database.ids["b"])


def swap_chunk_rows(database: Database) -> None:
    a, b = database.ids["a"], database.ids["b"]
    for old, new in ((a, -1), (b, a), (-1, b)):
        database.run("UPDATE chunks SET file_id = ? WHERE file_id = ? AND chunk_index = 1", new, old)


def reorder_chunks(database: Database) -> None:
    for old, new in ((0, 9), (1, 0), (9, 1)):
        database.run(
            "UPDATE chunks SET chunk_index = ? WHERE file_id = ? AND chunk_index = ?", new, database.ids["a"], old
        )


def drop_last_chunk(database: Database) -> None:
    database.run("DELETE FROM chunks WHERE file_id = ? AND chunk_index = 2", database.ids["a"])
    database.run("UPDATE inodes SET chunk_count = 2, size_bytes = ? WHERE file_id = ?", 2 * CHUNK, database.ids["a"])


def older_version(database: Database) -> None:
    database.put_back(database.older)


def flip_manifest(database: Database) -> None:
    sealed = bytearray(database.blob("sealed_manifest", "a"))
    sealed[len(sealed) // 2] ^= 1
    database.set("sealed_manifest", "a", bytes(sealed))


def cut_manifest(database: Database) -> None:
    database.set("sealed_manifest", "a", database.blob("sealed_manifest", "a")[:-1])


def change_keys(database: Database) -> None:
    keys = database.column("wrapped_keys", "a")
    assert isinstance(keys, str)
    database.set("wrapped_keys", "a", keys[:-20] + ("A" if keys[-20] != "A" else "B") + keys[-19:])


def no_keys(database: Database) -> None:
    database.set("wrapped_keys", "a", "[]")


def column(name: str, change: str) -> Callable[[Database], None]:
    def edit(database: Database) -> None:
        database.run(f"UPDATE inodes SET {name} = {change} WHERE file_id = ?", database.ids["a"])

    edit.__name__ = f"{name}={change}"
    return edit


Edit = Callable[[Database], None]
EDITS: list[tuple[Edit, str, str]] = [
    (flip_manifest, "/a", "MANIFEST_CORRUPT"),
    (cut_manifest, "/a", "MANIFEST_CORRUPT"),
    (lambda database: database.set("sealed_manifest", "a", b""), "/a", "MANIFEST_CORRUPT"),
    (lambda database: database.swap("sealed_manifest"), "/a", "MANIFEST_CORRUPT"),
    (lambda database: database.swap("sealed_manifest"), "/b", "MANIFEST_CORRUPT"),
    (lambda database: database.swap("wrapped_keys"), "/a", "WRAPPED_KEY_CORRUPT"),
    (lambda database: database.swap("wrapped_keys", "sealed_manifest"), "/b", "WRAPPED_KEY_CORRUPT"),
    (change_keys, "/a", "WRAPPED_KEY_CORRUPT"),
    (no_keys, "/a", "WRONG_KEY"),
    (swap_entries, "/a", "MANIFEST_MISMATCH"),
    (swap_entries, "/b", "VERSION_ROLLED_BACK"),
    (entry_to_another, "/a", "MANIFEST_MISMATCH"),
    (swap_chunk_rows, "/a", "MANIFEST_MISMATCH"),
    (reorder_chunks, "/a", "MANIFEST_MISMATCH"),
    (drop_last_chunk, "/a", "MANIFEST_MISMATCH"),
    (column("size_bytes", "size_bytes - 1"), "/a", "MANIFEST_MISMATCH"),
    (column("size_bytes", "1 << 62"), "/a", "MANIFEST_MISMATCH"),
    (column("chunk_count", "1 << 62"), "/a", "MANIFEST_MISMATCH"),
    (column("chunk_count", "0"), "/a", "MANIFEST_MISMATCH"),
    (column("chunk_size_bytes", "0"), "/a", "MANIFEST_MISMATCH"),
    (column("version", "version + 1"), "/a", "MANIFEST_MISMATCH"),
    (column("kind", "'directory'"), "/a", "IS_A_DIRECTORY"),
    (older_version, "/o", "VERSION_ROLLED_BACK"),
]


@dataclass(frozen=True)
class Prepared:
    """A cluster with three files, their rows, and the rows before one was replaced."""

    cluster: LocalTestCluster
    ids: dict[str, int]
    older: Rows
    now: Rows


@pytest.fixture(scope="module")
def prepared(small_chunks_cluster: LocalTestCluster) -> Prepared:
    cluster = small_chunks_cluster
    with client_of(cluster) as client:
        ids = {name: int(client.put(f"/{name}", CONTENT[name]).file_id) for name in "ab"}
        client.put("/o", b"older " * CHUNK)
    older = stopped_rows(cluster)
    with client_of(cluster) as client:
        client.put("/o", CONTENT["o"])
        # What is seen now is what this user's clients remember.
        assert client.get("/o") == CONTENT["o"]
    return Prepared(cluster, ids, older, stopped_rows(cluster))


def stopped_rows(cluster: LocalTestCluster) -> Rows:
    """Return what the database holds; the master is stopped for it."""
    cluster.kill("master")
    with opened(cluster) as connection:
        rows = Database(connection, {}, {}).rows()
    cluster.start_node("master")
    return rows


@contextmanager
def opened(cluster: LocalTestCluster) -> Iterator[apsw.Connection]:
    """Open the database of a master that does not run."""
    (path,) = [path for path in cluster.directory("master").rglob("*") if is_database(path)]
    connection = apsw.Connection(str(path))
    try:
        yield connection
    finally:
        connection.close()


def is_database(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"


def edit(prepared: Prepared, change: Edit) -> LocalTestCluster:
    """Put the master's database back as it was, edit it, and start the master again."""
    prepared.cluster.kill("master")
    with opened(prepared.cluster) as connection, connection:
        database = Database(connection, prepared.ids, prepared.older)
        database.put_back(prepared.now)
        change(database)
    prepared.cluster.start_node("master")
    return prepared.cluster


def test_putting_everything_back_is_no_edit(prepared: Prepared) -> None:
    with client_of(edit(prepared, lambda database: None)) as client:
        for name, content in CONTENT.items():
            assert client.get(f"/{name}") == content


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    EDITS,
    ids=[f"{number}-{path[1]}-{reason}" for number, (_, path, reason) in enumerate(EDITS)],
)
def test_every_reader_refuses(prepared: Prepared, change: Edit, path: str, reason: str, tmp_path: Path) -> None:
    cluster = edit(prepared, change)
    local = tmp_path / "fetched"
    with client_of(cluster) as client:
        attempts: list[Callable[[], object]] = [
            lambda: client.get(path),
            lambda: client.get(path, CHUNK - 5, 10),
            lambda: client.get(path, 0, 0),
            lambda: client.open(path),
            lambda: client.get_file(path, local),
        ]
        for attempt in attempts:
            with pytest.raises(dstore.DstoreError) as caught:
                attempt()
            error = caught.value
            assert error.reason == reason, error
            assert path in error.message, error.message
            check_sentence(error.message)
    assert list(tmp_path.iterdir()) == [], "no local file, nor a part of one"
    finished = cluster.run("get", path, str(local), "--json")
    check_refusal(finished, error.reason, finished.returncode)
    assert finished.returncode != 0 and list(tmp_path.iterdir()) == []
    check_logs(cluster)
