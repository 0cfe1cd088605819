"""The scripts in examples/ run as they are, and say what they are meant to show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dstore.testing import LocalCluster

TESTS = Path(__file__).parent.parent
EXAMPLES = TESTS.parent / "examples"
LINES_MAX = 60

SAYS = {
    "async_many_small_files": ["put_many: 2000 files, 0 failed", "get_many: 2000 as they were", "tasks: 2000 files"],
    "dask_processes": ["4 parts, sum 4999950000", "the largest that ends with 7 is 99997"],
    "duckdb_query": ["2024: 365 days", "2026: 365 days", "best day of the first hundred: 99"],
    "durability": [
        "replaced: True",
        "chunk 0: 3 copies, on cs-1, cs-2, cs-3",
        "conflict: VERSION_CHANGED",
        "HEALTH_OK",
    ],
    "first_steps": ["Hello, cluster!", "last line: 9999,99980001", "refused: ", "restored: True"],
    "loader_by_spawn": ["64 samples in 4 batches: [120, 376, 632, 888]"],
    "pandas_parquet": ["Lima sold 13213 on 73 days", "365 rows in 5 directories", "2026-01-02 Lima"],
    "ranges": ["50000016 bytes, 50000 records", "record 31337 begins with 31337", "after a seek: 12345"],
    "zarr_array": ["2000 × 2000 in m", "one row of a part: [1001.  1001.1 1001.2]", "mean of the corner: 8.96"],
}

#: What libraries say of each other, by the beginning of the message; every other warning is an error.
WARNS = {"dask_processes": "The inplace keyword in DataFrame.reset_index is deprecated"}


def test_every_example_is_short_and_run_by_some_test() -> None:
    scripts = {path.stem: path.read_text().count("\n") for path in EXAMPLES.glob("*.py")}
    assert scripts.keys() >= SAYS.keys()
    assert max(scripts.values()) < LINES_MAX
    tests = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert [name for name in scripts if f'"{name}"' not in tests and f"{name}.py" not in tests] == []


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example(name: str, dstore_cluster: LocalCluster) -> None:
    warnings = f"error,ignore:{WARNS[name]}" if name in WARNS else "error"
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env={**os.environ, **dstore_cluster.environment, "PYTHONWARNINGS": warnings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    missing = [text for text in SAYS[name] if text not in ended.stdout]
    assert not missing, f"{missing} is not in:\n{ended.stdout}"
