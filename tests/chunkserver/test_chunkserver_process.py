"""The chunkserver as a process: its command line, its ready line, its locks, its end."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dstore.chunkserver.config import ChunkserverConfig
from dstore.core.errors import InvalidRequest

CONFIG = ChunkserverConfig(
    directory=Path("/d"),
    listen="127.0.0.1:0",
    advertise=None,
    http_listen="127.0.0.1:0",
    master="127.0.0.1:7170",
    name="cs-1",
    host="host-1",
    rack="",
    log_level="info",
)


@pytest.mark.parametrize(
    ("field", "flag", "value"),
    [
        ("name", "--name", ""),
        ("name", "--name", "a" * 65),
        ("name", "--name", "cs 1"),
        ("listen", "--listen", "127.0.0.1"),
        ("listen", "--listen", "127.0.0.1:65536"),
        ("listen", "--listen", ":7171"),
        ("master", "--master", "127.0.0.1:port"),
        ("advertise", "--advertise", "cs-1"),
        ("advertise", "--advertise", ""),
        ("http_listen", "--http-listen", "7171"),
    ],
)
def test_what_cannot_work_is_refused_by_name(field: str, flag: str, value: str) -> None:
    CONFIG.check()
    changes: dict[str, Any] = {field: value}
    with pytest.raises(InvalidRequest, match=flag):
        replace(CONFIG, **changes).check()


@contextmanager
def running(directory: Path, name: str = "cs-1") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "dstore", "chunkserver", "run", "--dir", str(directory), "--name", name]
    ports = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, *ports, "--master", "127.0.0.1:1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read()


def test_one_process_from_start_to_end(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "cs-1"
    with running(directory) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["role"], ready["pid"]) == ("ready", "chunkserver", process.pid)
        side = f"http://{ready['http_address']}"
        assert fetch(f"{side}/healthz")[0] == 200
        status, body = fetch(f"{side}/readyz")
        assert status == 503
        assert "not joined yet" in json.loads(body)["checks"]["cluster"]
        assert b"dstore_build_info" in fetch(f"{side}/metrics")[1]

        with running(directory) as second:
            _, errors = second.communicate(timeout=30)
            assert second.returncode == 69
            assert f"pid {process.pid}" in errors
            assert "DIRECTORY_LOCKED" in errors

        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=30)
        assert rest == "", "one line on stdout, and no more"
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    assert json.loads((directory / "IDENTITY").read_text())["server_id"]


#: Has one call of the operating system fail as on a broken disk, and runs the command that follows.
BROKEN = """
import os, sys
works = getattr(os, sys.argv[1])
def broken(where, *arguments):
    if isinstance(where, int) or str(where).startswith(sys.argv[2]):
        raise OSError(5, os.strerror(5), None if isinstance(where, int) else str(where))
    return works(where, *arguments)
setattr(os, sys.argv[1], broken)
from dstore.cli.app import main
sys.exit(main(sys.argv[3:]))
"""


def start_on_broken_disk(directory: Path, call: str) -> str:
    """Start a server that is to fail, and return what it says."""
    python = [sys.executable, "-c", BROKEN, call, str(directory)]
    command = ["chunkserver", "run", "--dir", str(directory), "--name", "cs-1", "--master", "127.0.0.1:1"]
    ports = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    ended = subprocess.run([*python, *command, *ports], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 69, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(("call", "in_directory"), [("preadv", "IDENTITY"), ("fsync", ""), ("listdir", "tmp")])
def test_a_disk_that_fails_at_the_start_is_named(tmp_path: Path, call: str, in_directory: str) -> None:
    directory = tmp_path / "cs-1"
    with running(directory) as process:
        assert process.stdout is not None
        process.stdout.readline()
    said = start_on_broken_disk(directory, call)
    assert f"because {directory / in_directory} cannot be used: Input/output error." in said
    assert "start a chunkserver of another name" in said
    assert "DISK_FAILED" in said
