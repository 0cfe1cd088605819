"""Whether what servers and gateways need besides a client is installed."""

import importlib.util
from collections.abc import Sequence

from dstore.core.errors import InvalidRequest

_SERVER_MODULES = ("apsw", "grpc_health", "grpc_reflection", "h11", "prometheus_client", "uvloop")
_GATEWAY_MODULES = ("h11", "prometheus_client", "python_multipart", "starlette", "uvicorn", "uvloop")


def check_server_extra() -> None:
    """Return when everything that servers need is installed.

    Raises:
        InvalidRequest: with reason SERVER_EXTRA_MISSING.
    """
    missing = _missing(_SERVER_MODULES)
    if missing:
        raise InvalidRequest(
            f"This installation of dstore has no server parts ({', '.join(missing)} missing). Install them with "
            "`pip install 'dstore[all]'`.",
            reason="SERVER_EXTRA_MISSING",
            metadata={"missing": ",".join(missing)},
        )


def check_gateway_extra() -> None:
    """Return when everything that a gateway needs is installed.

    Raises:
        InvalidRequest: with reason GATEWAY_EXTRA_MISSING.
    """
    missing = _missing(_GATEWAY_MODULES)
    if missing:
        raise InvalidRequest(
            f"This installation of dstore has no gateway ({', '.join(missing)} missing). Install it with "
            "`pip install 'dstore[gateway]'`.",
            reason="GATEWAY_EXTRA_MISSING",
            metadata={"missing": ",".join(missing)},
        )


def _missing(modules: Sequence[str]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]
