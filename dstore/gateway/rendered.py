"""The OpenAPI document as one page of HTML, which loads nothing and runs nothing."""

from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; font-size: 1.1rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
.method { display: inline-block; min-width: 4.5em; font-weight: bold; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
td { border-top: 1px solid var(--line); padding: .25rem .5rem; vertical-align: top; }
td:first-child { white-space: nowrap; width: 1%; }
details { background: var(--soft); padding: .25rem .75rem; border-radius: .4rem; }
"""
_METHODS = ("get", "head", "put", "post", "delete")


def render(document: dict[str, Any]) -> str:
    """Return the page."""
    information = document["info"]
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in information["description"].strip().split("\n\n"))
    operations = "".join(
        _operation(document, path, method, item)
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    )
    title = escape(f"{information['title']} {information['version']}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><h1>{title}</h1>{paragraphs}<p>The same for machines: <a href="/openapi.json">/openapi.json</a></p>'
        f"{operations}</body></html>\n"
    )


def _operation(document: dict[str, Any], path: str, method: str, item: dict[str, Any]) -> str:
    operation = item[method]
    parameters = [_resolve(document, each) for each in (*item.get("parameters", ()), *operation["parameters"])]
    takes = "".join(_row(each["name"], f"{each['in']}: {each['description']}") for each in parameters)
    for kind in operation.get("requestBody", {}).get("content", {}):
        takes += _row("body", kind)
    answers = "".join(
        _row(status, _resolve(document, answer)["description"]) for status, answer in operation["responses"].items()
    )
    identity = escape(operation["operationId"])
    return (
        f'<h2 id="{identity}"><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
        f"<p>{escape(operation['summary'])}</p><table>{takes}</table>"
        f"<details><summary>Answers</summary><table>{answers}</table></details>"
    )


def _row(name: str, text: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>"


def _resolve(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    reference = value.get("$ref")
    if reference is None:
        return value
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document
