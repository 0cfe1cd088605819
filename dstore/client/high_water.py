"""The newest version of each path that this user's clients have seen, so that a master cannot go back behind it.

Memory first, and a small SQLite file that outlives the process. The file is best-effort memory, not truth: losing it
loses rollback detection for what was seen before, and nothing else. It holds hashes in place of names.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from dstore.client.gathering import Gatherer
from dstore.core.errors import Corrupt, DstoreError, PermissionDenied
from dstore.core.ids import ClusterId, FileId, Version, uuid_bytes
from dstore.core.limits import HIGH_WATER_BATCH_MAX, HIGH_WATER_REMEMBERED_MAX

T = TypeVar("T")

_KEY_SIZE_BYTES = 16
_BUSY_TIMEOUT_S = 5.0
_SCHEMA_VERSION = 1
#: SQLite's integers are signed; no honest master gives out so many versions.
_STORED_VERSION_MAX = (1 << 63) - 1


class HighWaterFile(Protocol):
    """Keeps the highest version per key beyond the life of a process; blocking."""

    def highest(self, keys: Sequence[bytes]) -> Mapping[bytes, int]:
        """Return the highest version that was ever stored under each key; those without one are left out."""

    def store(self, versions: Mapping[bytes, int]) -> None:
        """Raise the stored versions to these; a stored one that is higher stays."""

    def close(self) -> None:
        """Release the file."""


class SqliteHighWaterFile:
    """``versions.sqlite3`` in a directory; several processes may use it at once.

    A rollback journal and no syncs: the file survives a killed process, and after a power loss it may be older.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "versions.sqlite3"
        self._connection: sqlite3.Connection | None = None

    def highest(self, keys: Sequence[bytes]) -> Mapping[bytes, int]:
        """See ``HighWaterFile``.

        Raises:
            Corrupt: reason ``STATE_FILE_DAMAGED``.
            PermissionDenied: reason ``STATE_DIRECTORY_UNUSABLE``.
        """
        places = ",".join("?" * len(keys))
        try:
            rows = self._open().execute(f"SELECT key, version FROM seen WHERE key IN ({places})", keys).fetchall()  # noqa: S608
        except DstoreError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        return {key: int(version) for key, version in rows}

    def store(self, versions: Mapping[bytes, int]) -> None:
        """See ``HighWaterFile``; raises as ``highest``."""
        statement = (
            "INSERT INTO seen (key, version) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET version = max(version, excluded.version)"
        )
        try:
            connection = self._open()
            with connection:
                connection.executemany(statement, versions.items())
        except DstoreError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """See ``HighWaterFile``."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("PRAGMA synchronous = OFF")
                self._check_schema(connection)
            except (sqlite3.Error, DstoreError):
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found == 0:
            with connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
                )
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        elif found != _SCHEMA_VERSION:
            raise self._damaged(f"it has format {found}, this program knows {_SCHEMA_VERSION}")

    def _unusable(self, error: Exception) -> DstoreError:
        cannot_open = isinstance(error, OSError) or "unable to open" in str(error) or "readonly" in str(error)
        if not cannot_open:
            return self._damaged(str(error))
        return PermissionDenied(
            f"The directory {self._path.parent}, where the client remembers the versions it has seen, cannot be "
            f"used: {error}. Set DSTORE_STATE_DIR to a directory that can be written.",
            reason="STATE_DIRECTORY_UNUSABLE",
            metadata={"path": str(self._path.parent)},
        )

    def _damaged(self, why: str) -> Corrupt:
        return Corrupt(
            f"{self._path}, where the client remembers the versions it has seen, cannot be used: {why}. Without it a "
            "rolled-back file would not be noticed; if you accept that, remove it and try again.",
            reason="STATE_FILE_DAMAGED",
            metadata={"path": str(self._path)},
        )


class HighWaterMarks:
    """The highest version seen per (cluster, parent directory, name).

    Versions at one such place only grow, so an answer with a smaller one was rolled back.
    """

    def __init__(self, file: HighWaterFile | None = None) -> None:
        """Remember in memory, and in ``file`` if there is one. Blocking work happens in a thread of its own."""
        self._file = file
        self._seen: dict[bytes, int] = {}
        self._unsaved: dict[bytes, int] = {}
        self._lookups: Gatherer[bytes, int] = Gatherer(self._look_up, HIGH_WATER_BATCH_MAX, 1)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dstore-high-water") if file else None

    async def highest(self, cluster_id: ClusterId, parent_id: FileId, name: str) -> Version:
        """Return the highest version seen there; 0 when none was.

        Raises:
            DstoreError: the file cannot be used.
        """
        key = _key(cluster_id, parent_id, name)
        seen = self._seen.get(key)
        if seen is None:
            seen = 0 if self._file is None else await self._lookups.ask(key)
        return Version(seen)

    async def load(self, places: Iterable[tuple[ClusterId, FileId, str]]) -> None:
        """Look up many places at once, so that ``highest`` need not look into the file for each.

        Raises:
            DstoreError: as ``highest``.
        """
        if self._file is None:
            return
        keys = [key for key in (_key(*place) for place in places) if key not in self._seen]
        for start in range(0, len(keys), HIGH_WATER_BATCH_MAX):
            await self._look_up(tuple(keys[start : start + HIGH_WATER_BATCH_MAX]))

    async def _look_up(self, keys: tuple[bytes, ...]) -> list[int]:
        """Return what was seen, in the order of the keys; those who ask at once share one look into the file."""
        if self._file is None:
            return [self._seen.get(key, 0) for key in keys]
        stored = await self._in_thread(self._file.highest, keys)
        # Another task may have noted a version meanwhile.
        highest = [max(stored.get(key, 0), self._seen.get(key, 0)) for key in keys]
        for key, version in zip(keys, highest, strict=True):
            self._remember(key, version)
        return highest

    async def note(self, cluster_id: ClusterId, parent_id: FileId, name: str, version: Version) -> None:
        """Remember that this version was seen there.

        Raises:
            DstoreError: a batch is full and the file cannot be used.
        """
        key = _key(cluster_id, parent_id, name)
        if version <= self._seen.get(key, 0):
            return
        self._remember(key, version)
        if self._file is not None:
            self._unsaved[key] = min(version, _STORED_VERSION_MAX)
            if len(self._unsaved) >= HIGH_WATER_BATCH_MAX:
                await self.flush()

    async def flush(self) -> None:
        """Write what the file does not have yet.

        Raises:
            DstoreError: the file cannot be used; nothing is forgotten.
        """
        if self._file is None or not self._unsaved:
            return
        batch, self._unsaved = self._unsaved, {}
        try:
            await self._in_thread(self._file.store, batch)
        except BaseException:
            self._unsaved = batch | self._unsaved
            raise

    async def close(self) -> None:
        """Flush and release the file.

        Raises:
            DstoreError: the file cannot be used; it is released all the same.
        """
        if self._file is None or self._thread is None:
            return
        try:
            await self._lookups.close()
            await self.flush()
            await self._in_thread(self._file.close)
        finally:
            self._thread.shutdown(wait=False)
            self._file = None

    def _remember(self, key: bytes, version: int) -> None:
        if self._file is not None and len(self._seen) >= HIGH_WATER_REMEMBERED_MAX:
            # The file has the rest.
            self._seen = dict(self._unsaved)
        self._seen[key] = version

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        assert self._thread is not None
        try:
            future = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except RuntimeError:
            # The interpreter is ending: its thread pools have ended already, so nothing else uses the file.
            return work(*arguments)
        return await future


def _key(cluster_id: ClusterId, parent_id: FileId, name: str) -> bytes:
    text = uuid_bytes(cluster_id) + parent_id.to_bytes(8, "big") + name.encode()
    return hashlib.sha256(text).digest()[:_KEY_SIZE_BYTES]
