"""The OpenAPI document, written by hand: what each address takes and answers. A test compares it with the routes."""

from typing import Any

from dstore import __version__
from dstore.core.limits import LIST_PAGE_SIZE_DEFAULT, LIST_PAGE_SIZE_MAX

_Object = dict[str, Any]

_DESCRIPTION = """\
Files of a dstore cluster over HTTP. The gateway encrypts and decrypts: it holds keys, so run it where its users are.

Every answer has X-Request-Id: the one that was sent, if it is well formed, else a new one. Every error is JSON with a \
stable reason, a message that says what to do, and that id. What was removed or replaced can be restored for the \
retention of the cluster, with `dstore restore`.
"""


def _reference(kind: str, name: str) -> _Object:
    return {"$ref": f"#/components/{kind}/{name}"}


def _json(description: str, schema: str, *headers: str) -> _Object:
    answer: _Object = {
        "description": description,
        "content": {"application/json": {"schema": _reference("schemas", schema)}},
    }
    return answer | ({"headers": {name: _reference("headers", name) for name in headers}} if headers else {})


def _bytes(description: str, *headers: str) -> _Object:
    return {
        "description": description,
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {name: _reference("headers", name) for name in headers},
    }


def _empty(description: str, *headers: str) -> _Object:
    return {"description": description, "headers": {name: _reference("headers", name) for name in headers}}


def _operation(
    name: str,
    summary: str,
    answers: _Object,
    *,
    errors: str = "",
    parameters: tuple[str, ...] = (),
    body: _Object | None = None,
    is_open: bool = False,
) -> _Object:
    """Return one operation; ``errors`` are those that it has besides what every operation can meet."""
    always = "400 403 408 421 500 502 503 504" if is_open else "400 401 403 408 413 421 500 502 503 504"
    responses = dict(answers)
    for status in sorted({*always.split(), *errors.split()}):
        responses[status] = _reference("responses", f"Error{status}")
    operation: _Object = {
        "operationId": name,
        "summary": summary,
        "parameters": [_reference("parameters", each) for each in (*parameters, "RequestId")],
        "responses": responses,
    }
    if body is not None:
        operation["requestBody"] = body
    return operation | ({"security": []} if is_open else {})


_BINARY: _Object = {"type": "string", "format": "binary"}


def _form(file: _Object) -> _Object:
    schema = {"type": "object", "required": ["file"], "properties": {"file": file}}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


_ANY_BYTES: _Object = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
_RENAME: _Object = {
    "required": True,
    "content": {"application/json": {"schema": _reference("schemas", "Rename")}},
}
_READ_CONDITIONS = ("IfNoneMatch", "IfMatch", "IfModifiedSince", "IfUnmodifiedSince")
_WRITE_CONDITIONS = ("IfMatch", "IfNoneMatch", "IfUnmodifiedSince")
_FILE_HEADERS = ("ETag", "Last-Modified", "Accept-Ranges", "Content-Disposition")
_FILE_ANSWERS: _Object = {
    "200": _bytes("The whole file.", *_FILE_HEADERS),
    "206": _bytes("The range that was asked for.", *_FILE_HEADERS, "Content-Range"),
    "304": _empty("The version that you have is the present one.", "ETag"),
}


def _simple_paths() -> _Object:
    named = [_reference("parameters", "Name")]
    head_answers = {"200": _empty("What GET would say.", *_FILE_HEADERS), "304": _FILE_ANSWERS["304"]}
    return {
        "/upload": {
            "post": _operation(
                "upload",
                "Store the files of a form, under their names, in the top directory. A name that is taken is refused.",
                {"201": _json("All of them are stored.", "Files", "Location")},
                errors="409 415 507",
                body=_form({"type": "array", "items": _BINARY, "minItems": 1}),
            )
        },
        "/download/{name}": {
            "parameters": named,
            "get": _operation(
                "download",
                "Get a file, to be saved.",
                _FILE_ANSWERS,
                errors="404 409 412 416",
                parameters=("Range", "IfRange", *_READ_CONDITIONS),
            ),
            "head": _operation(
                "downloadHead",
                "Learn size and version of a file.",
                head_answers,
                errors="404 409 412",
                parameters=_READ_CONDITIONS,
            ),
        },
        "/delete/{name}": {
            "parameters": named,
            "delete": _operation(
                "delete", "Remove a file.", {"200": _json("It is removed.", "Removed")}, errors="404 409"
            ),
        },
        "/update/{name}": {
            "parameters": named,
            "put": _operation(
                "update",
                "Replace a file that exists, by the body, or by the part 'file' of a form.",
                {"200": _json("It is replaced.", "File")},
                errors="404 409 415 507",
                body={"required": True, "content": _ANY_BYTES["content"] | _form(_BINARY)["content"]},
            ),
        },
        "/list": {
            "get": _operation(
                "list",
                "List the top directory, in order of names.",
                {"200": _json("One page.", "Listing")},
                parameters=("Limit", "Cursor"),
            )
        },
    }


def _full_paths() -> _Object:
    listing = {"200": _json("One page.", "Listing")}
    file_or_listing = dict(_FILE_ANSWERS)
    file_or_listing["200"] = _bytes("The whole file; of a directory, one page of its listing as JSON.", *_FILE_HEADERS)
    return {
        "/v1/files": {
            "get": _operation("listRoot", "List the top directory.", listing, parameters=("Limit", "Cursor"))
        },
        "/v1/files/{path}": {
            "parameters": [_reference("parameters", "Path")],
            "get": _operation(
                "getPath",
                "Get a file or a range of it, or list a directory.",
                file_or_listing,
                errors="404 409 412 416",
                parameters=("Range", "IfRange", *_READ_CONDITIONS, "Limit", "Cursor"),
            ),
            "head": _operation(
                "headPath",
                "Learn size and version of a file, or whether there is a directory.",
                {"200": _empty("What GET would say.", *_FILE_HEADERS), "304": _FILE_ANSWERS["304"]},
                errors="404 409 412",
                parameters=_READ_CONDITIONS,
            ),
            "put": _operation(
                "putPath",
                "Store the body as a file, of any size, replacing what is there, with its Content-Type and all headers "
                "X-Dstore-Meta-NAME. With a '/' at the end and no body, make a directory, and those above it.",
                {
                    "200": _json("It is replaced.", "File", "ETag"),
                    "201": _json("It is new.", "File", "ETag", "Location"),
                },
                errors="404 409 412 415 507",
                parameters=_WRITE_CONDITIONS,
                body=_ANY_BYTES | {"required": False},
            ),
            "delete": _operation(
                "deletePath",
                "Remove a file, an empty directory, or a tree.",
                {"200": _json("It is removed.", "Removed")},
                errors="404 409 412",
                parameters=("Recursive", *_WRITE_CONDITIONS),
            ),
            "post": _operation(
                "renamePath",
                "Give a file or a directory another path, in one step.",
                {"200": _json("It has the new path.", "File", "ETag", "Location")},
                errors="404 409 412 415",
                parameters=_WRITE_CONDITIONS,
                body=_RENAME,
            ),
        },
    }


def _own_paths() -> _Object:
    answer = {"200": _json("It answers.", "Health")}
    document = {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    page = {"200": {"description": "HTML.", "content": {"text/html": {"schema": {"type": "string"}}}}}
    return {
        "/healthz": {"get": _operation("health", "Ask whether the gateway answers.", answer, is_open=True)},
        "/openapi.json": {"get": _operation("openapi", "Get this document.", document, is_open=True)},
        "/docs": {"get": _operation("docs", "Read this document.", page, is_open=True)},
    }


def _parameter(name: str, where: str, description: str, schema: _Object) -> _Object:
    return {"name": name, "in": where, "required": where == "path", "description": description, "schema": schema}


def _parameters() -> _Object:
    text: _Object = {"type": "string"}
    tag = text | {"examples": ['"42"'], "pattern": r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'}
    return {
        "Name": _parameter("name", "path", "Of a file in the top directory.", text | {"minLength": 1}),
        "Path": _parameter(
            "path",
            "path",
            "Of a file or directory, without the first '/'. Slashes in it may be written as they are, or as %2F.",
            text | {"minLength": 1},
        ),
        "RequestId": _parameter(
            "X-Request-Id",
            "header",
            "Up to 128 letters, digits and . _ : @ / + = -",
            text | {"pattern": "^[A-Za-z0-9._:@/+=-]{1,128}$"},
        ),
        "Range": _parameter("Range", "header", "One range of bytes.", text | {"examples": ["bytes=0-1023"]}),
        "IfRange": _parameter("If-Range", "header", "The range counts only for this version; else all comes.", tag),
        "IfMatch": _parameter("If-Match", "header", "Only if the present version is one of these; * for any.", tag),
        "IfNoneMatch": _parameter(
            "If-None-Match", "header", "Only if the present version is none of these; * if there is nothing.", tag
        ),
        "IfModifiedSince": _parameter("If-Modified-Since", "header", "Only if it changed since.", text),
        "IfUnmodifiedSince": _parameter("If-Unmodified-Since", "header", "Only if it did not change since.", text),
        "Limit": _parameter(
            "limit",
            "query",
            "Entries of a page.",
            {"type": "integer", "minimum": 1, "maximum": LIST_PAGE_SIZE_MAX, "default": LIST_PAGE_SIZE_DEFAULT},
        ),
        "Cursor": _parameter("cursor", "query", "next_cursor of the page before.", text),
        "Recursive": _parameter(
            "recursive", "query", "A directory with all that is in it.", {"type": "boolean", "default": False}
        ),
    }


def _schemas() -> _Object:
    text, count, date = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": ["string", "null"]}
    removed = {"path": text, "files": count, "directories": count}
    file = {
        "path": text,
        "name": text,
        "kind": {"enum": ["file", "directory"]},
        "size_bytes": count,
        "content_type": text
        | {"description": "Guessed from the name; GET and HEAD of the file know what was said of it."},
        "etag": text,
        "version": count,
        "created": date,
        "modified": date,
    }
    files = {"type": "array", "items": _reference("schemas", "File")}
    error = {"reason": text | {"pattern": "^[A-Z][A-Z0-9_]*$"}, "message": text, "request_id": text}
    return {
        "File": _object(file, optional=("size_bytes", "content_type", "etag")),
        "Files": _object({"files": files}),
        "Listing": _object({"path": text, "files": files, "next_cursor": {"type": ["string", "null"]}}),
        "Removed": _object(removed),
        "Rename": _object({"rename_to": text, "replace": {"type": "boolean", "default": False}}, optional=("replace",)),
        "Health": _object({"status": text}),
        "Error": _object({"error": _object(error)}),
    }


def _object(properties: _Object, *, optional: tuple[str, ...] = ()) -> _Object:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
        "additionalProperties": False,
    }


_ERRORS = {
    "400": "The request is wrong: a name, a header, a form or a query.",
    "401": "A token is missing or not known.",
    "403": "The token has no right to this, the page that asks is foreign, or the gateway has not the file's key.",
    "404": "There is no such file, directory or address.",
    "408": "The body stopped coming.",
    "409": "The name is taken, is a directory or is none, is not empty, or was changed by somebody else meanwhile.",
    "412": "A condition of the request does not hold.",
    "413": "The body, or what is asked for, is too large.",
    "415": "The body is of another type than is wanted, or compressed.",
    "416": "No byte of the file is in the range.",
    "421": "The gateway is not called by this host name.",
    "500": "A defect of the gateway, or it has no key.",
    "502": "What the cluster sent did not verify; nothing of it was passed on.",
    "503": "The cluster or the gateway cannot do it now; try again.",
    "504": "The cluster did not answer in time; a change may have taken effect.",
    "507": "The cluster is full.",
}
_HEADERS = {
    "ETag": "The version of the file, in quotation marks.",
    "Last-Modified": "When it was changed.",
    "Accept-Ranges": "bytes",
    "Content-Range": "Which part this is, and the size of the whole.",
    "Content-Disposition": "The name of the file.",
    "Location": "The address of the file.",
}

#: Paths are those of ``routes.ROUTES``.
DOCUMENT: _Object = {
    "openapi": "3.1.0",
    "info": {"title": "dstore gateway", "version": __version__, "description": _DESCRIPTION},
    "security": [{"token": []}, {}],
    "paths": _simple_paths() | _full_paths() | _own_paths(),
    "components": {
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "Needed when the gateway has tokens."}
        },
        "parameters": _parameters(),
        "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()},
        "responses": {f"Error{status}": _json(text, "Error") for status, text in _ERRORS.items()},
        "schemas": _schemas(),
    },
}
