"""One unary call: a deadline, and foreign failures translated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc

from dstore.core.errors import Internal, InvalidRequest, LimitExceeded, Unavailable
from dstore.core.limits import CALL_TIMEOUT_S
from dstore.rpc import status
from dstore.rpc.request_metadata import outgoing

T = TypeVar("T")


class Caller:
    """Calls methods of one server. Nothing is retried here: only the caller knows what may be repeated."""

    def __init__(self, address: str, timeout_s: float = CALL_TIMEOUT_S):
        self.address = address
        self._timeout_s = timeout_s

    async def __call__(self, method: Callable[..., Any], request: Any, read: Callable[[Any], T]) -> T:
        """Return what ``read`` makes of the response.

        Raises:
            Internal: reason ``ANSWER_INVALID``, when the response holds what dstore does not allow.
            DstoreError: what the server raised; ``Unavailable`` or ``DeadlineExceeded`` when it did not answer.
        """
        try:
            response = await method(request, timeout=self._timeout_s, metadata=outgoing())
        except grpc.aio.AioRpcError as failure:
            raise status.to_error(failure, address=self.address) from failure
        except grpc.aio.UsageError as failure:
            raise closed_error(self.address) from failure
        if response is None:
            # This is how grpc.aio returns an answer that cannot be decoded.
            raise self._invalid_answer("it is no message of dstore")
        with self.reading():
            return read(response)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Convert a response inside: values that dstore does not allow are the server's fault, not the caller's.

        Raises:
            Internal: reason ``ANSWER_INVALID``.
        """
        try:
            yield
        except (InvalidRequest, LimitExceeded) as error:
            raise self._invalid_answer(error.message.rstrip(".")) from error
        except (ValueError, OverflowError) as error:
            # A number in a text field, as the descriptions for people have them.
            raise self._invalid_answer("one of its fields cannot be read") from error

    def _invalid_answer(self, why: str) -> Internal:
        return Internal(
            f"The answer of the server at {self.address} cannot be used: {why}. Check that the address is that of a "
            "dstore server of this version.",
            reason="ANSWER_INVALID",
            metadata={"address": self.address},
        )


def closed_error(address: str) -> Unavailable:
    """Return the error for a call on a connection that was closed."""
    return Unavailable(
        f"The connection to {address} is closed; make a new client.",
        reason="CONNECTION_CLOSED",
        metadata={"address": address},
    )
