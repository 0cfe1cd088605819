"""What an OpenAPI document is put together from."""

from typing import Any

Object = dict[str, Any]


def reference(kind: str, name: str) -> Object:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def json_answer(description: str, schema: str, *headers: str) -> Object:
    """Return an answer of JSON."""
    answer: Object = {
        "description": description,
        "content": {"application/json": {"schema": reference("schemas", schema)}},
    }
    return answer | ({"headers": {name: reference("headers", name) for name in headers}} if headers else {})


def bytes_answer(description: str, *headers: str) -> Object:
    """Return an answer that is a file."""
    return {
        "description": description,
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {name: reference("headers", name) for name in headers},
    }


def empty_answer(description: str, *headers: str) -> Object:
    """Return an answer without a body."""
    return {"description": description, "headers": {name: reference("headers", name) for name in headers}}


def operation(
    name: str,
    summary: str,
    answers: Object,
    *,
    errors: str = "",
    parameters: tuple[str, ...] = (),
    body: Object | None = None,
    is_open: bool = False,
) -> Object:
    """Return one operation; ``errors`` are those that it has besides what every operation can meet."""
    always = "400 403 408 421 500 502 503 504" if is_open else "400 401 403 408 413 421 500 502 503 504"
    responses = dict(answers)
    for status in sorted({*always.split(), *errors.split()}):
        responses.setdefault(status, reference("responses", f"Error{status}"))
    described: Object = {
        "operationId": name,
        "summary": summary,
        "parameters": [reference("parameters", each) for each in (*parameters, "RequestId")],
        "responses": responses,
    }
    if body is not None:
        described["requestBody"] = body
    return described | ({"security": []} if is_open else {})


def parameter(name: str, where: str, description: str, schema: Object) -> Object:
    """Return one parameter."""
    return {"name": name, "in": where, "required": where == "path", "description": description, "schema": schema}


def object_schema(properties: Object, *, optional: tuple[str, ...] = ()) -> Object:
    """Return the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
        "additionalProperties": False,
    }
