"""What was removed is listed in pages and restored over HTTP; tickets let a browser download without a token."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from gateway_in_process import GatewayInProcess, gateway_in_process, reason_of
from store_in_process import RANDOM, InProcessCluster

from dstore.core.errors import PermissionDenied
from dstore.gateway.identities import Identities, parse_identities, token_table
from dstore.gateway.limits import TICKET_LIFETIME_S
from dstore.gateway.tickets import Tickets


async def removals(http: httpx.AsyncClient, address: str, **query: Any) -> list[Any]:
    """Return the pages of a listing."""
    pages = []
    while True:
        answer = await http.get(address, params=query)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["removed"])
        query["cursor"] = answer.json()["next_cursor"]
        if query["cursor"] is None:
            return pages


async def test_a_removed_file_is_listed_and_restored(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await http.put("/v1/files/d/")
    first = (await http.put("/v1/files/d/a <b>.txt", content=b"one")).json()
    await http.put("/v1/files/d/a <b>.txt", content=b"two")
    await http.delete("/v1/files/d/a <b>.txt")
    ((replaced, removed),) = await removals(http, "/v1/removed/d")
    assert (replaced["reason"], removed["reason"]) == ("replaced", "removed")
    assert replaced["path"] == removed["path"] == "/d/a <b>.txt" and removed["name"] == "a <b>.txt"
    assert (replaced["version"], replaced["size_bytes"], replaced["kind"]) == (first["version"], 3, "file")
    answer = await http.post("/v1/removed/d/a <b>.txt", json={})
    assert answer.json()["restored"]["path"] == "/d/a <b>.txt" and answer.json()["files"] == 1
    assert (await http.get(answer.headers["location"])).content == b"two"
    answer = await http.post("/v1/removed/d/a <b>.txt", json={"to": "/old", "version": first["version"]})
    assert answer.status_code == 200
    assert await gateway.client.get("/old") == b"one"


async def test_a_tree_comes_back_and_the_listing_has_pages(http: httpx.AsyncClient, gateway: GatewayInProcess) -> None:
    await http.put("/v1/files/tree/deep/")
    for number in range(5):
        await http.put(f"/v1/files/tree/deep/{number}", content=b"x")
        await http.put(f"/v1/files/{number}", content=b"x")
        await http.delete(f"/v1/files/{number}")
    pages = await removals(http, "/v1/removed", limit=2)
    assert max(map(len, pages)) == 2 and len(pages) >= 3
    assert [entry["path"] for page in pages for entry in page] == [f"/{number}" for number in range(5)]
    await http.delete("/v1/files/tree", params={"recursive": "true"})
    (entries,) = await removals(http, "/v1/removed", recursive="true")
    assert [entry["kind"] for entry in entries] == ["file"] * 5 + ["directory"]
    answer = (await http.post("/v1/removed/tree", json={})).json()
    assert (answer["files"], answer["directories"]) == (5, 2)
    assert len(await gateway.names("/tree/deep")) == 5


@pytest.mark.parametrize(
    ("address", "body", "expected"),
    [
        ("/v1/removed/nothing", {}, (404, "NOT_RESTORABLE")),
        ("/v1/removed/here", {}, (409, "FILE_EXISTS")),
        ("/v1/removed/gone", {"to": "/here"}, (409, "FILE_EXISTS")),
        ("/v1/removed/gone", {"to": "relative"}, (400, "PATH_NOT_ABSOLUTE")),
        ("/v1/removed/gone", {"to": 5}, (400, "RESTORE_INVALID")),
        ("/v1/removed/gone", {"version": 0}, (400, "RESTORE_INVALID")),
        ("/v1/removed/gone", {"version": 1 << 63}, (400, "RESTORE_INVALID")),
        ("/v1/removed/gone", {"version": True}, (400, "RESTORE_INVALID")),
        ("/v1/removed/gone", {"other": 1}, (400, "RESTORE_INVALID")),
        ("/v1/removed/gone", [], (400, "JSON_INVALID")),
    ],
)
async def test_what_cannot_be_restored(
    http: httpx.AsyncClient, address: str, body: object, expected: tuple[int, str]
) -> None:
    for path in ("here", "gone"):
        await http.put(f"/v1/files/{path}", content=b"x")
    await http.delete("/v1/files/gone")
    assert reason_of(await http.post(address, json=body)) == expected


async def test_listings_that_cannot_be(http: httpx.AsyncClient) -> None:
    assert reason_of(await http.get("/v1/removed", params={"limit": 0})) == (400, "LIMIT_INVALID")
    assert reason_of(await http.get("/v1/removed", params={"cursor": "x"})) == (400, "PAGE_TOKEN_INVALID")
    assert reason_of(await http.get("/v1/removed", params={"recursive": "yes"})) == (400, "QUERY_INVALID")
    assert (await http.get("/v1/removed/never")).status_code == 404


@contextmanager
def refused(reason: str) -> Iterator[None]:
    with pytest.raises(PermissionDenied) as caught:
        yield
    assert caught.value.reason == reason


class _MovedClock:
    def __init__(self) -> None:
        self.now_s = 1.5

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return 0


def test_a_ticket_is_for_one_file_one_process_and_a_while() -> None:
    clock = _MovedClock()
    tickets = Tickets(clock, RANDOM)
    ticket = tickets.make("/a")
    end_s, _, seal = ticket.partition("-")
    clock.now_s = float(end_s)
    tickets.check("/a", ticket)
    for path, other in (("/b", ticket), ("/a", f"{int(end_s) + 1}-{seal}"), ("/a", ""), ("/a", f"x{ticket}")):
        with refused("DOWNLOAD_TICKET_INVALID"):
            tickets.check(path, other)
    with refused("DOWNLOAD_TICKET_INVALID"):
        Tickets(clock, RANDOM).check("/a", ticket)
    clock.now_s += TICKET_LIFETIME_S
    with refused("DOWNLOAD_TICKET_EXPIRED"):
        tickets.check("/a", ticket)


def reader() -> Identities:
    return parse_identities(token_table("reader", "secret", ["read"]).encode(), where="the test")


async def test_a_ticket_downloads_without_a_token(cluster: InProcessCluster) -> None:
    async with gateway_in_process(cluster, identities=reader()) as gateway:
        await gateway.client.put("/it's 50%.txt", b"0123456789")
        async with gateway.connect(token="secret") as http:
            answer = await http.post("/v1/tickets/it's 50%25.txt")
            assert answer.status_code == 201 and answer.json()["lifetime_s"] == TICKET_LIFETIME_S
        address = answer.json()["address"]
        async with gateway.connect() as http:
            whole = await http.get(address)
            assert (whole.status_code, whole.content) == (200, b"0123456789")
            assert whole.headers["content-disposition"].startswith("attachment; ")
            part = await http.get(address, headers={"Range": "bytes=2-4", "If-Range": whole.headers["etag"]})
            assert (part.status_code, part.content) == (206, b"234")
            assert reason_of(await http.get(address + "0")) == (403, "DOWNLOAD_TICKET_INVALID")
            assert reason_of(await http.get("/v1/files/it's 50%25.txt")) == (401, "TOKEN_MISSING")
            assert reason_of(await http.post("/v1/tickets/x")) == (401, "TOKEN_MISSING")
