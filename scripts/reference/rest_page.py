"""The page of the REST interface, from the OpenAPI document that a gateway serves."""

from pathlib import Path
from typing import Any

from dstore.gateway.openapi import DOCUMENT
from scripts.reference.markdown import table

_INTRODUCTION = """\
# REST

What a gateway answers, from the OpenAPI document that it serves at `/openapi.json`, and in a readable form at `/docs`.
How to use it, and what is promised, is in [the gateway](../gateway.md).
"""


def rest_page(root: Path) -> str:
    """Return the page."""
    document: dict[str, Any] = DOCUMENT
    parts = [_INTRODUCTION]
    for address, operations in document["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict) and "responses" in operation:
                parts.append(_operation(document, f"{method.upper()} {address}", operation, operations))
    return "".join(parts)


def _operation(document: dict[str, Any], heading: str, operation: dict[str, Any], operations: dict[str, Any]) -> str:
    parts = [f"\n## {heading}\n\n{operation['summary']}\n"]
    if operation.get("description"):
        parts.append(f"\n{operation['description']}\n")
    named = [
        _resolved(document, each) for each in [*operations.get("parameters", []), *operation.get("parameters", [])]
    ]
    rows = [[f"`{each['name']}`", each["in"], each.get("description", "")] for each in named]
    parts.append("\n" + table(["parameter", "in", "meaning"], rows) if rows else "")
    answers = [
        [status, _resolved(document, answer)["description"]]
        for status, answer in operation["responses"].items()
        if int(status) < 400
    ]
    parts.append("\n" + table(["status", "meaning"], answers))
    errors = ", ".join(status for status in operation["responses"] if int(status) >= 400)
    parts.append(f"\nErrors: {errors}.\n" if errors else "")
    return "".join(parts)


def _resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    found: Any = value
    while "$ref" in found:
        place: Any = document
        for name in found["$ref"].removeprefix("#/").split("/"):
            place = place[name]
        found = place
    return found  # type: ignore[no-any-return]
