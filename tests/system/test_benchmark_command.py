import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Results
from benchmarks.systems.base import REPOSITORY


def test_one_command_measures_systems_side_by_side_and_leaves_nothing_behind(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept.json"
    data.mkdir()
    options = ["--quick", "--runs", "1", "--places", "disk", "--disk", str(data), "--json", str(kept)]
    command = [sys.executable, "-m", "benchmarks", *options, "--systems", "dstore,raw", "--workloads", "names-*"]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False)
    assert finished.returncode == 0, finished.stderr
    results = Results.from_json(kept.read_text())
    names = [f"names-{verb}" for verb in ("create", "stat", "list", "rename", "remove")]
    assert [(figure.workload, figure.system) for figure in results.figures] == [
        (name, system) for name in names for system in ("dstore", "raw")
    ]
    for figure in results.figures:
        assert figure.median > 0
        assert figure.durability
        assert figure.client_peak_mib
        assert figure.title in finished.stdout
    assert list(data.iterdir()) == []


def test_unknown_systems_are_refused() -> None:
    command = [sys.executable, "-m", "benchmarks", "--systems", "dstore,hdfs"]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 2
    assert "there is no 'hdfs'; choose from dstore, seaweedfs, bare, raw" in finished.stderr
