"""Short reads in the event loop: they never wait for a disk, and need no thread.

Handing a read over to a thread and back costs several times as much as looking up a name. So SQLite gets its pages here
from a layer that reads what the kernel has in memory, and fails where it would have to wait; a thread then reads the
same again.
"""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import apsw

from dstore.master.store.base import Row, Transaction, Value
from dstore.master.store.connections import open_reader
from dstore.system.file_systems import no_wait_flags

T = TypeVar("T")

#: What one statement may return: more would keep the loop from other things.
_ROWS_MAX = 256
#: Reads that are left to the threads at most after another one in a row found that the kernel has not what it wants.
_LEFT_OUT_MAX = 31


class NotQuick(Exception):
    """This read would take time: a thread has to do it."""


class _QuickFile(apsw.VFSFile):
    """A file of the database, with its log, read through a descriptor of its own, which knows how not to wait."""

    def __init__(self, name: str | apsw.URIFilename, flags: list[int]) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        #: What preadv is called with; None when nothing can be read without waiting.
        self.flags = no_wait_flags(Path(path).parent)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def xRead(self, amount: int, offset: int) -> bytes:
        """See SQLite."""
        if self.flags is None:
            raise apsw.IOError("reading might take time")
        buffer = bytearray(amount)
        try:
            size = os.preadv(self.descriptor, (buffer,), offset, self.flags)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                self.flags = None
            raise apsw.IOError("reading would take time") from error
        if size != amount:
            # At the end of the file, or of what is in memory: which of them, a thread will see.
            raise apsw.IOError("reading ended early")
        return bytes(buffer)


class _QuickLayer(apsw.VFS):
    """Opens the files of one database; their descriptors outlive the connection.

    Closing a descriptor drops all locks that this process has on the file. So they are closed when nobody uses it.
    """

    def __init__(self) -> None:
        # Another one for each store; a name is as good as its owner is unique.
        self.name = f"dstore-quick-{id(self):x}"
        super().__init__(self.name, "")
        self.files: list[_QuickFile] = []

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """See SQLite."""
        if name is None:
            raise apsw.CantOpenError("only files with a name are read at once")
        file = _QuickFile(name, flags)
        self.files.append(file)
        return file


class _BoundedTransaction:
    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        rows = list(islice(self._connection.execute(sql, values), _ROWS_MAX + 1))
        if len(rows) > _ROWS_MAX:
            raise NotQuick
        return rows

    def execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        self._connection.executemany(sql, rows)


class QuickReader:
    """One connection for short reads; used by one thread, whichever opened it."""

    def __init__(self, path: str) -> None:
        """Open the database.

        Raises:
            apsw.Error, OSError: it cannot be opened.
        """
        self._layer = _QuickLayer()
        self._connection = open_reader(path, layer=self._layer.name)
        # The log is for the writer to move into the database.
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._left_out = 0
        self._left_out_next = 0

    def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run ``fn`` on one consistent snapshot, at once.

        Raises:
            NotQuick: that would take time, or fails, or so did the last ones; a thread will see.
        """
        if self._left_out:
            # A database that is larger than the memory: trying in vain costs as much as reading.
            self._left_out -= 1
            raise NotQuick
        connection = self._connection
        try:
            connection.execute("BEGIN")
            result = fn(_BoundedTransaction(connection))
        except apsw.Error as error:
            self._left_out, self._left_out_next = self._left_out_next, min(2 * self._left_out_next + 1, _LEFT_OUT_MAX)
            raise NotQuick from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        self._left_out_next = 0
        return result

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def let_go(self) -> None:
        """Let go of the files, after ``close``; nobody else of this process may have them open any more."""
        while self._layer.files:
            os.close(self._layer.files.pop().descriptor)
        self._layer.unregister()
