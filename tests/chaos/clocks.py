"""Wall clocks of processes that jump, by libfaketime: a file beside a server's log says how far it is off."""

from pathlib import Path

#: Debian's package libfaketime.
_LIBRARY = "usr/lib/*/faketime/libfaketimeMT.so.1"


def clock_environment(log_path: Path) -> dict[str, str]:
    """Return what a process needs in its environment so that ``set_clock`` works on it."""
    found = sorted(Path("/").glob(_LIBRARY))
    assert found, "libfaketime is not installed, and no clock could jump; run scripts/system-tools.sh as root"
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(_clock_file(log_path)),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_RESET": "1",
        # Only the wall clock jumps: no kernel lets the monotonic one.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(log_path: Path, offset_s: int) -> None:
    """Set the wall clock of the process with this log off by so many seconds; it notices within a second."""
    new = log_path.with_suffix(".new-clock")
    new.write_text(f"{offset_s:+d}\n")
    new.replace(_clock_file(log_path))


def _clock_file(log_path: Path) -> Path:
    return log_path.with_suffix(".clock")
