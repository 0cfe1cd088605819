"""A shell in which the commands of a page are run as its reader would run them.

It has namespaces of its own for network and processes: the default ports are free whatever else runs on this machine,
and nothing that it starts outlives it. Home and working directory are empty but for what the caller puts there.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

#: As long as the slowest command may take on a machine that is busy with other tests.
COMMAND_DURATION_MAX_S = 90.0
_END = "-- the command ended with "


class CommandHung(Exception):
    """A command did not end, or did not print what was waited for."""


class PageShell:
    """A bash in its own namespaces, with a home below ``directory``.

    Args:
        directory: where its home is made.
        working_directory: where it starts.
        programs: what comes first in its ``PATH``; that of this interpreter unless given.
    """

    def __init__(self, directory: Path, *, working_directory: Path, programs: Path | None = None) -> None:
        self._programs = programs or Path(sys.executable).parent
        self._home = directory / "home"
        self._working_directory = working_directory
        self._pending = b""

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True)
        # As on a terminal, where curl draws no progress for what it prints there.
        (self._home / ".curlrc").write_text("silent\nshow-error\n")
        programs = [str(self._programs), *os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]
        environ = {"HOME": str(self._home), "PATH": ":".join(programs), "LC_ALL": "C.UTF-8", "DEMO_SIZE_MIB": "16"}
        unshare = shutil.which("unshare")
        assert unshare, "unshare of util-linux is needed"
        command = [unshare, "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command += ["--map-root-user"] if os.geteuid() != 0 else []
        pipe = subprocess.PIPE
        self._shell = subprocess.Popen(
            [*command, "bash", "--noprofile", "--norc"],
            cwd=self._working_directory,
            env=environ,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
        )
        self.run("ip link set lo up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shell.kill()
        self._shell.wait()
        for stream in (self._shell.stdin, self._shell.stdout):
            assert stream is not None
            stream.close()

    def run(self, command: str, is_enough: Callable[[Sequence[str]], bool] | None = None) -> tuple[int, list[str]]:
        """Run a command, and return its exit code and the lines that it printed, with the home of the reader.

        Args:
            command: what is typed; when it ends with ``&`` its output is waited for.
            is_enough: whether the output of a command in the background is all that is expected.

        Raises:
            CommandHung: it did not end in time.
        """
        assert self._shell.stdin is not None
        # It reads nothing from the pipe of the commands that follow.
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{_END}%s\\n' $?\n".encode())
        self._shell.stdin.flush()
        deadline = time.monotonic() + COMMAND_DURATION_MAX_S
        is_in_background = command.rstrip().endswith("&")
        while True:
            text = self._pending.decode(errors="replace")
            before, found, after = text.partition("\n" + _END)
            code, ended, rest = after.partition("\n")
            if found and ended:
                lines = (before + rest).replace(str(self._home), "/home/me").splitlines()
                if not is_in_background or is_enough is None or is_enough(lines):
                    self._pending = b""
                    return int(code), lines
            self._read(deadline, command)

    def _read(self, deadline: float, command: str) -> None:
        assert self._shell.stdout is not None
        ready, _, _ = select.select([self._shell.stdout], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(self._shell.stdout.fileno(), 65536) if ready else b""
        if not data:
            raise CommandHung(f"{command}\nprinted until then:\n{self._pending.decode(errors='replace')}")
        self._pending += data
