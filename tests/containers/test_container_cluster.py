"""The image and the Compose cluster, as ``make cluster-up`` starts it: needs docker or podman.

Run by ``make test-containers``; ``BASE_IMAGE``, ``IMAGE_BUILD_FLAGS`` and ``RUNTIME`` are as for ``make cluster-up``.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
#: Away from the ports of a cluster that somebody works with.
PORT_PREFIX = "17"
MIB = 1024 * 1024
#: The image is built here, the first time with all its packages.
START_TIMEOUT_S = 900

pytestmark = [pytest.mark.containers, pytest.mark.timeout(START_TIMEOUT_S + 300)]


class ContainerCluster:
    """The Compose cluster under a project name, an image, ports and a configuration of its own."""

    def __init__(self, home: Path):
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("DSTORE_")}
        self.environ |= {
            "CLUSTER_DIRECTORY": str(home / "cluster"),
            "COMPOSE_PROJECT_NAME": "dstore-test",
            "DSTORE_CONFIG_DIR": str(home / "config"),
            "DSTORE_ENDPOINT": f"127.0.0.1:{PORT_PREFIX}070",
            "DSTORE_KEY_FILE": str(home / "cluster" / "key"),
            "DSTORE_IMAGE": "dstore:test",
            "DSTORE_PORT_PREFIX": PORT_PREFIX,
            "RUNTIME": container_runtime(),
        }

    def script(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run ``scripts/cluster.sh``; what it writes is shown when the test fails."""
        return self._run([str(ROOT / "scripts" / "cluster.sh"), *arguments], timeout_s)

    def dstore(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run ``dstore`` on the host."""
        return self._run([sys.executable, "-m", "dstore", *arguments], timeout_s)

    def _run(self, command: list[str], timeout_s: float) -> str:
        finished = subprocess.run(
            command, env=self.environ, cwd=ROOT, capture_output=True, timeout=timeout_s, check=False
        )
        errors = finished.stderr.decode(errors="replace")
        sys.stderr.write(errors)
        assert finished.returncode == 0, f"{' '.join(command)} ended with {finished.returncode}:\n{errors}"
        return finished.stdout.decode()


def container_runtime() -> str:
    """The engine that RUNTIME names, or the first that answers; the test fails without one."""
    wanted = os.environ.get("RUNTIME")
    for engine in (wanted,) if wanted else ("docker", "podman"):
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0:
            return engine
    what = f"`{wanted} info`" if wanted else "`docker info` or `podman info`"
    pytest.fail(f"No container engine answers {what}: install and start one.", pytrace=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerCluster]:
    """A running cluster, and nothing left of it afterwards but the image."""
    cluster = ContainerCluster(tmp_path_factory.mktemp("containers"))
    try:
        cluster.script("up", timeout_s=START_TIMEOUT_S)
        yield cluster
    finally:
        if (Path(cluster.environ["CLUSTER_DIRECTORY"]) / "runtime").exists():
            cluster.script("compose", "down", "--volumes")


def test_file_survives_a_killed_container_and_a_restart(cluster: ContainerCluster, tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.write_bytes(os.urandom(40 * MIB + 1))
    cluster.dstore("put", str(original), "/original")

    cluster.script("compose", "kill", "cs-2")
    cluster.dstore("get", "/original", str(copy))
    assert copy.read_bytes() == original.read_bytes()

    second = tmp_path / "second"
    second.write_bytes(os.urandom(20 * MIB))
    cluster.dstore("put", str(second), "/second")
    assert "HEALTH_OK" not in cluster.script("status")

    cluster.script("down")
    cluster.script("up", timeout_s=START_TIMEOUT_S)
    for name, file in (("/original", original), ("/second", second)):
        copy.unlink()
        cluster.dstore("get", name, str(copy))
        assert copy.read_bytes() == file.read_bytes()
