"""A progress bar is for people at a terminal, and for nobody else."""

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dstore.cli.transfer_progress import transfer_progress

MIB = 1024 * 1024


@contextmanager
def terminal() -> Iterator[int]:
    """Make stderr a terminal; yields the side where a person would sit."""
    person, program = pty.openpty()
    # Here and not in a fixture, because pytest sets stderr anew before a test begins.
    with pytest.MonkeyPatch.context() as patch, os.fdopen(program, "w") as stderr:
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stderr", stderr)
        yield person
    os.close(person)


def shown(person: int) -> str:
    """Return all that was shown so far; the system passes it on in pieces."""
    print("END", end="", file=sys.stderr, flush=True)
    text = b""
    while not text.endswith(b"END"):
        text += os.read(person, 65_536)
    return text.removesuffix(b"END").decode()


def test_bytes_and_name_are_shown() -> None:
    with terminal() as person:
        with transfer_progress("/a[bold]\x1b", 3 * MIB, wanted=True) as report:
            report(MIB)
            report(3 * MIB)
        text = shown(person)
    assert "/a[bold]\\x1b" in text
    assert "3.0/3.0 MiB" in text


def test_a_stream_has_no_size() -> None:
    with terminal() as person:
        with transfer_progress("/a", None, wanted=True) as report:
            report(2 * MIB)
        assert "/a" in shown(person)


@pytest.mark.parametrize("wanted", [False, True])
def test_nothing_is_shown_unless_wanted_or_without_rich(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if wanted:
        monkeypatch.setitem(sys.modules, "rich", None)
    with terminal() as person:
        with transfer_progress("/a", 1, wanted=wanted) as report:
            report(1)
        assert shown(person) == ""


def test_nothing_is_shown_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with transfer_progress("/a", 1, wanted=True) as report:
        report(1)
    assert capsys.readouterr().err == ""
