"""The model of a power loss, on calls made by hand: what it may take, and what it may not."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from crash_states import CrashModel, losses
from disk_record import DiskCall, read_record, recording_command

OPEN = DiskCall("open", "tmp/a", 1.0, 1.0, 3, creates=True)
WRITE = DiskCall("write", "tmp/a", 2.0, 2.0, 3, offset=0, data=b"x" * 1500)
SYNC = DiskCall("sync", "tmp/a", 3.0, 3.5, 3)
RENAME = DiskCall("rename", "tmp/a", 4.0, 4.0, target="a")
OPEN_ROOT = DiskCall("open", "", 4.1, 4.1, 4)
SYNC_ROOT = DiskCall("sync", "", 5.0, 5.5, 4)
MAKE = DiskCall("mkdir", "tmp", 0.1, 0.1)
MADE = [MAKE, DiskCall("open", "", 0.2, 0.2, 9), DiskCall("sync", "", 0.3, 0.3, 9)]


def after(calls: list[DiskCall], now_s: float) -> CrashModel:
    model = CrashModel()
    for call in calls:
        model.begin(call)
    model.advance(now_s)
    return model


def outcomes(model: CrashModel, directory: Path) -> set[tuple[tuple[str, int], ...]]:
    """Return what a power loss may leave: each as names and sizes of files."""
    found = set()
    for number, loss in enumerate(losses(model.pending, random.Random(1), random_count=20)):
        image = directory / str(number)
        model.build(loss.kept, image, torn=loss.torn)
        files = [(str(path.relative_to(image)), path.stat().st_size) for path in image.rglob("*") if path.is_file()]
        found.add(tuple(sorted(files)))
    return found


NOTHING: tuple[tuple[str, int], ...] = ()
OLD, EMPTY, TORN, NEW = (("tmp/a", 1500),), (("tmp/a", 0),), (("tmp/a", 512),), (("a", 1500),)
BOTH = (*NEW, *OLD)


@pytest.mark.parametrize(
    ("calls", "now_s", "possible"),
    [
        (MADE, 0.3, {NOTHING}),
        ([*MADE, OPEN, WRITE], 2.5, {NOTHING, EMPTY, TORN, OLD}),
        # A sync counts when it has ended, and says nothing about the name.
        ([*MADE, OPEN, WRITE, SYNC], 3.4, {NOTHING, EMPTY, TORN, OLD}),
        ([*MADE, OPEN, WRITE, SYNC], 3.5, {NOTHING, OLD}),
        ([*MADE, OPEN, WRITE, SYNC, RENAME], 4.5, {NOTHING, OLD, NEW, BOTH}),
        ([*MADE, OPEN, WRITE, SYNC, RENAME, OPEN_ROOT, SYNC_ROOT], 5.4, {NOTHING, OLD, NEW, BOTH}),
        # That the old name is gone was never synced.
        ([*MADE, OPEN, WRITE, SYNC, RENAME, OPEN_ROOT, SYNC_ROOT], 5.5, {NEW, BOTH}),
    ],
)
def test_what_is_not_synced_may_be_there_or_not(
    calls: list[DiskCall], now_s: float, possible: set[tuple[tuple[str, int], ...]], tmp_path: Path
) -> None:
    assert outcomes(after(calls, now_s), tmp_path) == possible


def test_a_failed_sync_covers_nothing_and_a_later_one_neither(tmp_path: Path) -> None:
    failed = DiskCall("sync", "tmp/a", 3.0, 3.1, 3, failed=True)
    again = DiskCall("sync", "tmp/a", 3.2, 3.3, 3)
    model = after([*MADE, OPEN, WRITE, failed, again], 4.0)
    assert (("tmp/a", 0),) in outcomes(model, tmp_path)


def test_a_descriptor_that_another_thread_is_about_to_get(tmp_path: Path) -> None:
    """Its open has begun, and waits; the number is still that of the first file, which is written and closed."""
    other = DiskCall("open", "tmp/b", 1.7, 4.6, 3, creates=True)
    late = DiskCall("write", "a", 4.2, 4.3, 3, offset=0, data=b"y" * 700)
    model = after([*MADE, OPEN, other, WRITE, RENAME, late], 5.0)
    model.build(model.pending, tmp_path / "image")
    assert [(tmp_path / "image" / name).stat().st_size for name in ("a", "tmp/b")] == [1500, 0]
    assert (tmp_path / "image" / "a").read_bytes()[:701] == b"y" * 700 + (tmp_path / "image" / "a").read_bytes()[
        700:701
    ]


SCRIPT = r"""
import os, sys, threading
os.chdir(sys.argv[1])
home = sys.argv[1]
def work(name):
    for number in range(20):
        descriptor = os.open(f"{home}/{name}.tmp", os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.pwritev(descriptor, [b"\\" * 30, bytes(range(256)) * number], 0)
        os.pwrite(descriptor, b"1\x002", 40)
        os.write(descriptor, b"front")
        os.ftruncate(descriptor, 200)
        os.fsync(descriptor)
        os.close(descriptor)
        os.rename(f"{home}/{name}.tmp", f"{home}/{name}-{number}")
        if number % 3 == 0:
            os.unlink(f"{home}/{name}-{number}")
threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_the_record_of_a_process_rebuilds_its_directory(tmp_path: Path) -> None:
    """Otherwise the model would follow something else than what happened."""
    real, image, record = tmp_path / "real", tmp_path / "image", tmp_path / "record"
    real.mkdir()
    subprocess.run([*recording_command(record), sys.executable, "-c", SCRIPT, str(real)], check=True)
    calls = read_record(record, real)
    assert len(calls) > 3 * 20 * 6
    model = after(calls, calls[-1].end_s)
    model.build(model.pending, image)
    assert len(list(real.iterdir())) == 39
    assert {path.name: path.read_bytes() for path in image.iterdir()} == {
        path.name: path.read_bytes() for path in real.iterdir()
    }
