"""What handlers work with: the gateway, and one request with its answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from dstore.client.client import AsyncClient
from dstore.core.environment import Clock, Random
from dstore.core.errors import InvalidRequest, Unavailable
from dstore.gateway.body import Body
from dstore.gateway.cluster_view import ClusterView
from dstore.gateway.conditions import Conditions, parse_conditions
from dstore.gateway.identities import ANYBODY, Identity, Right
from dstore.gateway.limits import DOWNLOADS_MAX, QUEUE_TIMEOUT_S, UPLOADS_MAX
from dstore.gateway.metrics import HttpMetrics
from dstore.gateway.tickets import Tickets
from dstore.gateway.token_file import TokenFile


class Slots:
    """How many large transfers there may be at once: each holds buffers of tens of MiB."""

    def __init__(self, count: int) -> None:
        self._semaphore = asyncio.Semaphore(count)

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block.

        Raises:
            Unavailable: reason ``GATEWAY_BUSY``.
        """
        try:
            async with asyncio.timeout(QUEUE_TIMEOUT_S):
                await self._semaphore.acquire()
        except TimeoutError:
            raise Unavailable(
                "The gateway has as many transfers under way as its memory allows; try again in a moment.",
                reason="GATEWAY_BUSY",
            ) from None
        try:
            yield
        finally:
            self._semaphore.release()


@dataclass(frozen=True, slots=True)
class Gateway:
    """What is the same for all requests.

    Attributes:
        upload_size_bytes_max: of one request; None for any size.
        token_file: None where nobody needs a token.
    """

    client: AsyncClient
    metrics: HttpMetrics
    view: ClusterView
    tickets: Tickets
    upload_size_bytes_max: int | None = None
    token_file: TokenFile | None = None
    uploads: Slots = field(default_factory=lambda: Slots(UPLOADS_MAX))
    downloads: Slots = field(default_factory=lambda: Slots(DOWNLOADS_MAX))


def make_gateway(
    client: AsyncClient,
    *,
    clock: Clock,
    random: Random,
    upload_size_bytes_max: int | None = None,
    token_file: TokenFile | None = None,
) -> Gateway:
    """Return a gateway to one cluster; whoever opened the client closes it, after ``view``."""
    metrics = HttpMetrics(clock)
    metrics.watch_client(lambda: client.hedged_reads)
    view, tickets = ClusterView(client, clock), Tickets(clock, random)
    return Gateway(client, metrics, view, tickets, upload_size_bytes_max, token_file)


@dataclass(slots=True)
class Exchange:
    """One request.

    Attributes:
        resources: closed when the answer was sent.
        route: the pattern of its address, for the log: names of files do not belong there.
        is_gone: whether the other side went away before the end.
    """

    request_id: str
    identity: Identity = ANYBODY
    route: str = "-"
    status: int | None = None
    is_gone: bool = False
    resources: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way to its handler.

    Attributes:
        rest: what follows the prefix of the route, decoded: a name or a path.
    """

    gateway: Gateway
    request: Request
    exchange: Exchange
    rest: str = ""

    @property
    def client(self) -> AsyncClient:
        """The cluster."""
        return self.gateway.client

    def body(self) -> Body:
        """Return the body; to be asked for once.

        Raises:
            LimitExceeded: reason ``BODY_TOO_LARGE``.
            InvalidRequest: reason ``CONTENT_RANGE_UNSUPPORTED`` or ``CONTENT_ENCODING_UNSUPPORTED``.
        """
        if "content-range" in self.request.headers:
            # Stored as a whole, a part would destroy the file that it was to complete.
            raise InvalidRequest(
                "The body is a part of a file (Content-Range), and files are written as a whole; send all of it.",
                reason="CONTENT_RANGE_UNSUPPORTED",
            )
        if self.request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise InvalidRequest(
                "The body is compressed (Content-Encoding), which is neither undone nor kept; send it as it is.",
                reason="CONTENT_ENCODING_UNSUPPORTED",
            )
        return Body(self.request.receive, self.request.headers, size_bytes_max=self.gateway.upload_size_bytes_max)

    def conditions(self) -> Conditions:
        """Return what must hold for the request to be carried out; raises as ``parse_conditions``."""
        # A header that comes several times is one list.
        headers = self.request.headers
        return parse_conditions({name: ", ".join(headers.getlist(name)) for name in headers})


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method does at one address.

    Attributes:
        right: None when everybody may.
    """

    handler: Handler
    right: Right | None
