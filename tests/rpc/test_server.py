"""Health, reflection and ports of the server."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from dstore.core.errors import Unavailable
from dstore.rpc.reflection import Reflection
from dstore.rpc.server import RpcServer


@pytest.fixture
async def server() -> AsyncIterator[tuple[RpcServer, str]]:
    server = RpcServer("127.0.0.1:0")
    address = await server.start()
    yield server, address
    await server.stop(0)


async def health_of(address: str, name: str) -> Any:
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]
        return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


async def test_alive_at_once_ready_when_told_and_alive_while_stopping(server: tuple[RpcServer, str]) -> None:
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert await health_of(server[1], "liveness") == serving
    assert await health_of(server[1], "readiness") == not_serving
    await server[0].set_ready(ready=True)
    assert await health_of(server[1], "readiness") == serving
    assert await health_of(server[1], "") == serving
    await server[0].set_ready(ready=False)
    assert await health_of(server[1], "readiness") == not_serving
    assert await health_of(server[1], "liveness") == serving


async def test_health_can_be_watched(server: tuple[RpcServer, str]) -> None:
    async with grpc.aio.insecure_channel(server[1]) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="readiness"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await server[0].set_ready(ready=True)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING


async def test_a_taken_port_is_refused_and_never_shared(server: tuple[RpcServer, str]) -> None:
    second = RpcServer(server[1])
    with pytest.raises(Unavailable) as caught:
        await second.start()
    assert caught.value.reason == "ADDRESS_IN_USE"
    assert server[1] in caught.value.message
    await second.stop(0)


def answered_files(response: Any) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    files = (
        descriptor_pb2.FileDescriptorProto.FromString(raw)
        for raw in response.file_descriptor_response.file_descriptor_proto
    )
    return {file.name: file for file in files}


def test_reflection_answers_with_comments_and_all_dependencies() -> None:
    reflection = Reflection(["dstore.v1.AdminService"])
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="dstore.v1.AdminService.GetClusterStatus")
    files = answered_files(reflection.answer(request))
    file = files["dstore/v1/admin_service.proto"]
    comments = [location.leading_comments for location in file.source_code_info.location]
    assert any("Describes the cluster on one screen" in comment for comment in comments)
    for each in files.values():
        assert set(each.dependency) <= set(files)


@pytest.mark.parametrize(
    "symbol",
    ["grpc.health.v1.Health", "google.rpc.ErrorInfo", "dstore.v1.WriteChunkRequest.Header", "dstore.v1.ServerPhase"],
)
def test_reflection_knows_every_symbol_that_travels(symbol: str) -> None:
    reflection = Reflection([])
    response = reflection.answer(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
    assert answered_files(response)


def test_reflection_says_what_it_does_not_know() -> None:
    response = Reflection([]).answer(reflection_pb2.ServerReflectionRequest(file_by_filename="etc/passwd"))
    assert response.error_response.error_code == 5
