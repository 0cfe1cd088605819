"""Errors on the wire: ``DstoreError`` to google.rpc.Status and back, in one table.

A status carries exactly one ErrorInfo with the error's reason and metadata, so that the caller gets the same class,
reason, message and metadata that the server raised.
"""

import re
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.v1 import types_pb2 as v1

DOMAIN = "dstore"
_MESSAGE_LENGTH_MAX = 2_000
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,63}")

_CODES: dict[type[DstoreError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.IsADirectory: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotADirectory: grpc.StatusCode.FAILED_PRECONDITION,
    errors.DirectoryNotEmpty: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.WrongKey: grpc.StatusCode.PERMISSION_DENIED,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.OutOfSpace: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.LimitExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Corrupt: grpc.StatusCode.DATA_LOSS,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.CommitUnknown: grpc.StatusCode.UNKNOWN,
    errors.Internal: grpc.StatusCode.INTERNAL,
}

#: Reasons whose code is not that of their class.
_CODES_BY_REASON = {"RANGE_INVALID": grpc.StatusCode.OUT_OF_RANGE}

#: Where several classes share a code, the reason tells them apart.
_KINDS_BY_REASON: dict[str, type[DstoreError]] = {
    "IS_A_DIRECTORY": errors.IsADirectory,
    "NOT_A_DIRECTORY": errors.NotADirectory,
    "DIRECTORY_NOT_EMPTY": errors.DirectoryNotEmpty,
    "WRONG_KEY": errors.WrongKey,
    "DISK_FULL": errors.OutOfSpace,
    "CLUSTER_FULL": errors.OutOfSpace,
}

_CODES_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}

_KINDS: dict[grpc.StatusCode, type[DstoreError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: errors.NotReady,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: errors.PermissionDenied,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitExceeded,
    grpc.StatusCode.DATA_LOSS: errors.Corrupt,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.UNKNOWN: errors.CommitUnknown,
    grpc.StatusCode.INTERNAL: errors.Internal,
}


def code_of(error: DstoreError) -> grpc.StatusCode:
    """Return the gRPC code that carries ``error``."""
    return _CODES_BY_REASON.get(error.reason) or _CODES[type(error)]


def to_status(error: DstoreError) -> Any:
    """Return ``error`` as what ``context.abort_with_status`` takes."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
    code: tuple[int, str] = code_of(error).value
    return rpc_status.to_status(
        status_pb2.Status(code=code[0], message=error.message[:_MESSAGE_LENGTH_MAX], details=[detail])
    )


def to_error(failure: grpc.aio.AioRpcError, *, address: str) -> DstoreError:
    """Return the ``DstoreError`` that the server at ``address`` raised, or that describes why none could.

    Failures that carry no ErrorInfo come from gRPC itself, or from a server that is no dstore.
    """
    message = (failure.details() or failure.code().name)[:_MESSAGE_LENGTH_MAX]
    info = _error_info(failure)
    if info is not None:
        return _kind(failure.code(), info.reason)(message, reason=info.reason, metadata=dict(info.metadata))
    metadata = {"address": address}
    match failure.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return errors.Unavailable(
                f"The server at {address} cannot be reached ({_first_sentence(message)}); "
                "check that it runs and that the address is right.",
                reason="SERVER_UNREACHABLE",
                metadata=metadata,
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(
                f"The server at {address} did not answer in time; it may be hung or overloaded.",
                metadata=metadata,
            )
        case grpc.StatusCode.UNIMPLEMENTED:
            return errors.NotReady(
                f"The server at {address} does not offer this dstore service; "
                "check that the address and port are those of the right kind of dstore server.",
                reason="SERVICE_NOT_OFFERED",
                metadata=metadata,
            )
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in message:
            return errors.LimitExceeded(
                f"A message to or from {address} is over the limit ({_first_sentence(message)}); send less at once.",
                reason="MESSAGE_TOO_LARGE",
                metadata=metadata,
            )
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return errors.Unavailable(
                f"The server at {address} has more calls at once than it takes; try again.",
                reason="TOO_MANY_CALLS",
                metadata=metadata,
            )
        case _:
            return errors.Internal(
                f"The server at {address} failed: {failure.code().name}: {_first_sentence(message)}",
                metadata=metadata,
            )


def error_to_proto(error: DstoreError) -> v1.ErrorStatus:
    """Return the error of one item, as it stands in an answer; with the same content as its status would have."""
    code: tuple[int, str] = code_of(error).value
    return v1.ErrorStatus(
        code=code[0], message=error.message[:_MESSAGE_LENGTH_MAX], reason=error.reason, metadata=error.metadata
    )


def error_from_proto(status: v1.ErrorStatus) -> DstoreError:
    """Return the error that the server had for one item.

    Raises:
        InvalidRequest: reason ``ERROR_INVALID``: it is none of dstore's.
    """
    code = _CODES_BY_NUMBER.get(status.code, grpc.StatusCode.OK)
    if code is grpc.StatusCode.OK or _REASON.fullmatch(status.reason) is None:
        raise errors.InvalidRequest(
            f"The error of an item has the code {status.code} and no reason that dstore knows the form of.",
            reason="ERROR_INVALID",
        )
    message = status.message[:_MESSAGE_LENGTH_MAX]
    return _kind(code, status.reason)(message, reason=status.reason, metadata=dict(status.metadata))


def _kind(code: grpc.StatusCode, reason: str) -> type[DstoreError]:
    return _KINDS_BY_REASON.get(reason) or _KINDS.get(code, errors.Internal)


def _error_info(failure: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    try:
        status = rpc_status.from_call(failure)
    except ValueError:
        # Trailers whose status contradicts the call come from something that is no dstore.
        return None
    if status is None:
        return None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        # A reason is printed beside the message, and compared: what has not its form is none.
        if detail.Unpack(info) and info.domain == DOMAIN and _REASON.fullmatch(info.reason):
            return info
    return None


def _first_sentence(message: str) -> str:
    return message.splitlines()[0][:300] if message else "no details"
