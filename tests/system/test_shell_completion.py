"""Completion in real shells on a terminal, with the paths of a real cluster."""

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import LocalTestCluster

TIMEOUT_S = 60
#: Puts a process in charge of its terminal, as a login does, and becomes the shell.
START = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'\n"),
    "zsh": (["zsh", "-f", "-i"], "bindkey -e; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D\n"),
}


class Terminal:
    """A shell on a terminal, into which keys are typed."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._seen = ""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in what was not looked at yet; the test fails when there is none in time."""
        deadline = time.monotonic() + TIMEOUT_S
        while (match := re.search(pattern, self._seen)) is None:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} did not come; the terminal shows {self._seen!r}"
            self._seen += os.read(self._descriptor, 65536).decode(errors="replace")
        self._seen = self._seen[match.end() :]
        return match

    def completed(self, line: str) -> list[str]:
        """Type a line and the key that completes it; return the words that the shell then has."""
        self.type(f"{line}\t\x01printf '<%s>' \x05; echo :end\n")
        shown = self.wait_for(r"((?:<[^<>%]*>)+):end\r?\n")[1]
        return re.findall(r"<([^<>]*)>", shown)


@pytest.fixture(scope="module", params=sorted(SHELLS))
def shell(
    request: pytest.FixtureRequest, small_chunks_cluster: LocalTestCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    name = request.param
    assert shutil.which(name), f"{name} is missing; scripts/system-tools.sh installs it"
    home = tmp_path_factory.mktemp(name)
    program = home / "bin" / "dstore"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dstore "$@"\n')
    program.chmod(0o755)
    for path in ("/photos/summer holiday", "/photos/winter", "/other"):
        small_chunks_cluster.check("mkdir", "-p", path)
    small_chunks_cluster.check("put", "-", "/photos/winter/a:b.jpg", stdin=b"")
    (home / "local file").write_text("")
    environ = small_chunks_cluster.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "TERM": "xterm",
        "HOME": str(home),
    }
    environ |= {"PS1": "ready> ", "LC_ALL": "C.UTF-8"}
    command, settings = SHELLS[name]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
    running = subprocess.Popen(
        [sys.executable, "-c", START, *command], stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=home
    )
    os.close(theirs)
    terminal = Terminal(ours)
    try:
        terminal.type(f'{settings}eval "$(dstore completion {name})"; echo it is $((40 + 2))\n')
        terminal.wait_for("it is 42")
        yield terminal
    finally:
        running.kill()
        running.wait()
        with contextlib.suppress(OSError):
            os.close(ours)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dstore compl", ["dstore", "completion"]),
        ("dstore node maint", ["dstore", "node", "maintenance"]),
        ("dstore node drain cs-", ["dstore", "node", "drain", "cs-"]),
        ("dstore node kill mas", ["dstore", "node", "kill", "master"]),
        ("dstore put --dur", ["dstore", "put", "--durability"]),
        ("dstore put --durability=re", ["dstore", "put", "--durability=replicated"]),
        ("dstore ls /ph", ["dstore", "ls", "/photos/"]),
        ("dstore ls /photos/s", ["dstore", "ls", "/photos/summer holiday/"]),
        (r"dstore ls /photos/summer\ h", ["dstore", "ls", "/photos/summer holiday/"]),
        ("dstore cat /photos/winter/", ["dstore", "cat", "/photos/winter/a:b.jpg"]),
        ("dstore cp dstore:/photos/w", ["dstore", "cp", "dstore:/photos/winter/"]),
        ("dstore cp dst", ["dstore", "cp", "dstore:/"]),
        ("dstore restore / --to=/ot", ["dstore", "restore", "/", "--to=/other/"]),
        ("dstore put loc", ["dstore", "put", "local file"]),
        ("dstore ls /nothing-of-that-name", ["dstore", "ls", "/nothing-of-that-name"]),
    ],
)
def test_completion(shell: Terminal, line: str, words: list[str]) -> None:
    assert shell.completed(line) == words


def test_of_several_the_common_part(shell: Terminal) -> None:
    assert shell.completed("dstore sta") == ["dstore", "stat"]


def test_the_scripts_can_be_kept_in_files(small_chunks_cluster: LocalTestCluster, tmp_path: Path) -> None:
    for name in SHELLS:
        text = small_chunks_cluster.check("completion", name).decode()
        assert small_chunks_cluster.check_json("completion", name) == {"shell": name, "script": text}
        if shutil.which(name):
            (tmp_path / "_dstore").write_text(text)
            subprocess.run([name, "-n", str(tmp_path / "_dstore")], check=True)
