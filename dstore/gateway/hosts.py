"""Protects people's browsers from being used against a gateway that asks for no token.

A page from anywhere can have a browser send requests to loopback. With its own name pointed at 127.0.0.1 (DNS
rebinding) it could even read the answers, so the name in ``Host`` must be known; and what another origin sends is
refused. A token makes both needless: a browser does not add it by itself.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers

from dstore.core.errors import PermissionDenied

_PORT = re.compile(r":[0-9]*$")


class HostRule:
    """Which requests a browser may have been tricked into.

    Args:
        names: hosts by which this gateway may be called; None for any.
        takes_other_origins: whether pages of other hosts may send requests.
    """

    def __init__(self, names: Iterable[str] | None, *, takes_other_origins: bool) -> None:
        self._names = None if names is None else frozenset(name.lower() for name in names)
        self._takes_other_origins = takes_other_origins

    def check(self, headers: Headers, *, is_page: bool = False) -> None:
        """Return when the request may be carried out.

        Args:
            is_page: it gets the page itself, which says nothing and may be linked to from anywhere.

        Raises:
            PermissionDenied: reason ``HOST_UNKNOWN`` or ``ORIGIN_FOREIGN``.
        """
        host = headers.get("host", "")
        if self._names is not None and _name(host) not in self._names:
            raise PermissionDenied(
                f"This gateway is not called {host[:100]!r}; use its own address, or start it with --allow-host.",
                reason="HOST_UNKNOWN",
            )
        origin = headers.get("origin")
        is_foreign = origin is not None and origin.partition("://")[2] != host
        is_foreign = is_foreign or headers.get("sec-fetch-site") == "cross-site"
        if is_foreign and not is_page and not self._takes_other_origins:
            raise PermissionDenied(
                "A page of another site sent this request, and this gateway asks for no token; that is refused, so "
                "that no page can use the files of whoever looks at it. Start the gateway with --tokens.",
                reason="ORIGIN_FOREIGN",
            )


def host_rule(host: str, allowed: Iterable[str], *, has_tokens: bool) -> HostRule:
    """Return the rule for a gateway that listens on ``host``."""
    if has_tokens:
        return HostRule(None, takes_other_origins=True)
    if not is_loopback(host):
        return HostRule(None, takes_other_origins=False)
    return HostRule({"localhost", "127.0.0.1", "[::1]", _bracketed(host), *allowed}, takes_other_origins=False)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach what listens on ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _name(host: str) -> str:
    return _PORT.sub("", host).lower()
