"""A directory belongs to one process, and no longer than that lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dstore.core.errors import NotReady
from dstore.system.lock import DirectoryLock, lock_holder

HOLD = """
import sys
from pathlib import Path
from dstore.system.lock import DirectoryLock
DirectoryLock(Path(sys.argv[1]), what="master").acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path, what="master"), DirectoryLock(tmp_path, what="master")
    assert lock_holder(tmp_path) is None
    first.acquire()
    assert lock_holder(tmp_path) == os.getpid()
    with pytest.raises(NotReady) as caught:
        second.acquire()
    assert caught.value.reason == "DIRECTORY_LOCKED"
    assert str(os.getpid()) in caught.value.message
    first.release()
    assert lock_holder(tmp_path) is None
    second.acquire()
    second.release()
    second.release()


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert lock_holder(tmp_path) == holder.pid
        holder.kill()
    assert lock_holder(tmp_path) is None
    lock = DirectoryLock(tmp_path, what="master")
    lock.acquire()
    lock.release()
