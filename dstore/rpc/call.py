"""One unary call: a deadline, and foreign failures translated."""

from collections.abc import Callable
from typing import Any

import grpc

from dstore.core.errors import DeadlineExceeded, Unavailable
from dstore.core.limits import CALL_TIMEOUT_S
from dstore.rpc import status


class Caller:
    """Calls methods of one server. Nothing is retried here: only the caller knows what may be repeated."""

    def __init__(self, address: str, timeout_s: float = CALL_TIMEOUT_S):
        self.address = address
        self._timeout_s = timeout_s

    async def __call__(self, method: Callable[..., Any], request: Any) -> Any:
        """Return the response.

        Raises:
            DstoreError: what the server raised; ``Unavailable`` or ``DeadlineExceeded`` when it did not answer.
        """
        try:
            return await method(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as failure:
            raise status.to_error(failure, address=self.address) from failure
        except grpc.aio.UsageError as failure:
            raise closed_error(self.address) from failure

    def stalled(self) -> DeadlineExceeded:
        """Return the error for a server that stopped answering."""
        return DeadlineExceeded(f"The server at {self.address} stopped answering.", metadata={"address": self.address})


def closed_error(address: str) -> Unavailable:
    """Return the error for a call on a connection that was closed."""
    return Unavailable(
        f"The connection to {address} is closed; make a new client.",
        reason="CONNECTION_CLOSED",
        metadata={"address": address},
    )
