"""Whether what a gateway needs besides a client is installed."""

import importlib.util

from dstore.core.errors import InvalidRequest

_GATEWAY_MODULES = ("h11", "prometheus_client", "python_multipart", "starlette", "uvicorn", "uvloop")


def check_gateway_extra() -> None:
    """Return when everything that a gateway needs is installed.

    Raises:
        InvalidRequest: with reason GATEWAY_EXTRA_MISSING.
    """
    missing = [name for name in _GATEWAY_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidRequest(
            f"This installation of dstore has no gateway ({', '.join(missing)} missing). Install it with "
            "`pip install 'dstore[gateway]'`.",
            reason="GATEWAY_EXTRA_MISSING",
            metadata={"missing": ",".join(missing)},
        )
