"""What a test cluster leaves on the machine: processes, which name their directory in their arguments."""

import os
import time
from collections.abc import Callable
from pathlib import Path

#: Far above what it takes, so that no busy machine makes it expire.
WAIT_TIMEOUT_S = 60.0


def processes_of(directory: Path) -> list[str]:
    """Return the command lines of all processes with something below ``directory`` among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.fsencode(directory) in arguments:
            found.append(arguments.replace(b"\0", b" ").decode())
    return found


def names_in(directory: Path) -> list[str]:
    """Return the names in a directory."""
    return [path.name for path in directory.iterdir()]


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    """Return as soon as ``condition`` holds."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_TIMEOUT_S} s: {what}"
        time.sleep(0.02)
