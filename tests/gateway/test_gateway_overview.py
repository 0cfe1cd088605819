"""What the gateway tells of itself and of the cluster: to pages, to probes and to Prometheus."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from gateway_in_process import GatewayInProcess, gateway_in_process, reason_of
from store_in_process import InProcessCluster

from dstore.gateway.identities import Identities, parse_identities, token_table
from dstore.gateway.openapi import DOCUMENT


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Say whether a value is what the document promises; as much of JSON Schema as the document uses here."""
    if "$ref" in schema:
        return fits(value, DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "enum" in schema:
        return value in schema["enum"]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    match value:
        case None:
            return "null" in kinds
        case bool():
            return "boolean" in kinds
        case int():
            return bool({"integer", "number"} & set(kinds)) and value >= schema.get("minimum", value)
        case float():
            return "number" in kinds
        case str():
            return "string" in kinds
        case list():
            return "array" in kinds and all(fits(each, schema["items"]) for each in value)
    assert isinstance(value, dict)
    if "properties" not in schema:
        return all(fits(each, schema["additionalProperties"]) for each in value.values())
    properties = schema["properties"]
    return set(properties) == set(value) and all(fits(value[name], properties[name]) for name in properties)


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name]
    return found


async def test_the_state_of_the_cluster(http: httpx.AsyncClient) -> None:
    await http.put("/v1/files/d/")
    await http.put("/v1/files/d/a", content=b"x" * 200_000)
    state = (await http.get("/v1/cluster")).json()
    assert fits(state, schema("Cluster")), state
    assert (state["files"], state["directories"], state["nodes_total"]) == (1, 2, 3)
    assert state["health"] == "HEALTH_OK" and state["checks"] == []
    node = state["nodes"][0]
    assert (node["phase"], node["duty"]) == ("up", "active") and 0 < node["used_bytes"] <= node["total_bytes"]


async def test_the_gateway_tells_of_itself(http: httpx.AsyncClient, cluster: InProcessCluster) -> None:
    await http.put("/v1/files/a", content=b"x" * 5000)
    await http.get("/v1/files/a")
    told = (await http.get("/v1/gateway")).json()
    assert fits(told, schema("Gateway")), told
    assert told["identity"] == {"name": "anybody", "rights": ["metrics", "read", "write"]}
    assert told["received_bytes"] == 5000 and told["sent_bytes"] >= 5000 and told["requests"] == 2
    client = cluster.client()
    ids = await client.key_ids()
    assert told["keys"] == [{"id": ids[0].hex(), "is_active": True}]
    await client.close()


async def test_figures_for_prometheus(http: httpx.AsyncClient) -> None:
    await http.put("/v1/files/secret-name", content=b"x" * 5000)
    await http.get("/v1/files/missing-name")
    await http.request("BREW", "/healthz")
    await http.get("/no-such-address")
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'dstore_build_info{commit="unknown",role="gateway",version=',
        'dstore_http_requests_total{method="PUT",route="/v1/files/{path}",status="201"} 1.0',
        'dstore_http_requests_total{method="GET",route="/v1/files/{path}",status="404"} 1.0',
        'dstore_http_requests_total{method="other",route="/healthz",status="405"} 1.0',
        'dstore_http_requests_total{method="GET",route="-",status="404"} 1.0',
        'dstore_http_request_duration_seconds_count{method="PUT",route="/v1/files/{path}"} 1.0',
        "dstore_http_requests_in_progress 1.0",
        "dstore_http_received_bytes_total 5000.0",
    ):
        assert f"\n{line}" in answer.text, line
    assert not re.search("secret-name|missing-name|BREW|no-such-address", answer.text)


async def test_it_is_ready_while_it_can_work(cluster: InProcessCluster) -> None:
    client = cluster.client()
    async with gateway_in_process(cluster, client=client) as gateway, gateway.connect() as http:
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": {"cluster": "ok", "key": "ok"}})
        await client.close()
        for _ in range(600):
            answer = await http.get("/readyz")
            # What the master said a moment ago still counts.
            if answer.json()["checks"]["cluster"] != "ok":
                break
            await asyncio.sleep(0.05)
        assert answer.status_code == 503 and fits(answer.json(), schema("Readiness"))
        assert answer.json() == {"ready": False, "checks": {"cluster": "CLIENT_CLOSED", "key": "CLIENT_CLOSED"}}


def guests() -> Identities:
    rights = {"reader": ["read"], "writer": ["write"], "watcher": ["metrics"]}
    tables = "".join(token_table(name, name, allowed) for name, allowed in rights.items())
    return parse_identities(tables.encode(), where="the test")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("/v1/cluster", "reader"), ("/v1/gateway", "reader"), ("/v1/removed", "reader"), ("/metrics", "watcher")],
)
async def test_rights(cluster: InProcessCluster, address: str, allowed: str) -> None:
    async with gateway_in_process(cluster, identities=guests()) as gateway:
        for name in ("reader", "writer", "watcher"):
            async with gateway.connect(token=name) as http:
                answer = await http.get(address)
                assert answer.status_code == (200 if name == allowed else 403), name
        async with gateway.connect() as http:
            assert reason_of(await http.get(address)) == (401, "TOKEN_MISSING")


async def test_the_page_is_open_and_strict(gateway: GatewayInProcess, http: httpx.AsyncClient) -> None:
    page = await http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert (await http.get("/", headers={"If-None-Match": page.headers["etag"]})).status_code == 304
    # Somebody followed a link from elsewhere; everything else of another site is still refused.
    linked = {"Sec-Fetch-Site": "cross-site"}
    assert (await http.get("/", headers=linked)).status_code == 200
    assert reason_of(await http.get("/list", headers=linked)) == (403, "ORIGIN_FOREIGN")
    assert reason_of(await http.get("/", headers={"Host": "evil.example"})) == (421, "HOST_UNKNOWN")
