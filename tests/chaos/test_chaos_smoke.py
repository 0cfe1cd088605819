"""A few seconds of ``make chaos``: it starts, breaks things, and ends well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dstore

_PROGRAM = Path(__file__).with_name("run_chaos.py")


@pytest.mark.timeout(400)
def test_a_short_run_ends_well() -> None:
    path = [str(Path(dstore.__file__).parent.parent), str(_PROGRAM.parent.parent)]
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), "--duration", "6", "--out-after", "2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "no violation" in done.stdout
    assert "lost for good" in done.stdout
