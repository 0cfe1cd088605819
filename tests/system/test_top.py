"""``dstore top`` on a real terminal: it moves, it fits, it leaves the terminal as it was."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cluster import LocalTestCluster
from test_shell_completion import START, Terminal

ENTER, LEAVE = r"\x1b\[\?1049h", r"\x1b\[\?1049l"


@dataclass(frozen=True)
class Top:
    """``dstore top`` that runs, its terminal, and how that was before."""

    terminal: Terminal
    process: subprocess.Popen[bytes]
    descriptor: int
    before: list[object]

    def ended(self) -> int:
        """Return the exit code, once the terminal is as it was."""
        self.terminal.wait_for(LEAVE)
        code = self.process.wait(60)
        assert termios.tcgetattr(self.descriptor) == self.before
        return code

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)


@contextlib.contextmanager
def running(cluster: LocalTestCluster, *arguments: str, **environ: str) -> Iterator[Top]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    before = termios.tcgetattr(theirs)
    command = [sys.executable, "-c", START, sys.executable, "-m", "dstore", "top", "--interval", "1s", *arguments]
    variables = cluster.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | environ
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
    try:
        yield Top(Terminal(ours), process, theirs, before)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_it_shows_what_moves_until_q(small_chunks_cluster: LocalTestCluster) -> None:
    with running(small_chunks_cluster) as top:
        top.terminal.wait_for(ENTER)
        top.terminal.wait_for(r"HEALTH_OK")
        top.terminal.wait_for(r"cs-3 +up")
        small_chunks_cluster.check("put", "-", "/some", stdin=b"x" * 3_000_000)
        top.terminal.wait_for(r"io: .*[KM]iB/s written")
        top.terminal.wait_for(r"cs-1 +up .* [KM]iB/s")
        top.resize(30, 44)
        top.terminal.wait_for(r"HEALTH_OK(?s:(?!CHUNKS|SCRUB).)*cs-3 +up")
        top.terminal.type("q")
        assert top.ended() == 0


@pytest.mark.parametrize("way", ["ctrl-c", "terminate"])
def test_the_terminal_is_put_back_however_it_ends(small_chunks_cluster: LocalTestCluster, way: str) -> None:
    with running(small_chunks_cluster, NO_COLOR="1") as top:
        match = top.terminal.wait_for(r"(?s)\x1b\[\?1049h(.*cs-3 +up)")
        assert "\x1b[3" not in match[1], "NO_COLOR is set"
        if way == "ctrl-c":
            top.terminal.type("\x03")
        else:
            top.process.terminate()
        assert top.ended() == 0


def test_without_a_terminal_it_shows_one_snapshot(small_chunks_cluster: LocalTestCluster) -> None:
    text = small_chunks_cluster.check("top").decode()
    assert "\x1b" not in text and text.count("cs-2") == 1 and "HEALTH_OK" in text
    several = small_chunks_cluster.check("top", "--json", "--count", "2", "--interval", "300ms").splitlines()
    assert [len(json.loads(line)["servers"]) for line in several] == [3, 3]
    refused = small_chunks_cluster.run("top", "--interval", "1ms", "--json")
    assert json.loads(refused.stderr)["error"]["reason"] == "INTERVAL_INVALID"
