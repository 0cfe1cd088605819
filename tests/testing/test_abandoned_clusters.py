"""No process and no file of a LocalCluster outlives whoever made it, and nothing is in the user's home."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cluster_traces import names_in, processes_of, wait_until

from dstore.core.errors import Unavailable
from dstore.testing import LocalCluster

USES_IT = """
from dstore.testing import LocalCluster
with LocalCluster(2) as cluster, cluster.connect() as client:
    client.put("/file", b"1")
    assert client.get("/file") == b"1"
"""

WAITS = """
import threading, time
from dstore.testing import LocalCluster
# On a thread that ends: servers must depend on the process, not on whoever started them.
cluster = LocalCluster(2)
starting = threading.Thread(target=cluster.start)
starting.start()
starting.join()
print(cluster.directory, flush=True)
time.sleep(600)
"""

FORGETS = """
from dstore.testing import LocalCluster
cluster = LocalCluster(1)
cluster.start()
"""

FAILS_FOR_THE_SECOND = """
import os, sys
if "cs-2" in sys.orig_argv:
    print("disk on fire", file=sys.stderr, flush=True)
    os._exit(3)
"""


def environment(home: Path, temporary: Path) -> dict[str, str]:
    """That of a user with an empty home and without any setting of dstore."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("DSTORE_", "XDG_", "PYTHONPATH"))
    }
    home.mkdir()
    temporary.mkdir()
    return {**environ, "HOME": str(home), "TMPDIR": str(temporary)}


def test_the_home_is_not_touched(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    subprocess.run([sys.executable, "-c", USES_IT], env=environment(home, temporary), check=True)
    assert names_in(home) == []
    assert names_in(temporary) == []
    assert processes_of(temporary) == []


def test_a_killed_process_takes_its_cluster_with_it(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    command = [sys.executable, "-c", WAITS]
    with subprocess.Popen(command, env=environment(tmp_path / "home", temporary), stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        directory = Path(maker.stdout.readline().decode().strip())
        assert directory.parent == temporary
        assert len(processes_of(directory)) == 3
        maker.send_signal(signal.SIGKILL)
    wait_until(lambda: not processes_of(directory), what="the servers are gone")
    wait_until(lambda: not directory.exists(), what="the directory is gone")


def test_a_process_that_forgets_to_stop_it_takes_it_along(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    environ = environment(tmp_path / "home", temporary)
    subprocess.run([sys.executable, "-c", FORGETS], env=environ, check=True)
    wait_until(lambda: not processes_of(temporary), what="the servers are gone")
    assert names_in(temporary) == []


def test_a_server_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sitecustomize.py").write_text(FAILS_FOR_THE_SECOND)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    cluster = LocalCluster(2)
    with pytest.raises(Unavailable, match="cs-2 ended with exit code 3") as caught:
        cluster.start()
    assert caught.value.reason == "SERVER_START_FAILED"
    assert "disk on fire" in caught.value.message
    assert names_in(tmp_path / "tmp") == []
    assert processes_of(tmp_path) == []
    assert repr(cluster) == "LocalCluster(chunkservers=2, not running)"
