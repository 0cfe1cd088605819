"""Faults at exactly one system call of an unmodified process, by strace; and the tools of this directory.

What was injected is read from strace's own record of the calls.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from launch import COUNT_FROM


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault at the n-th call of one function, counted from 1 over the threads of one role (see ``launch.py``).

    Attributes:
        fault: ``kill`` (SIGKILL before the call does anything) or ``EIO`` (the call fails and does nothing).
    """

    function: str
    role: str
    number: int
    fault: str = "kill"

    def __str__(self) -> str:
        return f"{self.fault} at {self.function} {self.number} of {self.role}"

    @property
    def launch(self) -> tuple[str, str]:
        """The arguments for ``launch.py``."""
        return self.function, self.role

    @property
    def option(self) -> str:
        """The option of strace that does it."""
        what = "signal=SIGKILL" if self.fault == "kill" else f"error={self.fault}"
        return f"--inject={self.function}:{what}:when={COUNT_FROM + self.number}"

    def command(self, record: Path) -> list[str]:
        """Return the strace command line that goes before the process's own."""
        trace = "fsync,fdatasync,rename,unlink" if self.fault == "EIO" else self.function
        if self.function not in trace.split(","):
            trace += f",{self.function}"
        return [*strace(record), f"--trace={trace}", self.option]


def strace(record: Path) -> list[str]:
    """Return the start of a strace command line: all threads, with the paths of descriptors, without contents."""
    # --seccomp-bpf would be faster, but a signal that is injected with it is lost (seen with strace 6.1).
    options = ["--follow-forks", "--decode-fds=path", "--quiet=all", "--string-limit=0"]
    return [require("strace"), *options, f"--output={record}"]


def require(tool: str) -> str:
    """Return the path of a program; the test fails with a sentence when it is missing."""
    found = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
    assert found, (
        f"{tool} is not installed, and without it these tests prove nothing; run scripts/system-tools.sh as root"
    )
    return found
