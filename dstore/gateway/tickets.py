"""Tickets: addresses that are good for one file and a short time, for browsers, which download without a token.

A page can send a token only with requests that it makes itself, and would have to hold the whole file in memory to give
it to the browser. A ticket lets the browser download by itself. It is a keyed digest of the path and of its end, under
a secret of this process that nobody else learns: nothing has to be remembered, and no ticket outlives the process.
"""

import hashlib
import hmac
import re

from dstore.core.environment import Clock, Random
from dstore.core.errors import PermissionDenied
from dstore.gateway.limits import TICKET_LIFETIME_S

_SECRET_SIZE_BYTES = 32
_TICKET = re.compile(r"([0-9]{1,15})-([0-9a-f]{64})")


class Tickets:
    """Makes tickets, and knows its own again."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._secret = random.token_bytes(_SECRET_SIZE_BYTES)

    def make(self, path: str) -> str:
        """Return a ticket for one file."""
        end_s = int(self._clock.monotonic_s() + TICKET_LIFETIME_S)
        return f"{end_s}-{self._seal(path, end_s)}"

    def check(self, path: str, ticket: str) -> None:
        """Return when a ticket is good for this file now.

        Raises:
            PermissionDenied: reason ``DOWNLOAD_TICKET_INVALID`` or ``DOWNLOAD_TICKET_EXPIRED``.
        """
        parts = _TICKET.fullmatch(ticket)
        if parts is None or not hmac.compare_digest(self._seal(path, int(parts[1])), parts[2]):
            raise PermissionDenied(
                "This ticket is not for this file; get one with POST at the same address.",
                reason="DOWNLOAD_TICKET_INVALID",
                metadata={"path": path},
            )
        if self._clock.monotonic_s() > int(parts[1]):
            raise PermissionDenied(
                f"This ticket was good for {TICKET_LIFETIME_S} s, which are over; start the download again.",
                reason="DOWNLOAD_TICKET_EXPIRED",
                metadata={"path": path},
            )

    def _seal(self, path: str, end_s: int) -> str:
        return hmac.new(self._secret, f"{end_s} {path}".encode(), hashlib.sha256).hexdigest()
