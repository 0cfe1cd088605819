"""Page tokens: where a listing goes on, bound to what is listed, so that one of another listing is refused."""

import base64
import binascii
import hashlib

from dstore.core.errors import InvalidRequest
from dstore.core.ids import ClusterId

_DIGEST_SIZE_BYTES = 8


def write(cluster_id: ClusterId, scope: str, after: bytes) -> str:
    """Return the token for the page that follows ``after`` in the listing that ``scope`` names."""
    return base64.urlsafe_b64encode(_digest(cluster_id, scope, after) + after).decode()


def read(cluster_id: ClusterId, scope: str, token: str) -> bytes:
    """Return what ``write`` was given; nothing for the empty token of a first page.

    Raises:
        InvalidRequest: reason ``PAGE_TOKEN_INVALID``.
    """
    if not token:
        return b""
    try:
        raw = base64.urlsafe_b64decode(token.encode())
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    digest, after = raw[:_DIGEST_SIZE_BYTES], raw[_DIGEST_SIZE_BYTES:]
    if digest != _digest(cluster_id, scope, after):
        raise InvalidRequest(
            "This page token was not given out for this directory; start the listing again without a token.",
            reason="PAGE_TOKEN_INVALID",
        )
    return after


def _digest(cluster_id: ClusterId, scope: str, after: bytes) -> bytes:
    return hashlib.sha256(f"{cluster_id} {scope} ".encode() + after).digest()[:_DIGEST_SIZE_BYTES]
