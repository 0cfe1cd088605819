"""The page that people look at, and what it consists of: files of the package, sent as they are.

It is open to everybody, for it says nothing: what it shows, it asks for like every other client, with the token that
somebody gave it. It loads nothing from elsewhere, and may not make HTML out of text, whatever a file is called.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from starlette.responses import Response

from dstore.core.errors import NotFound
from dstore.gateway.exchange import Call

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_PAGE = "index.html"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    headers: Mapping[str, str]


def _load() -> dict[str, _Asset]:
    found = {}
    for entry in resources.files("dstore.gateway").joinpath("page").iterdir():
        kind = _TYPES.get("." + entry.name.rpartition(".")[2])
        if kind is not None:
            content = entry.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[entry.name] = _Asset(content, {**_HEADERS, "Content-Type": kind, "ETag": tag})
    return found


_ASSETS = _load()


async def show_page(call: Call) -> Response:
    """Send the page."""
    return _answer(call, _ASSETS[_PAGE])


async def show_asset(call: Call) -> Response:
    """Send a part of the page.

    Raises:
        NotFound: reason ``ADDRESS_NOT_FOUND``.
    """
    asset = _ASSETS.get(call.rest)
    if asset is None:
        raise NotFound(
            "The page has no such part; load it anew, it may be from another version.", reason="ADDRESS_NOT_FOUND"
        )
    return _answer(call, asset)


def _answer(call: Call, asset: _Asset) -> Response:
    if call.request.headers.get("if-none-match") == asset.headers["ETag"]:
        return Response(status_code=304, headers=asset.headers)
    return Response(asset.content, headers=asset.headers)
