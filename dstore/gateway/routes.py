"""Every address of the gateway and what it does: the one table that requests, OpenAPI and tests are held against."""

from collections.abc import Mapping

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from dstore.core.environment import Clock, Random
from dstore.core.errors import InvalidRequest, NotFound
from dstore.gateway import dashboard, downloading, files, overview, removed, simple
from dstore.gateway.answers import JsonResponse
from dstore.gateway.exchange import Call, Exchange, Gateway, Operation
from dstore.gateway.gate import Gate
from dstore.gateway.hosts import HostRule
from dstore.gateway.identities import Identities, Right, check_right
from dstore.gateway.openapi import DOCUMENT
from dstore.gateway.rendered import render

_DOCUMENT_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


async def show_health(call: Call) -> Response:
    """Say that the process answers."""
    return JsonResponse({"status": "alive"})


async def show_openapi(call: Call) -> Response:
    """Send the OpenAPI document."""
    return JsonResponse(DOCUMENT)


async def show_docs(call: Call) -> Response:
    """Send the same as a page."""
    return HTMLResponse(render(DOCUMENT), headers=_DOCUMENT_HEADERS)


#: Patterns as in OpenAPI; what stands in braces takes everything that follows.
ROUTES: Mapping[str, Mapping[str, Operation]] = {
    "/upload": {"POST": Operation(simple.upload, Right.WRITE)},
    "/download/{name}": {"GET": Operation(simple.download, Right.READ), "HEAD": Operation(simple.download, Right.READ)},
    "/delete/{name}": {"DELETE": Operation(simple.delete, Right.WRITE)},
    "/update/{name}": {"PUT": Operation(simple.update, Right.WRITE)},
    "/list": {"GET": Operation(simple.list_names, Right.READ)},
    "/v1/files": {"GET": Operation(files.list_root, Right.READ)},
    "/v1/files/{path}": {
        "GET": Operation(files.get_path, Right.READ),
        "HEAD": Operation(files.head_path, Right.READ),
        "PUT": Operation(files.put_path, Right.WRITE),
        "DELETE": Operation(files.delete_path, Right.WRITE),
        "POST": Operation(files.rename_path, Right.WRITE),
    },
    "/v1/removed": {"GET": Operation(removed.list_removed, Right.READ)},
    "/v1/removed/{path}": {
        "GET": Operation(removed.list_removed, Right.READ),
        "POST": Operation(removed.restore_path, Right.WRITE),
    },
    "/v1/tickets/{path}": {
        # The ticket says who may.
        "GET": Operation(downloading.use_ticket, None),
        "POST": Operation(downloading.make_ticket, Right.READ),
    },
    "/v1/cluster": {"GET": Operation(overview.show_cluster, Right.READ)},
    "/v1/gateway": {"GET": Operation(overview.show_gateway, Right.READ)},
    "/": {"GET": Operation(dashboard.show_page, None)},
    "/page/{name}": {"GET": Operation(dashboard.show_asset, None)},
    "/metrics": {"GET": Operation(overview.show_metrics, Right.METRICS)},
    "/healthz": {"GET": Operation(show_health, None)},
    "/readyz": {"GET": Operation(overview.show_readiness, None)},
    "/openapi.json": {"GET": Operation(show_openapi, None)},
    "/docs": {"GET": Operation(show_docs, None)},
}


class _Rest(Convertor[str]):
    """Takes all that follows, line ends too: names may hold anything."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())


def make_application(
    gateway: Gateway, identities: Identities | None, hosts: HostRule, *, clock: Clock, random: Random
) -> ASGIApp:
    """Return the gateway as an ASGI application.

    Args:
        identities: None where everybody may do everything.
    """
    routes = [
        Route(pattern.replace("}", ":rest}"), _Address(pattern, operations, gateway, identities))
        for pattern, operations in ROUTES.items()
    ]
    router = Router(routes, redirect_slashes=False, default=_no_such_address)
    return Gate(router, hosts=hosts, metrics=gateway.metrics, clock=clock, random=random)


class _Address:
    """One pattern with its operations, as an ASGI application."""

    def __init__(
        self, pattern: str, operations: Mapping[str, Operation], gateway: Gateway, identities: Identities | None
    ) -> None:
        self._pattern = pattern
        self._operations = operations
        self._gateway = gateway
        self._identities = identities

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authorize and run the operation.

        Raises:
            DstoreError: what is to be answered instead.
        """
        exchange: Exchange = scope["dstore"]
        exchange.route = self._pattern
        operation = self._operations.get(scope["method"])
        if operation is None:
            allow = ", ".join(self._operations)
            raise InvalidRequest(
                f"{scope['method'][:20]} is not offered here; use {allow}.",
                reason="METHOD_NOT_OFFERED",
                metadata={"allow": allow},
            )
        request = Request(scope, receive)
        if operation.right is not None and self._identities is not None:
            exchange.identity = self._identities.authenticate(request.headers.get("authorization"))
            check_right(exchange.identity, operation.right)
        rest = next(iter(scope["path_params"].values()), "")
        response = await operation.handler(Call(self._gateway, request, exchange, rest))
        await response(scope, receive, send)


async def _no_such_address(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("There is no such address; /docs lists all, files are below /v1/files/.", reason="ADDRESS_NOT_FOUND")
