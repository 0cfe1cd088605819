"""The OpenAPI document, written by hand: what each address takes and answers. A test compares it with the routes."""

from dstore import __version__
from dstore.core.limits import LIST_PAGE_SIZE_DEFAULT, LIST_PAGE_SIZE_MAX
from dstore.gateway.openapi_overview import overview_parameters, overview_paths, overview_schemas
from dstore.gateway.openapi_parts import (
    Object,
    bytes_answer,
    empty_answer,
    json_answer,
    object_schema,
    operation,
    parameter,
    reference,
)

_DESCRIPTION = """\
Files of a dstore cluster over HTTP. The gateway encrypts and decrypts: it holds keys, so run it where its users are.

Every answer has X-Request-Id: the one that was sent, if it is well formed, else a new one. Every error is JSON with a \
stable reason, a message that says what to do, and that id. What was removed or replaced can be restored for the \
retention of the cluster: /v1/removed.
"""


_BINARY: Object = {"type": "string", "format": "binary"}


def _form(file: Object) -> Object:
    schema = {"type": "object", "required": ["file"], "properties": {"file": file}}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


_ANY_BYTES: Object = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
_RENAME: Object = {
    "required": True,
    "content": {"application/json": {"schema": reference("schemas", "Rename")}},
}
_RESTORE: Object = {
    "required": True,
    "content": {"application/json": {"schema": reference("schemas", "Restore")}},
}
_READ_CONDITIONS = ("IfNoneMatch", "IfMatch", "IfModifiedSince", "IfUnmodifiedSince")
_WRITE_CONDITIONS = ("IfMatch", "IfNoneMatch", "IfUnmodifiedSince")
_FILE_HEADERS = ("ETag", "Last-Modified", "Accept-Ranges", "Content-Disposition")
_FILE_ANSWERS: Object = {
    "200": bytes_answer("The whole file.", *_FILE_HEADERS),
    "206": bytes_answer("The range that was asked for.", *_FILE_HEADERS, "Content-Range"),
    "304": empty_answer("The version that you have is the present one.", "ETag"),
}


def _simple_paths() -> Object:
    named = [reference("parameters", "Name")]
    head_answers = {"200": empty_answer("What GET would say.", *_FILE_HEADERS), "304": _FILE_ANSWERS["304"]}
    return {
        "/upload": {
            "post": operation(
                "upload",
                "Store the files of a form, under their names, in the top directory. A name that is taken is refused.",
                {"201": json_answer("All of them are stored.", "Files", "Location")},
                errors="409 415 507",
                body=_form({"type": "array", "items": _BINARY, "minItems": 1}),
            )
        },
        "/download/{name}": {
            "parameters": named,
            "get": operation(
                "download",
                "Get a file, to be saved.",
                _FILE_ANSWERS,
                errors="404 409 412 416",
                parameters=("Range", "IfRange", *_READ_CONDITIONS),
            ),
            "head": operation(
                "downloadHead",
                "Learn size and version of a file.",
                head_answers,
                errors="404 409 412",
                parameters=_READ_CONDITIONS,
            ),
        },
        "/delete/{name}": {
            "parameters": named,
            "delete": operation(
                "delete", "Remove a file.", {"200": json_answer("It is removed.", "Removed")}, errors="404 409"
            ),
        },
        "/update/{name}": {
            "parameters": named,
            "put": operation(
                "update",
                "Replace a file that exists, by the body, or by the part 'file' of a form.",
                {"200": json_answer("It is replaced.", "File")},
                errors="404 409 415 507",
                body={"required": True, "content": _ANY_BYTES["content"] | _form(_BINARY)["content"]},
            ),
        },
        "/list": {
            "get": operation(
                "list",
                "List the top directory, in order of names.",
                {"200": json_answer("One page.", "Listing")},
                parameters=("Limit", "Cursor"),
            )
        },
    }


def _full_paths() -> Object:
    listing = {"200": json_answer("One page.", "Listing")}
    file_or_listing = dict(_FILE_ANSWERS)
    file_or_listing["200"] = bytes_answer(
        "The whole file; of a directory, one page of its listing as JSON.", *_FILE_HEADERS
    )
    return {
        "/v1/files": {"get": operation("listRoot", "List the top directory.", listing, parameters=("Limit", "Cursor"))},
        "/v1/files/{path}": {
            "parameters": [reference("parameters", "Path")],
            "get": operation(
                "getPath",
                "Get a file or a range of it, or list a directory.",
                file_or_listing,
                errors="404 409 412 416",
                parameters=("Range", "IfRange", *_READ_CONDITIONS, "Limit", "Cursor"),
            ),
            "head": operation(
                "headPath",
                "Learn size and version of a file, or whether there is a directory.",
                {"200": empty_answer("What GET would say.", *_FILE_HEADERS), "304": _FILE_ANSWERS["304"]},
                errors="404 409 412",
                parameters=_READ_CONDITIONS,
            ),
            "put": operation(
                "putPath",
                "Store the body as a file, of any size, replacing what is there, with its Content-Type and all headers "
                "X-Dstore-Meta-NAME. With a '/' at the end and no body, make a directory, and those above it.",
                {
                    "200": json_answer("It is replaced.", "File", "ETag"),
                    "201": json_answer("It is new.", "File", "ETag", "Location"),
                },
                errors="404 409 412 415 507",
                parameters=_WRITE_CONDITIONS,
                body=_ANY_BYTES | {"required": False},
            ),
            "delete": operation(
                "deletePath",
                "Remove a file, an empty directory, or a tree.",
                {"200": json_answer("It is removed.", "Removed")},
                errors="404 409 412",
                parameters=("Recursive", *_WRITE_CONDITIONS),
            ),
            "post": operation(
                "renamePath",
                "Give a file or a directory another path, in one step.",
                {"200": json_answer("It has the new path.", "File", "ETag", "Location")},
                errors="404 409 412 415",
                parameters=_WRITE_CONDITIONS,
                body=_RENAME,
            ),
        },
    }


def _removed_paths() -> Object:
    listing = {"200": json_answer("One page.", "Removals")}
    parameters = ("Limit", "Cursor", "Deep")
    path = [reference("parameters", "Path")]
    return {
        "/v1/removed": {
            "get": operation(
                "listRemovedRoot",
                "List what was removed or replaced in the top directory and can be restored, oldest removal first.",
                listing,
                parameters=parameters,
            )
        },
        "/v1/removed/{path}": {
            "parameters": path,
            "get": operation(
                "listRemoved",
                "List what was removed or replaced at or in this path and can be restored, oldest removal first. "
                "A page may be empty and not the last.",
                listing,
                errors="404 409",
                parameters=parameters,
            ),
            "post": operation(
                "restorePath",
                "Bring back a file, or a directory with all that was removed with it. Nothing may be at the path.",
                {"200": json_answer("It is back.", "Restored", "Location")},
                errors="404 409",
                body=_RESTORE,
            ),
        },
        "/v1/tickets/{path}": {
            "parameters": path,
            "get": operation(
                "useTicket",
                "Get the file that a ticket is for, to be saved; for browsers, which send no token with a download.",
                _FILE_ANSWERS,
                errors="404 409 412 416",
                parameters=("Ticket", "Range", "IfRange", *_READ_CONDITIONS),
                is_open=True,
            ),
            "post": operation(
                "makeTicket",
                "Make an address from which whoever has it can get this one file for a few minutes.",
                {"201": json_answer("Here it is.", "Ticket")},
            ),
        },
    }


def _parameters() -> Object:
    text: Object = {"type": "string"}
    tag = text | {"examples": ['"42"'], "pattern": r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'}
    return {
        "Name": parameter("name", "path", "Of a file in the top directory.", text | {"minLength": 1}),
        "Path": parameter(
            "path",
            "path",
            "Of a file or directory, without the first '/'. Slashes in it may be written as they are, or as %2F.",
            text | {"minLength": 1},
        ),
        "RequestId": parameter(
            "X-Request-Id",
            "header",
            "Up to 128 letters, digits and . _ : @ / + = -",
            text | {"pattern": "^[A-Za-z0-9._:@/+=-]{1,128}$"},
        ),
        "Range": parameter("Range", "header", "One range of bytes.", text | {"examples": ["bytes=0-1023"]}),
        "IfRange": parameter("If-Range", "header", "The range counts only for this version; else all comes.", tag),
        "IfMatch": parameter("If-Match", "header", "Only if the present version is one of these; * for any.", tag),
        "IfNoneMatch": parameter(
            "If-None-Match", "header", "Only if the present version is none of these; * if there is nothing.", tag
        ),
        "IfModifiedSince": parameter("If-Modified-Since", "header", "Only if it changed since.", text),
        "IfUnmodifiedSince": parameter("If-Unmodified-Since", "header", "Only if it did not change since.", text),
        "Limit": parameter(
            "limit",
            "query",
            "Entries of a page.",
            {"type": "integer", "minimum": 1, "maximum": LIST_PAGE_SIZE_MAX, "default": LIST_PAGE_SIZE_DEFAULT},
        ),
        "Cursor": parameter("cursor", "query", "next_cursor of the page before.", text),
        "Ticket": parameter("ticket", "query", "Of the address that POST gave.", text),
        "Deep": parameter(
            "recursive", "query", "Also what was in directories below.", {"type": "boolean", "default": False}
        ),
        "Recursive": parameter(
            "recursive", "query", "A directory with all that is in it.", {"type": "boolean", "default": False}
        ),
    } | overview_parameters()


def _schemas() -> Object:
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
    files = {"type": "array", "items": reference("schemas", "File")}
    removal = {
        "path": text | {"description": "Where it was, and would be again."},
        "name": text,
        "kind": {"enum": ["file", "directory"]},
        "size_bytes": count,
        "version": count | {"description": "Which of all that were at this path."},
        "reason": {"enum": ["removed", "replaced"]},
        "removed": date,
        "expires_in_s": count,
    }
    error = {"reason": text | {"pattern": "^[A-Z][A-Z0-9_]*$"}, "message": text, "request_id": text}
    return {
        "File": object_schema(file, optional=("size_bytes", "content_type", "etag")),
        "Files": object_schema({"files": files}),
        "Listing": object_schema({"path": text, "files": files, "next_cursor": {"type": ["string", "null"]}}),
        "Removed": object_schema(removed),
        "Rename": object_schema(
            {"rename_to": text, "replace": {"type": "boolean", "default": False}}, optional=("replace",)
        ),
        "Removals": object_schema(
            {"path": text, "removed": {"type": "array", "items": reference("schemas", "Removal")}, "next_cursor": date}
        ),
        "Removal": object_schema(removal),
        "Restore": object_schema(
            {"to": text, "version": {"type": "integer", "minimum": 1}}, optional=("to", "version")
        ),
        "Restored": object_schema({"restored": reference("schemas", "File"), "files": count, "directories": count}),
        "Ticket": object_schema({"address": text, "lifetime_s": count}),
        "Error": object_schema({"error": object_schema(error)}),
    } | overview_schemas()


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
    "500": "A defect of the gateway.",
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
DOCUMENT: Object = {
    "openapi": "3.1.0",
    "info": {"title": "dstore gateway", "version": __version__, "description": _DESCRIPTION},
    "security": [{"token": []}, {}],
    "paths": _simple_paths() | _full_paths() | _removed_paths() | overview_paths(),
    "components": {
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "Needed when the gateway has tokens."}
        },
        "parameters": _parameters(),
        "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()},
        "responses": {f"Error{status}": json_answer(text, "Error") for status, text in _ERRORS.items()},
        "schemas": _schemas(),
    },
}
