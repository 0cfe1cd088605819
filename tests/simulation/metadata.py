"""The master's store: the real one, on a file in memory, with time between what it is asked and what it does."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import apsw

from dstore.core.errors import Unavailable
from dstore.master.store.sqlite import SqliteStore
from simulation.database_files import DatabaseDisk
from simulation.dice import Dice
from simulation.node import Process

T = TypeVar("T")

DATABASE_NAME = "metadata.db"


class SimulatedRunner:
    """Runs jobs in the event loop, each some time after it was given; none after its process ended."""

    def __init__(self, process: Process, dice: Dice) -> None:
        self._process = process
        self._dice = dice

    async def write(self, job: Callable[[], T]) -> T:
        """See ``Runner.write``."""
        await asyncio.sleep(self._dice.random() * 0.001)
        self._require_alive()
        result = job()
        await asyncio.sleep(self._dice.random() * 0.002)
        self._require_alive()
        return result

    async def read(self, job: Callable[[], T]) -> T:
        """See ``Runner.read``."""
        await asyncio.sleep(self._dice.random() * 0.001)
        self._require_alive()
        return job()

    async def close(self) -> None:
        """See ``Runner.close``."""

    def _require_alive(self) -> None:
        if not self._process.alive:
            raise Unavailable("This process is dead.")


class MetadataDisk:
    """The directory of the master, and whoever has it open."""

    def __init__(self, directory: Path, dice: Dice) -> None:
        self.path = directory / DATABASE_NAME
        self.files = DatabaseDisk(directory, dice)
        self._store: SqliteStore | None = None

    async def open(self, process: Process, dice: Dice) -> SqliteStore:
        """Open the store for a process; the one before must have been stopped."""
        assert self._store is None, "two masters on one directory"
        store = await SqliteStore.open(str(self.path), runner=SimulatedRunner(process, dice))
        self._store = store
        return store

    def stop(self, power: bool) -> None:
        """Let go of the files without a checkpoint, as the kernel does with a process that was killed."""
        store: Any = self._store
        self._store = None
        if store is None:
            if power:
                self.files.lose_power()
            return
        store._refusal = store._refusal or "its process is dead"
        connections = [*store._readers, store._writer]
        store._writer, store._readers = None, []
        for connection in connections:
            if connection is not None:
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for connection in connections:
            if connection is not None:
                connection.close(True)
        if power:
            self.files.lose_power()

    def copy(self) -> bytes:
        """Return a copy of the database as it is now, as a backup makes it."""
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            return connection.serialize("main")
        finally:
            connection.close(True)

    def put_back(self, copy: bytes) -> None:
        """Replace the database by a copy. Nobody may have it open."""
        assert self._store is None, "a master has it open"
        for path in sorted(self.path.parent.glob(f"{DATABASE_NAME}*")):
            path.unlink()
            self.files.forget(str(path))
        self.path.write_bytes(copy)
        self.files.file(str(self.path)).durable[:] = copy

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files as they are."""
        for path in sorted(self.path.parent.iterdir()):
            yield path.name, path.read_bytes()

    def look(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what is committed, behind the master's back."""
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close(True)
