"""The HTTP connection: uvicorn's, with an end for those who stall, and errors as all others are."""

import asyncio
import socket
import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from dstore.core.errors import DeadlineExceeded, DstoreError, InvalidRequest
from dstore.gateway.limits import HEADERS_TIMEOUT_S, SEND_IDLE_TIMEOUT_S
from dstore.gateway.statuses import error_body, headers_of, headers_too_large, status_of
from dstore.system.environment import SystemRandom

_TOO_LARGE_HINT = 431


class BoundedProtocol(H11Protocol):
    """One connection.

    Headers have to be complete in time; who reads nothing of an answer for too long is cut off.
    """

    _headers_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        # Headers and body are two writes, and the second must not wait for the other side to acknowledge the first;
        # asyncio sees to that only where the socket was made with a protocol number.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch_headers()

    def handle_events(self) -> None:
        """Handle what came, and wait for the rest of the headers if they began."""
        super().handle_events()
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let everything go."""
        for timer in (self._headers_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the other side is behind."""
        super().pause_writing()
        self._send_timer = self.loop.call_later(SEND_IDLE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the other side reads on."""
        if self._send_timer is not None:
            self._send_timer.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no valid request, and hang up; called while the error is handled."""
        self._refuse(_refusal(sys.exc_info()[1]))

    def _watch_headers(self) -> None:
        is_waiting = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if is_waiting and self._headers_timer is None:
            self._headers_timer = self.loop.call_later(HEADERS_TIMEOUT_S, self._give_up_headers)
        elif not is_waiting and self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _give_up_headers(self) -> None:
        self._headers_timer = None
        if not self.transport.is_closing():
            self._refuse(
                DeadlineExceeded(
                    f"The headers were not complete after {HEADERS_TIMEOUT_S:.0f} s; send the request again.",
                    reason="BODY_TOO_SLOW",
                )
            )

    def _refuse(self, error: DstoreError) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # An answer is under way already, and must not look complete.
            self.transport.close()
            return
        request_id = SystemRandom().uuid()
        body = error_body(error, request_id)
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-Request-Id": request_id,
            "Connection": "close",
            **headers_of(error),
        }
        self.logger.info("refused %s request_id=%s", error.reason, request_id)
        answer = h11.Response(status_code=status_of(error), headers=list(headers.items()))
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _refusal(cause: BaseException | None) -> DstoreError:
    if isinstance(cause, h11.RemoteProtocolError) and cause.error_status_hint == _TOO_LARGE_HINT:
        return headers_too_large()
    return InvalidRequest(
        f"This is no valid HTTP request: {cause or 'it cannot be read'}. Check the program that sent it.",
        reason="HTTP_INVALID",
    )
