"""``/v1/tickets``: how a page has the browser download a file."""

from starlette.responses import Response

from dstore.gateway.answers import JsonResponse
from dstore.gateway.exchange import Call
from dstore.gateway.files import answer_file
from dstore.gateway.limits import TICKET_LIFETIME_S
from dstore.gateway.targets import location, store_path


async def make_ticket(call: Call) -> Response:
    """Return an address from which whoever has it can get one file for a while."""
    path = store_path(call.rest)
    ticket = call.gateway.tickets.make(path)
    address = f"{location(path, below='/v1/tickets')}?ticket={ticket}"
    return JsonResponse({"address": address, "lifetime_s": TICKET_LIFETIME_S}, 201)


async def use_ticket(call: Call) -> Response:
    """Send the file that the ticket is for, to be saved."""
    path = store_path(call.rest)
    call.gateway.tickets.check(path, call.request.query_params.get("ticket", ""))
    return await answer_file(call, path, disposition_kind="attachment")
