"""The simple interface: files by name in the top directory. A name that is taken is not replaced by an upload."""

from collections.abc import AsyncIterator

from starlette.responses import Response

from dstore.core.errors import AlreadyExists, DstoreError, InvalidRequest, NotFound
from dstore.core.files import FileInfo
from dstore.gateway.answers import JsonResponse, info_value
from dstore.gateway.body import Body, FormParts
from dstore.gateway.exchange import Call
from dstore.gateway.files import answer_file, list_directory
from dstore.gateway.multipart import PartBegin, boundary_of
from dstore.gateway.storing import find_file, is_directory, store
from dstore.gateway.targets import form_path, location, name_path

_FIELD = "file"


async def upload(call: Call) -> Response:
    """Store each part ``file`` of a form under its file name; others are dropped.

    Each file becomes visible when its part is complete, and says so in the answer or in the error.

    Raises:
        AlreadyExists: reason ``FILE_EXISTS``.
        InvalidRequest: reason ``FIELD_MISSING``, or the form or a name is wrong.
    """
    boundary = boundary_of(call.request.headers.get("content-type", ""))
    if boundary is None:
        raise InvalidRequest(
            "An upload is a form with a part 'file'; send multipart/form-data, as curl -F 'file=@LOCAL' does, or use "
            "PUT /v1/files/PATH for a plain body.",
            reason="CONTENT_TYPE_UNSUPPORTED",
        )
    parts = FormParts(call.body(), boundary)
    stored: list[FileInfo] = []
    try:
        while (part := await parts.next_part()) is not None:
            if part.name == _FIELD:
                stored.append(await _upload_part(call, part, parts))
    except DstoreError as error:
        raise _with_stored(error, stored) from error
    if not stored:
        raise _field_missing()
    headers = {"Location": location(stored[0].path)} if len(stored) == 1 else {}
    return JsonResponse({"files": [info_value(info) for info in stored]}, 201, headers)


async def _upload_part(call: Call, part: PartBegin, pieces: AsyncIterator[memoryview]) -> FileInfo:
    path = form_path(part.file_name or "")
    try:
        return await store(call.gateway, path, pieces, if_absent=True)
    except AlreadyExists as error:
        raise AlreadyExists(
            f"There is a file {path} already; replace it with PUT /update{path}, or choose another name.",
            metadata={"path": path},
        ) from error


async def update(call: Call) -> Response:
    """Replace a file that exists, by the part ``file`` of a form or by the whole body.

    Raises:
        NotFound: reason ``FILE_NOT_FOUND``.
    """
    path = name_path(call.rest)
    boundary = boundary_of(call.request.headers.get("content-type", ""))
    body = call.body()
    if await find_file(call.client, path) is None:
        raise NotFound(
            f"There is no file {path} to update; upload it with POST /upload first.", metadata={"path": path}
        )
    info = await (store(call.gateway, path, body) if boundary is None else _update_part(call, path, body, boundary))
    return JsonResponse(info_value(info))


async def _update_part(call: Call, path: str, body: Body, boundary: bytes) -> FileInfo:
    parts = FormParts(body, boundary)
    while (part := await parts.next_part()) is not None:
        if part.name == _FIELD:
            return await store(call.gateway, path, _to_the_end(parts))
    raise _field_missing()


async def _to_the_end(parts: FormParts) -> AsyncIterator[memoryview]:
    """Yield the present part, and end only when the whole form was there and had no second file."""
    async for piece in parts:
        yield piece
    while (part := await parts.next_part()) is not None:
        if part.name == _FIELD:
            raise InvalidRequest("The form has two files for one name; send one.", reason="FORM_INVALID")


async def download(call: Call) -> Response:
    """Send a file to be saved; ranges and conditions as for ``GET /v1/files``."""
    return await answer_file(call, name_path(call.rest), disposition_kind="attachment")


async def delete(call: Call) -> Response:
    """Remove a file."""
    path = name_path(call.rest)
    info = await call.client.stat(path)
    if info.is_directory:
        raise is_directory(path)
    await call.client.remove(path)
    return JsonResponse({"path": path, "files": 1, "directories": 0})


async def list_names(call: Call) -> Response:
    """List the top directory."""
    return await list_directory(call, "/")


def _with_stored(error: DstoreError, stored: list[FileInfo]) -> DstoreError:
    """Return the error that also says which files of the same request are there now."""
    if not stored:
        return error
    names = ", ".join(info.name for info in stored[:20]) + (", …" if len(stored) > 20 else "")
    return type(error)(
        f"{error.message} Stored before that from the same form: {names}.",
        reason=error.reason,
        metadata=error.metadata,
    )


def _field_missing() -> InvalidRequest:
    return InvalidRequest(
        "The form has no part 'file'; send one, as curl -F 'file=@LOCAL' does.", reason="FIELD_MISSING"
    )
