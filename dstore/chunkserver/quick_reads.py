"""Reads that need no thread, because the kernel has the bytes in memory.

Handing a read over to a thread and back costs several times as much as copying 64 KiB, and as much as copying a frame:
streams of whole frames need a fifth less of the server's time, short ranges less than half.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from dstore.core.limits import CHECKSUM_BLOCK_SIZE_BYTES, FRAME_SIZE_BYTES_MAX
from dstore.system.file_systems import no_wait_flags

#: A frame with the checksum blocks that it begins and ends in; what is larger would keep the loop from other things.
READ_AT_ONCE_SIZE_BYTES_MAX = FRAME_SIZE_BYTES_MAX + 2 * CHECKSUM_BLOCK_SIZE_BYTES


class QuickReads:
    """Reads from the files of one file system, without ever waiting for its disk."""

    def __init__(self, root: Path) -> None:
        """``root`` is a directory of the file system."""
        self._flags = no_wait_flags(root)

    def read_into(self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int) -> bool:
        """Fill the buffers; False when that would take time, or fail, or end early: a thread will see."""
        length_bytes = sum(map(len, buffers))
        if self._flags is None or length_bytes > READ_AT_ONCE_SIZE_BYTES_MAX:
            return False
        try:
            return os.preadv(descriptor, buffers, offset, self._flags) == length_bytes
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                self._flags = None
            return False
