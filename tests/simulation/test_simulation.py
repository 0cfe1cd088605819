"""Fresh seeds in every run of the tests; the same seed gives the same run; and defects are found."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from simulation.mutations import MUTATIONS

ROOT = Path(__file__).parent.parent.parent
FRESH_SEEDS = 40
#: For each mutation, a first seed with which it is caught soon.
CAUGHT_FROM = {
    **dict.fromkeys(MUTATIONS, 1),
    "mutations repeated under the same request id take effect again": 54,
    "epochs are not compared": 7,
    "what was not synced is forgotten at the start": 13,
    "metadata that is old is not noticed": 40,
}
MUTANT_SEEDS_MAX = 1_000


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    environment.pop("PYTHONHASHSEED", None)
    command = [sys.executable, "-m", "simulation", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
def test_fresh_seeds_keep_every_promise(record_property: Callable[[str, object], None]) -> None:
    run = simulate("--seeds", str(FRESH_SEEDS), "--processes", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    record_property("simulation", f"{lines[0]}; {lines[-4]}")
    assert lines[-1] == "0 seeds failed"


@pytest.mark.timeout(900)
def test_a_seed_replays_event_by_event() -> None:
    first, second = (simulate("--seed", "7", "--seeds", "1") for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stdout + first.stderr
    digests = [re.search(r"^trace (\S+)$", run.stdout, flags=re.MULTILINE) for run in (first, second)]
    assert digests[0] and digests[1] and digests[0][1] == digests[1][1]
    other = simulate("--seed", "8", "--seeds", "1")
    assert f"trace {digests[0][1]}\n" not in other.stdout


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_defect_is_caught(name: str) -> None:
    first = str(CAUGHT_FROM[name])
    run = simulate("--seed", first, "--seeds", str(MUTANT_SEEDS_MAX), "--processes", "1", "--mutation", name, "--stop")
    assert run.returncode == 1, f"not caught:\n{run.stdout}{run.stderr}"
    assert re.search(r"replay with: make sim SEED=\d+ SEEDS=1", run.stdout), run.stdout + run.stderr
    assert any(f"Invariant {number}: " in run.stdout for number in MUTATIONS[name].invariants), run.stdout
