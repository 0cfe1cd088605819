"""The full interface, ``/v1/files/PATH``: files and directories of the whole tree."""

import contextlib
from collections.abc import AsyncIterator

from starlette.responses import Response

from dstore.core.errors import AlreadyExists, Conflict, InvalidRequest, IsADirectory, NotADirectory, NotFound
from dstore.core.files import FileInfo
from dstore.core.ids import Version
from dstore.core.paths import normalize_path
from dstore.gateway.answers import FileResponse, JsonResponse, info_value
from dstore.gateway.attributes import attributes_of, content_type_of, headers_from
from dstore.gateway.byte_ranges import parse_range
from dstore.gateway.conditions import Verdict, entity_tag, http_date, judge, may_use_range
from dstore.gateway.exchange import Call
from dstore.gateway.limits import PIECE_SIZE_BYTES
from dstore.gateway.queries import flag_of, page_size_of
from dstore.gateway.storing import find, precondition_failed, store_if
from dstore.gateway.targets import disposition, location, store_path

#: A file shown by a browser may not run scripts as this gateway, nor be taken for something else than it is.
_FILE_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


async def get_path(call: Call) -> Response:
    """Send a file or a part of it, or list a directory."""
    path = store_path(call.rest)
    if not call.rest or call.rest.endswith("/"):
        return await list_directory(call, path)
    try:
        return await answer_file(call, path, disposition_kind="inline")
    except IsADirectory:
        return await list_directory(call, path)


async def head_path(call: Call) -> Response:
    """Tell of a file what GET would; of a directory that it is there."""
    path = store_path(call.rest)
    try:
        if call.rest and not call.rest.endswith("/"):
            return await answer_file(call, path, disposition_kind="inline")
        info = await call.client.stat(path)
    except IsADirectory:
        return Response(media_type="application/json")
    if not info.is_directory:
        raise NotADirectory(f"{path} is a file; leave out the '/' at the end.", metadata={"path": path})
    return Response(media_type="application/json")


async def answer_file(call: Call, path: str, *, disposition_kind: str) -> Response:
    """Answer GET and HEAD for a file. Everything that is said of it is the word of its writer, verified.

    Raises:
        Conflict: reason ``PRECONDITION_FAILED``.
        InvalidRequest: reason ``RANGE_NOT_SATISFIABLE`` or ``CONDITION_INVALID``.
        DstoreError: as ``AsyncClient.get``.
    """
    conditions = call.conditions()
    file = await call.client.open_read(path)
    call.exchange.resources.push_async_callback(file.close)
    info = file.info
    headers = _file_headers(info) | {"Content-Disposition": disposition(disposition_kind, info.name)}
    verdict = judge(conditions, info, is_read=True)
    if verdict is Verdict.FAILED:
        raise precondition_failed(path, info)
    if verdict is Verdict.NOT_MODIFIED:
        return Response(status_code=304, headers=headers)
    headers |= headers_from(info.name, file.attributes)
    if call.request.method == "HEAD":
        return Response(status_code=200, headers=headers | {"Content-Length": str(info.size_bytes)})
    asked = call.request.headers.get("range")
    part = parse_range(asked, info.size_bytes) if may_use_range(call.request.headers.get("if-range"), info) else None
    offset, length = (0, info.size_bytes) if part is None else (part.offset, part.length)
    if part is not None:
        headers["Content-Range"] = part.content_range
    if length > PIECE_SIZE_BYTES:
        await call.exchange.resources.enter_async_context(call.gateway.downloads.taken())
    return FileResponse(file, offset, length, status_code=200 if part is None else 206, headers=headers)


async def put_path(call: Call) -> Response:
    """Store the body as a file; make a directory where the address ends with a slash."""
    path = store_path(call.rest)
    if not call.rest or call.rest.endswith("/"):
        return await _make_directory(call, path)
    request = call.request
    attributes = attributes_of(path, request.headers.get("content-type", ""), request.headers.raw)
    info, is_new = await store_if(call, path, call.conditions(), attributes)
    headers = {"ETag": entity_tag(info)}
    if is_new:
        headers["Location"] = location(path)
    return JsonResponse(info_value(info, content_type_of(info.name, attributes)), 201 if is_new else 200, headers)


async def _make_directory(call: Call, path: str) -> Response:
    content = await call.body().read_all(1, what="A request that makes a directory")
    if content:
        raise InvalidRequest(
            "An address that ends with '/' makes a directory, which has no content; leave out the slash to store a "
            "file, or the body to make a directory.",
            reason="DIRECTORY_HAS_BODY",
        )
    present = await find(call.client, path)
    info = await call.client.make_directory(path, parents=True, exist_ok=True)
    return JsonResponse(info_value(info), 201 if present is None else 200, {"Location": location(path)})


async def delete_path(call: Call) -> Response:
    """Remove a file, an empty directory, or with ``recursive`` a tree; it can be restored for a time."""
    path = store_path(call.rest)
    recursive = flag_of(call.request.query_params, "recursive")
    async with _conditions_held(call, path) as version:
        result = await call.client.remove(path, recursive=recursive, if_version=version)
    return JsonResponse({"path": path, "files": result.files, "directories": result.directories})


async def rename_path(call: Call) -> Response:
    """Give a file or a directory another path: ``{"rename_to": PATH, "replace": false}``.

    Raises:
        AlreadyExists: reason ``FILE_EXISTS``: something is there, and nothing was said of replacing it.
    """
    path = store_path(call.rest)
    if call.request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequest(
            'This wants JSON; send the header \'Content-Type: application/json\' and {"rename_to": "/new/path"}.',
            reason="CONTENT_TYPE_UNSUPPORTED",
        )
    wish = await call.body().read_json()
    target, replace = wish.get("rename_to"), wish.get("replace", False)
    if not isinstance(target, str) or not isinstance(replace, bool) or set(wish) - {"rename_to", "replace"}:
        raise InvalidRequest(
            'The body has to be {"rename_to": "/new/path"}, with "replace": true to replace what is there.',
            reason="RENAME_INVALID",
        )
    target = normalize_path(target)
    try:
        async with _conditions_held(call, path) as version:
            is_new = not replace and target != path
            info = await call.client.rename(path, target, if_version=version, if_absent=is_new)
    except AlreadyExists as error:
        raise AlreadyExists(
            f'There is something at {target} already; choose another path, or say "replace": true.',
            metadata={"path": target},
        ) from error
    headers = {"Location": location(target)}
    if not info.is_directory:
        headers["ETag"] = entity_tag(info)
    return JsonResponse(info_value(info), 200, headers)


async def list_root(call: Call) -> Response:
    """List the top directory."""
    return await list_directory(call, "/")


async def list_directory(call: Call, path: str) -> Response:
    """List one page of a directory, in order of names.

    Raises:
        InvalidRequest: reason ``LIMIT_INVALID`` or ``PAGE_TOKEN_INVALID``.
        NotADirectory, NotFound: there is no such directory.
    """
    query = call.request.query_params
    page = await call.client.list_page(path, page_size=page_size_of(query), page_token=query.get("cursor", ""))
    value = {"path": path, "files": [info_value(info) for info in page.entries]}
    return JsonResponse(value | {"next_cursor": page.next_page_token or None})


@contextlib.asynccontextmanager
async def _conditions_held(call: Call, path: str) -> AsyncIterator[Version | None]:
    """Give the version that the conditions of the request hold for; None when it has none.

    What is done inside is to be done to this version only: the master compares it in the transaction of the change.

    Raises:
        Conflict: reason ``PRECONDITION_FAILED``.
    """
    conditions = call.conditions()
    if conditions.is_none:
        yield None
        return
    present = await find(call.client, path)
    if present is None:
        raise NotFound(f"There is nothing at {path}.", metadata={"path": path})
    if judge(conditions, present, is_read=False) is not Verdict.PROCEED:
        raise precondition_failed(path, present)
    try:
        yield present.version
    except Conflict as error:
        if error.reason != "VERSION_CHANGED":
            raise
        raise precondition_failed(path, present) from error


def _file_headers(info: FileInfo) -> dict[str, str]:
    headers = {"ETag": entity_tag(info), **_FILE_HEADERS}
    modified = http_date(info)
    return headers if modified is None else headers | {"Last-Modified": modified}
