"""One request is found by its id in the logs of all servers that had to do with it, and nobody can forge a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cluster import LocalTestCluster, wait_until
from test_gateway_with_curl import Gateway, running

from dstore.rpc.request_metadata import REQUEST_ID_KEY
from dstore.v1 import namespace_service_pb2 as v1

#: What every line has.
ALWAYS = {"time", "level", "logger", "message", "role", "node"}
CONTENT = b"nobody may read this" * 20_000
SERVERS = ("master", "cs-1", "cs-2", "cs-3")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestCluster]:
    """A cluster whose servers write a line for every call, as JSON, because no terminal is there."""
    cluster = LocalTestCluster(tmp_path_factory.mktemp("logged"), chunk_size_bytes=1024 * 1024)
    cluster.environ["DSTORE_LOG_LEVEL"] = "debug"
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def gateway(cluster: LocalTestCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(cluster, tmp_path_factory.mktemp("gateway") / "log") as gateway:
        yield gateway


def lines(text: str, request_id: str) -> list[dict[str, Any]]:
    """Return the lines of a log about a request; every whole line of it must be JSON."""
    values = [json.loads(line) for line in text.split("\n")[:-1]]
    logged = [value for value in values if value.get("event") != "ready"]
    assert all(value.keys() >= ALWAYS for value in logged)
    return [value for value in logged if request_id in value.get("request_id", "").split(",")]


def test_a_put_is_found_from_the_gateway_to_the_last_replica(
    cluster: LocalTestCluster, gateway: Gateway, tmp_path: Path
) -> None:
    local = tmp_path / "secret name"
    local.write_bytes(CONTENT)
    given = ("-H", "X-Request-Id: put/1", "-T", str(local))
    assert gateway.curl(*given, f"{gateway.url}/v1/files/secret%20name")[0] == 201
    # The gateway writes its line when all of the answer has gone.
    wait_until(lambda: bool(lines(gateway.errors.read_text(), "put/1")), what="the gateway's line", timeout_s=20)
    (answered,) = lines(gateway.errors.read_text(), "put/1")
    assert (answered["role"], answered["http_method"], answered["status"]) == ("gateway", "PUT", 201)
    methods = {line.get("method") for line in lines(cluster.log("master"), "put/1")}
    assert methods >= {"NamespaceService/BeginWrite", "NamespaceService/CommitWrite"}
    written = [lines(cluster.log(name), "put/1") for name in SERVERS[1:]]
    # The head is called by the gateway, the second by the head, and the last replica by the second.
    for name, found in zip(SERVERS[1:], written, strict=True):
        (line,) = [each for each in found if each.get("method") == "ChunkService/WriteChunk"]
        assert (line["node"], line["outcome"], line["level"]) == (name, "OK", "debug")
        assert line["group"] == int(line["chunk"].partition("-")[0], 16) and line["duration_s"] > 0
    assert len({line["chunk"] for found in written for line in found if "chunk" in line}) == 1
    for log in (gateway.errors.read_text(), *map(cluster.log, SERVERS)):
        assert "secret" not in log and CONTENT[:20].decode() not in log


def test_a_command_is_found_by_the_id_that_it_was_given(cluster: LocalTestCluster) -> None:
    cluster.check("put", "-", "/by-command", "--request-id", "mine", stdin=CONTENT)
    cluster.environ["DSTORE_LOCAL_READS"] = "off"
    assert cluster.check("cat", "/by-command", "--request-id", "mine-too") == CONTENT
    for request_id, method in (("mine", "WriteChunk"), ("mine-too", "ReadRange")):
        found = [line for name in SERVERS[1:] for line in lines(cluster.log(name), request_id)]
        assert f"ChunkService/{method}" in {line.get("method") for line in found}
    refused = cluster.run("stat", "/none", "--json", "--request-id", "lost")
    assert json.loads(refused.stderr)["error"]["request_id"] == "lost"
    (line,) = lines(cluster.log("master"), "lost")[-1:]
    assert (line["outcome"], line["message"]) == ("FILE_NOT_FOUND", "a call failed")
    refused = cluster.run("stat", "/none", "--json", "--request-id", "two\nlines")
    assert json.loads(refused.stderr)["error"]["reason"] == "REQUEST_ID_INVALID"


@pytest.mark.parametrize("forged", ['x","level":"error', "a b", "x" * 129, ",".join("x" * 33)])
def test_an_id_that_is_none_does_not_enter_the_log(cluster: LocalTestCluster, gateway: Gateway, forged: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{cluster.port}") as channel:
        stat = channel.unary_unary(
            "/dstore.v1.NamespaceService/Stat",
            request_serializer=v1.StatRequest.SerializeToString,
            response_deserializer=v1.StatResponse.FromString,
        )
        stat(v1.StatRequest(path="/"), metadata=((REQUEST_ID_KEY, forged),), timeout=30)
        stat(v1.StatRequest(path="/"), metadata=((REQUEST_ID_KEY, "well-formed"),), timeout=30)
    gateway.curl("-H", f"X-Request-Id: {forged}", f"{gateway.url}/list")
    wait_until(lambda: bool(lines(cluster.log("master"), "well-formed")), what="the call is logged", timeout_s=20)
    for log in (cluster.log("master"), gateway.errors.read_text()):
        assert forged not in log and json.dumps(forged)[1:-1] not in log
