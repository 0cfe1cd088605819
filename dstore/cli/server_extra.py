"""Whether what servers need besides a client is installed."""

import importlib.util

from dstore.core.errors import InvalidRequest

_SERVER_MODULES = ("apsw", "grpc_health", "grpc_reflection", "h11", "prometheus_client", "uvloop")


def check_server_extra() -> None:
    """Return when everything that servers need is installed.

    Raises:
        InvalidRequest: with reason SERVER_EXTRA_MISSING.
    """
    missing = [name for name in _SERVER_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidRequest(
            f"This installation of dstore has no server parts ({', '.join(missing)} missing). Install them with "
            "`pip install 'dstore[all]'`.",
            reason="SERVER_EXTRA_MISSING",
            metadata={"missing": ",".join(missing)},
        )
