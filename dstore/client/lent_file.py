"""The open file of a chunk, on loan from a chunkserver on this machine."""

import os
import stat
import threading
from weakref import WeakSet

from dstore.core.errors import Unavailable


class LentFile:
    """Read by threads, given back by the event loop; the descriptor is closed by whoever leaves last.

    A thread may be stuck in a read of a disk that hangs, and its descriptor must not become another file meanwhile.
    """

    __slots__ = ("__weakref__", "_descriptor", "_is_given_back", "_lock", "_offset", "_users", "lent_s", "used_s")

    def __init__(self, descriptor: int, offset: int, length_bytes: int, now_s: float) -> None:
        """Take over the descriptor.

        Raises:
            Unavailable: reason ``LOCAL_FILE_INVALID``: it is not an open file that holds so much; it was closed.
        """
        self._descriptor = descriptor
        self._offset = offset
        self._lock = threading.Lock()
        self._users = 1
        self._is_given_back = False
        #: When it was lent, and when somebody last wanted it.
        self.lent_s = self.used_s = now_s
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size < offset + length_bytes:
            self.give_back()
            raise _unusable("is no file that holds the chunk")
        _OPEN.add(self)

    def __repr__(self) -> str:
        return f"LentFile({self._descriptor})"

    def __del__(self) -> None:
        self.give_back()

    def hold(self) -> None:
        """Keep it open until ``release``, though it be given back meanwhile.

        Raises:
            Unavailable: reason ``LOCAL_FILE_INVALID``: it was given back.
        """
        with self._lock:
            if self._users == 0:
                raise _unusable("was given back")
            self._users += 1

    def release(self) -> None:
        """End what ``hold`` began."""
        self._leave()

    def read_into(self, position: int, out: memoryview) -> None:
        """Fill ``out`` with ciphertext from ``position`` on; blocks.

        Raises:
            Unavailable: reason ``LOCAL_FILE_INVALID``: the file was given back, or is shorter.
            OSError: the disk failed.
        """
        self.hold()
        try:
            filled = 0
            while filled < len(out):
                count = os.preadv(self._descriptor, [out[filled:]], self._offset + position + filled)
                if count == 0:
                    raise _unusable("is shorter than its server says")
                filled += count
        finally:
            self.release()

    def give_back(self) -> None:
        """Close it as soon as nobody reads it. Allowed twice."""
        if not self._is_given_back:
            self._is_given_back = True
            self._leave()

    def close_in_child(self) -> None:
        """Close it in a process that was forked: only one thread is left, and no lock can be waited for."""
        if self._users:
            self._is_given_back, self._users = True, 0
            os.close(self._descriptor)

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            os.close(self._descriptor)


#: All that this process has on loan: a child would keep deleted chunks on the disk for as long as it lives.
_OPEN: WeakSet[LentFile] = WeakSet()


def _close_in_child() -> None:
    for file in list(_OPEN):
        file.close_in_child()


os.register_at_fork(after_in_child=_close_in_child)


def _unusable(problem: str) -> Unavailable:
    return Unavailable(f"The file that a server lent {problem}. Read over the network.", reason="LOCAL_FILE_INVALID")
