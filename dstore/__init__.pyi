from dstore.client.blocking import Client
from dstore.client.client import AsyncClient
from dstore.client.connect import connect, connect_async
from dstore.core.errors import (
    AlreadyExists,
    CommitUnknown,
    Conflict,
    Corrupt,
    DeadlineExceeded,
    DirectoryNotEmpty,
    DstoreError,
    Internal,
    InvalidRequest,
    IsADirectory,
    LimitExceeded,
    NotADirectory,
    NotFound,
    NotReady,
    OutOfSpace,
    PermissionDenied,
    Unavailable,
    WrongKey,
)
from dstore.core.files import FileInfo, FileKind
from dstore.core.request_ids import request_id as request_id

__version__: str

__all__ = [
    "AlreadyExists",
    "AsyncClient",
    "Client",
    "CommitUnknown",
    "Conflict",
    "Corrupt",
    "DeadlineExceeded",
    "DirectoryNotEmpty",
    "DstoreError",
    "FileInfo",
    "FileKind",
    "Internal",
    "InvalidRequest",
    "IsADirectory",
    "LimitExceeded",
    "NotADirectory",
    "NotFound",
    "NotReady",
    "OutOfSpace",
    "PermissionDenied",
    "Unavailable",
    "WrongKey",
    "__version__",
    "connect",
    "connect_async",
    "request_id",
]
