"""A person with grpcurl: lists, reads the comments, asks for the status, reads a range of a chunk."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import LocalTestCluster
from large_files import client_of


def grpcurl_path() -> str:
    beside = Path(sys.executable).parent / "grpcurl"
    path = str(beside) if beside.exists() else shutil.which("grpcurl")
    assert path is not None, "grpcurl is missing; `make setup` installs it"
    return path


def grpcurl(*arguments: str, expected: int = 0) -> str:
    finished = subprocess.run(
        [grpcurl_path(), "-plaintext", *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert finished.returncode == expected, finished.stderr
    return finished.stdout if expected == 0 else finished.stderr


def test_the_master_lists_and_describes_itself_with_comments(small_chunks_cluster: LocalTestCluster) -> None:
    address = small_chunks_cluster.endpoint
    services = grpcurl(address, "list").split()
    assert {"dstore.v1.NamespaceService", "dstore.v1.ClusterService", "dstore.v1.AdminService"} <= set(services)
    described = grpcurl(address, "describe", "dstore.v1.AdminService.GetClusterStatus")
    assert "Describes the cluster on one screen" in described
    described = grpcurl(address, "describe", "dstore.v1.CommitWriteRequest")
    assert "The version that the manifest seals" in described


def test_status_and_nodes_read_well(small_chunks_cluster: LocalTestCluster) -> None:
    text = grpcurl(small_chunks_cluster.endpoint, "dstore.v1.AdminService/GetClusterStatus")
    status = json.loads(text)
    assert status["health"] == "HEALTH_OK"
    assert text.index('"health"') < text.index('"underReplicatedChunks"') < text.index('"clusterId"')
    # A zero that is the news is printed.
    assert status["underReplicatedChunks"] == 0
    nodes = json.loads(grpcurl(small_chunks_cluster.endpoint, "dstore.v1.AdminService/ListNodes"))["nodes"]
    assert [node["name"] for node in nodes] == ["cs-1", "cs-2", "cs-3"]


def test_operators_steer_upkeep(small_chunks_cluster: LocalTestCluster) -> None:
    address, service = small_chunks_cluster.endpoint, "dstore.v1.AdminService"
    balance = json.loads(grpcurl(address, f"{service}/BalanceCluster"))
    assert (balance["paused"], balance["moveCount"]) == (False, 0)
    pause = json.dumps({"action": "PAUSE_ACTION_PAUSE"})
    assert json.loads(grpcurl("-d", pause, address, f"{service}/SetScrub"))["paused"] is True
    assert json.loads(grpcurl(address, f"{service}/SetScrub")) == {"paused": True, "period": "1209600s"}
    resume = json.dumps({"action": "PAUSE_ACTION_RESUME"})
    assert json.loads(grpcurl("-d", resume, address, f"{service}/SetScrub"))["paused"] is False
    active = json.dumps({"name": "cs-1", "duty": "NODE_DUTY_ACTIVE"})
    assert json.loads(grpcurl("-d", active, address, f"{service}/SetNodeDuty"))["applied"] is True
    for request, call, code, reason in (
        ({"name": "cs-1", "duty": "NODE_DUTY_DRAINING", "dryRun": True}, "SetNodeDuty", "NotFound", "NODE_UNKNOWN"),
        ({"name": "cs-1"}, "SetNodeDuty", "InvalidArgument", "DUTY_INVALID"),
        ({"name": "cs-1"}, "RemoveNode", "FailedPrecondition", "NODE_IN_USE"),
    ):
        wanted = request | {"name": "cs-9"} if code == "NotFound" else request
        text = grpcurl("-d", json.dumps(wanted), address, f"{service}/{call}", expected=_exit_code(code))
        assert reason in text


def test_health_on_every_server(small_chunks_cluster: LocalTestCluster) -> None:
    for offset in range(4):
        address = f"127.0.0.1:{small_chunks_cluster.port + offset}"
        for service in ("liveness", "readiness"):
            answer = grpcurl("-d", json.dumps({"service": service}), address, "grpc.health.v1.Health/Check")
            assert json.loads(answer) == {"status": "SERVING"}


def test_describe_file_leads_to_a_chunk_range(small_chunks_cluster: LocalTestCluster) -> None:
    with client_of(small_chunks_cluster) as client:
        client.put("/for-grpcurl", bytes(1024 * 1024 + 1))
    request = json.dumps({"path": "/for-grpcurl"})
    described = json.loads(grpcurl("-d", request, small_chunks_cluster.endpoint, "dstore.v1.AdminService/DescribeFile"))
    assert [chunk["index"] for chunk in described["chunks"]] == ["0", "1"]
    chunk = described["chunks"][0]
    assert len(chunk["replicas"]) == 3
    wanted = {"chunkId": chunk["chunkId"], "offset": "56", "lengthBytes": "100000", "frameSizeBytes": 40000}
    address = chunk["replicas"][0]["address"]
    text = grpcurl("-d", json.dumps(wanted), address, "dstore.v1.ChunkService/ReadChunk")
    decoder, frames, position = json.JSONDecoder(), [], 0
    while position < len(text.rstrip()):
        value, position = decoder.raw_decode(text, position)
        frames.append(value["frame"])
        position += len(text[position:]) - len(text[position:].lstrip())
    data = [base64.b64decode(frame["data"]) for frame in frames]
    assert [len(each) for each in data] == [40000, 40000, 20000]
    assert [frame["offset"] for frame in frames] == ["56", "40056", "80056"]
    assert data[0] != bytes(40000), "ciphertext, not the zeros that were put"
    wanted = {"chunkId": chunk["chunkId"], "offset": "40056", "lengthBytes": 40000}
    answer = json.loads(grpcurl("-d", json.dumps(wanted), address, "dstore.v1.ChunkService/ReadRange"))["frame"]
    assert base64.b64decode(answer["data"]) == data[1]
    assert (answer["offset"], answer["crc32c"]) == ("40056", frames[1]["crc32c"])


@pytest.mark.parametrize(
    ("request_", "method", "code", "reason"),
    [
        ({"path": "/no/such"}, "NamespaceService/Stat", "NotFound", "FILE_NOT_FOUND"),
        ({"path": "relative"}, "NamespaceService/Stat", "InvalidArgument", "PATH_NOT_ABSOLUTE"),
        ({"path": "/a/../b"}, "NamespaceService/Stat", "InvalidArgument", "PATH_RELATIVE_NAME"),
        ({"path": "/x"}, "NamespaceService/MakeDirectory", "InvalidArgument", "REQUEST_ID_INVALID"),
        ({"path": "/", "requestId": "1"}, "NamespaceService/Remove", "InvalidArgument", "ROOT_IMMOVABLE"),
        ({"path": "/"}, "AdminService/DescribeFile", "FailedPrecondition", "IS_A_DIRECTORY"),
    ],
)
def test_errors_say_what_and_carry_their_reason(
    small_chunks_cluster: LocalTestCluster, request_: dict[str, str], method: str, code: str, reason: str
) -> None:
    error = grpcurl(
        "-d", json.dumps(request_), small_chunks_cluster.endpoint, f"dstore.v1.{method}", expected=_exit_code(code)
    )
    assert f"Code: {code}" in error
    assert reason in error


def _exit_code(code: str) -> int:
    """Return how grpcurl ends for a status: 64 more than its number."""
    return 64 + {"InvalidArgument": 3, "NotFound": 5, "FailedPrecondition": 9}[code]
