"""dstore: a secure distributed block store.

Encrypted on the client, replicated in a pipeline, verifiable without keys.

    with dstore.connect() as client:
        client.put("/greeting", b"hello")
        client.get("/greeting")

Names are loaded when they are first used, so that importing dstore costs nothing; ``__init__.pyi`` tells type
checkers what they are.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

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

_HOMES = {
    "AsyncClient": "dstore.client.client",
    "Client": "dstore.client.blocking",
    "FileInfo": "dstore.core.files",
    "FileKind": "dstore.core.files",
    "connect": "dstore.client.connect",
    "connect_async": "dstore.client.connect",
    "request_id": "dstore.core.request_ids",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "dstore.core.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
