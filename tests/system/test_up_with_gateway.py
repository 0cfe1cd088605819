"""`dstore up --gateway`: the files over HTTP, with the rest of the cluster from the first command to the last."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import LocalTestCluster, free_ports


class WithGateway(LocalTestCluster):
    """Starts with a gateway, whose port is beside those of all other clusters of tests."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, chunkservers=1)
        self.names = (*self.names, "gateway")
        self._port = free_ports(1, ports=range(12_000, 13_000))

    def up_arguments(self) -> list[str]:
        return [*super().up_arguments(), "--gateway"]

    def listed(self) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 1000}/list") as answer:
            return [each["path"] for each in json.load(answer)["files"]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[WithGateway]:
    cluster = WithGateway(tmp_path)
    try:
        yield cluster
    finally:
        cluster.stop()


def test_from_the_first_command_to_the_last(cluster: WithGateway) -> None:
    up = cluster.check_json(*cluster.up_arguments())
    servers = up["servers"]
    assert isinstance(servers, list)
    assert [(step["name"], step["outcome"]) for step in servers] == [
        ("master", "ready"),
        ("cs-1", "ready"),
        ("gateway", "ready"),
    ]
    assert servers[-1]["endpoint"] == f"http://127.0.0.1:{cluster.port + 1000}"
    cluster.check("put", "-", "/hello.txt", stdin=b"hello")
    assert cluster.listed() == ["/hello.txt"]

    # It belongs to the cluster: whoever starts that again gets it again, without saying so.
    cluster.kill("gateway")
    again = cluster.run("up", "--dir", str(cluster.root), "--json")
    steps = json.loads(again.stdout)["servers"]
    assert [step["outcome"] for step in steps] == ["running", "running", "ready"]
    assert cluster.listed() == ["/hello.txt"]

    refused = cluster.run("up", "--dir", str(cluster.root), "--no-gateway", "--json")
    assert json.loads(refused.stderr)["error"]["reason"] == "CLUSTER_RUNNING"

    down = cluster.check_json("down", "--dir", str(cluster.root))
    stopped = down["servers"]
    assert isinstance(stopped, list)
    assert [(step["name"], step["outcome"]) for step in stopped] == [
        ("gateway", "stopped"),
        ("cs-1", "stopped"),
        ("master", "stopped"),
    ]

    cluster.check("up", "--dir", str(cluster.root), "--no-gateway")
    assert cluster.pid("master") is not None
    assert cluster.pid("gateway") is None
