"""Server reflection that shows the comments.

The official runtimes strip comments from the descriptors that they embed, so that ``grpcurl describe`` shows bare
signatures. This servicer answers from a descriptor set that was built with source info, for the protocol itself, and
from the runtime's own pool for everything else (health, error details). It is offered as v1 and as v1alpha, whose
messages are the same on the wire.
"""

from collections.abc import AsyncIterator, Iterable
from importlib import resources
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
#: Files of which grpcurl needs descriptors beside the protocol's own.
_POOL_FILES = (health_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)


class Reflection:
    """Answers ServerReflectionInfo for the given services."""

    def __init__(self, service_names: Iterable[str]):
        self._service_names = sorted({*service_names, *_SERVICES})
        self._files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
        for descriptor in _POOL_FILES:
            self._add_from_pool(descriptor)
        protoset = resources.files("dstore.v1").joinpath("dstore.protoset").read_bytes()
        for file in descriptor_pb2.FileDescriptorSet.FromString(protoset).file:
            self._files[file.name] = file
        self._file_of_symbol = {symbol: file.name for file in self._files.values() for symbol in _symbols(file)}

    def _add_from_pool(self, descriptor: FileDescriptor) -> None:
        file = descriptor_pb2.FileDescriptorProto()
        descriptor.CopyToProto(file)
        self._files[file.name] = file
        for name in file.dependency:
            if name not in self._files:
                self._add_from_pool(descriptor_pool.Default().FindFileByName(name))

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return the handlers to register with a server."""
        handler = grpc.stream_stream_rpc_method_handler(
            self._server_reflection_info,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return tuple(
            grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": handler}) for service in _SERVICES
        )

    async def _server_reflection_info(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield self.answer(request)

    def answer(self, request: Any) -> Any:
        """Return the response to one request of a reflection stream."""
        response = reflection_pb2.ServerReflectionResponse(valid_host=request.host, original_request=request)
        match request.WhichOneof("message_request"):
            case "list_services":
                for name in self._service_names:
                    response.list_services_response.service.add(name=name)
            case "file_by_filename" if request.file_by_filename in self._files:
                self._fill(response, request.file_by_filename)
            case "file_containing_symbol" if request.file_containing_symbol in self._file_of_symbol:
                self._fill(response, self._file_of_symbol[request.file_containing_symbol])
            case "all_extension_numbers_of_type" if request.all_extension_numbers_of_type in self._file_of_symbol:
                response.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type
            case _:
                response.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
                response.error_response.error_message = (
                    "Unknown to this server; `grpcurl ADDRESS list` shows its services."
                )
        return response

    def _fill(self, response: Any, name: str) -> None:
        """Put a file and all that it imports into ``response``."""
        pending, seen = [name], set[str]()
        while pending:
            current = pending.pop()
            if current not in seen:
                seen.add(current)
                file = self._files[current]
                response.file_descriptor_response.file_descriptor_proto.append(file.SerializeToString())
                pending.extend(file.dependency)


def _symbols(file: descriptor_pb2.FileDescriptorProto) -> Iterable[str]:
    prefix = f"{file.package}." if file.package else ""
    for service in file.service:
        yield prefix + service.name
        for method in service.method:
            yield f"{prefix}{service.name}.{method.name}"
    for enum in file.enum_type:
        yield prefix + enum.name
    for message in file.message_type:
        yield from _message_symbols(prefix, message)


def _message_symbols(prefix: str, message: descriptor_pb2.DescriptorProto) -> Iterable[str]:
    name = prefix + message.name
    yield name
    for field in message.field:
        yield f"{name}.{field.name}"
    for enum in message.enum_type:
        yield f"{name}.{enum.name}"
    for nested in message.nested_type:
        yield from _message_symbols(f"{name}.", nested)
