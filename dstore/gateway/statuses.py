"""Which HTTP status an error becomes, with which headers, and the body that says why: the one place for both."""

import json
from collections.abc import Mapping

from dstore.core import errors
from dstore.core.errors import DstoreError
from dstore.gateway.limits import HEADERS_SIZE_BYTES_MAX

#: Every concrete error has its own line, so that a new one cannot get a status by accident.
STATUSES: Mapping[type[DstoreError], int] = {
    errors.InvalidRequest: 400,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.IsADirectory: 409,
    errors.NotADirectory: 409,
    errors.DirectoryNotEmpty: 409,
    errors.PermissionDenied: 403,
    errors.WrongKey: 403,
    errors.Conflict: 409,
    errors.NotReady: 503,
    errors.Unavailable: 503,
    errors.OutOfSpace: 507,
    errors.LimitExceeded: 413,
    # What is behind the gateway gave something that cannot be passed on.
    errors.Corrupt: 502,
    errors.DeadlineExceeded: 504,
    errors.CommitUnknown: 504,
    errors.Internal: 500,
}

#: Causes for which HTTP has a status of their own.
REASON_STATUSES: Mapping[str, int] = {
    "TOKEN_MISSING": 401,
    "TOKEN_UNKNOWN": 401,
    "METHOD_NOT_OFFERED": 405,
    "BODY_TOO_SLOW": 408,
    "PRECONDITION_FAILED": 412,
    "CONTENT_TYPE_UNSUPPORTED": 415,
    "CONTENT_ENCODING_UNSUPPORTED": 415,
    "RANGE_NOT_SATISFIABLE": 416,
    "HOST_UNKNOWN": 421,
    "HEADERS_TOO_LARGE": 431,
    # The gateway itself was set up without what it needs.
    "NO_KEY_FILE": 500,
    # Others keep the cluster busy; what was sent is not to blame.
    "TOO_MANY_WRITES": 503,
    "TOO_MANY_CALLS": 503,
    "COMMIT_QUEUE_FULL": 503,
}

_RETRY_AFTER_S = 2
_REALM = 'Bearer realm="dstore"'


def status_of(error: DstoreError) -> int:
    """Return the HTTP status of an error: that of its reason, else that of its nearest class."""
    status = REASON_STATUSES.get(error.reason)
    if status is not None:
        return status
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def headers_of(error: DstoreError) -> dict[str, str]:
    """Return the headers that HTTP wants with the status of an error."""
    headers = {}
    match error.reason:
        case "TOKEN_MISSING":
            headers["WWW-Authenticate"] = _REALM
        case "TOKEN_UNKNOWN":
            headers["WWW-Authenticate"] = f'{_REALM}, error="invalid_token"'
        case "RIGHT_MISSING":
            headers["WWW-Authenticate"] = f'{_REALM}, error="insufficient_scope", scope="{error.metadata["right"]}"'
        case "METHOD_NOT_OFFERED":
            headers["Allow"] = error.metadata["allow"]
        case "RANGE_NOT_SATISFIABLE":
            headers["Content-Range"] = f"bytes */{error.metadata['size_bytes']}"
    if status_of(error) == 503:
        headers["Retry-After"] = str(_RETRY_AFTER_S)
    return headers


def headers_too_large() -> DstoreError:
    """Return the error for a request whose headers are longer than is read."""
    return errors.InvalidRequest(
        f"Address and headers of the request are longer than {HEADERS_SIZE_BYTES_MAX} bytes; send fewer.",
        reason="HEADERS_TOO_LARGE",
    )


def error_body(error: DstoreError, request_id: str) -> bytes:
    """Return the JSON that every answer with an error has."""
    value = {"error": {"reason": error.reason, "message": error.message, "request_id": request_id}}
    return json.dumps(value).encode() + b"\n"
