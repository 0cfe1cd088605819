"""Runs one server of a test cluster, and ends it when the process that started it is gone, however that ended.

    python -m dstore.testing.launcher DIRECTORY chunkserver run …

Standard input is a pipe into which nobody ever writes; the system closes its other end with the process that has it.
``PR_SET_PDEATHSIG`` would strike as soon as the *thread* that started the server ends, which is often one of a pool.
``DIRECTORY`` is removed then, unless it is empty text: nobody else is left to do it.
"""

import os
import shutil
import sys
import threading
import time

#: Long enough for the other servers, which end at the same moment, to stop making files.
_REMOVE_TIMEOUT_S = 10.0
_REMOVE_INTERVAL_S = 0.05
_ABANDONED_EXIT_CODE = 1


def main() -> int:
    """Run ``dstore`` with the arguments of this process; return its exit code."""
    directory, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with_starter, args=(directory,), name="starter-watch", daemon=True).start()
    # Only now: whoever is killed while servers start must not leave them behind either.
    from dstore.cli.app import main as dstore

    return dstore(arguments)


def _end_with_starter(directory: str) -> None:
    # Not sys.stdin: a thread that holds its lock would disturb the end of the interpreter.
    os.read(0, 1)
    if directory:
        _remove(directory)
    # At once, as a crash would: what is stored is thrown away.
    os._exit(_ABANDONED_EXIT_CODE)


def _remove(directory: str) -> None:
    deadline = time.monotonic() + _REMOVE_TIMEOUT_S
    while os.path.lexists(directory) and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(_REMOVE_INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main())
