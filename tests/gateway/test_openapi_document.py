"""The document says what the routes do, all of it and nothing else; the page says what the document does."""

import re
from collections.abc import Iterator
from typing import Any

import httpx

from dstore.gateway.openapi import DOCUMENT
from dstore.gateway.rendered import render
from dstore.gateway.routes import ROUTES
from dstore.gateway.statuses import REASON_STATUSES, STATUSES

METHODS = {"get", "head", "put", "post", "delete"}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_each_route_is_documented_and_each_documented_one_is_a_route() -> None:
    documented = {path: {name.upper() for name in item if name in METHODS} for path, item in DOCUMENT["paths"].items()}
    assert documented == {path: set(operations) for path, operations in ROUTES.items()}


def test_what_needs_no_right_needs_no_token() -> None:
    for path, operations in ROUTES.items():
        for method, operation in operations.items():
            is_open = DOCUMENT["paths"][path][method.lower()].get("security") == []
            assert is_open is (operation.right is None), (method, path)


def test_references_lead_somewhere_and_everything_is_used() -> None:
    used = set(references(DOCUMENT))
    for reference in used:
        assert resolve(reference)
    for kind in ("parameters", "headers", "responses", "schemas"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in used, (kind, name)


def test_parameters_of_paths_are_declared() -> None:
    for path, item in DOCUMENT["paths"].items():
        declared = {resolve(each["$ref"])["name"] for each in item.get("parameters", ())}
        assert declared == set(re.findall(r"{(\w+)}", path))


def test_every_status_of_an_error_is_documented() -> None:
    documented = {int(name.removeprefix("Error")) for name in DOCUMENT["components"]["responses"]}
    # Headers that are too large never come as far as an operation.
    assert documented == {*STATUSES.values(), *REASON_STATUSES.values()} - {431, 405}


def test_names_of_operations_are_unique() -> None:
    names = [item[method]["operationId"] for item in DOCUMENT["paths"].values() for method in METHODS & set(item)]
    assert len(names) == len(set(names))


async def test_both_are_served(http: httpx.AsyncClient) -> None:
    assert (await http.get("/openapi.json")).json() == DOCUMENT
    page = await http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.text == render(DOCUMENT)


def test_the_page_has_every_operation_and_loads_nothing() -> None:
    page = render(DOCUMENT)
    for path, operations in ROUTES.items():
        for method in operations:
            assert f'<span class="method">{method}</span> <code>{path}</code>' in page
    assert not re.search(r"<(script|link|img|iframe)|src=|https?:|@import|url\(", page)


def test_the_page_escapes_what_it_shows() -> None:
    parts = {"operationId": "<i>", "summary": "<b>&", "parameters": [], "responses": {"200": {"description": "<u>"}}}
    page = render({"info": {"title": "<t>", "version": "1", "description": "<d>"}, "paths": {"/<p>": {"get": parts}}})
    assert not re.search(r"<(i|b|u|t|d|p)>(?!The same)", page.replace("<p>&lt;", "").replace("</p>", ""))
