"""The simple interface: files by name in the top directory. A name that is taken is not replaced by an upload."""

import contextlib
from collections.abc import Iterator

from starlette.responses import Response

from dstore.core.errors import AlreadyExists, DstoreError, InvalidRequest, NotFound
from dstore.core.files import FileInfo
from dstore.gateway.answers import JsonResponse, info_value
from dstore.gateway.attributes import attributes_of
from dstore.gateway.body import FormParts
from dstore.gateway.exchange import Call
from dstore.gateway.files import answer_file, list_directory
from dstore.gateway.multipart import boundary_of
from dstore.gateway.storing import Received, find_file, is_directory, receive
from dstore.gateway.targets import form_path, location, name_path

_FIELD = "file"


async def upload(call: Call) -> Response:
    """Store each part ``file`` of a form under its file name; others are dropped.

    Nothing is visible before the whole form was there; then one file after the other is committed.

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
    received: dict[str, Received] = {}
    while (part := await parts.next_part()) is not None:
        if part.name != _FIELD:
            continue
        path = form_path(part.file_name or "")
        if path in received:
            raise InvalidRequest(f"The form has two files for {path}; send one.", reason="FORM_INVALID")
        with _said_of(path):
            attributes = attributes_of(path, part.content_type)
            received[path] = await receive(call, path, parts, attributes, if_absent=True)
    if not received:
        raise _field_missing()
    stored: list[FileInfo] = []
    for path, each in received.items():
        try:
            with _said_of(path):
                stored.append(await each.commit())
        except DstoreError as error:
            raise _with_stored(error, stored) from error
    headers = {"Location": location(stored[0].path)} if len(stored) == 1 else {}
    values = [info_value(info, received[info.path].content_type) for info in stored]
    return JsonResponse({"files": values}, 201, headers)


@contextlib.contextmanager
def _said_of(path: str) -> Iterator[None]:
    """Say what to do about a name that is taken."""
    try:
        yield
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
    content_type = call.request.headers.get("content-type", "")
    boundary = boundary_of(content_type)
    body = call.body()
    if await find_file(call.client, path) is None:
        raise NotFound(
            f"There is no file {path} to update; upload it with POST /upload first.", metadata={"path": path}
        )
    if boundary is None:
        received = await receive(call, path, body, attributes_of(path, content_type))
    else:
        received = await _receive_part(call, path, FormParts(body, boundary))
    return JsonResponse(info_value(await received.commit(), received.content_type))


async def _receive_part(call: Call, path: str, parts: FormParts) -> Received:
    """Take the only file of a form, to whose end it is read."""
    received = None
    while (part := await parts.next_part()) is not None:
        if part.name != _FIELD:
            continue
        if received is not None:
            raise InvalidRequest("The form has two files for one name; send one.", reason="FORM_INVALID")
        received = await receive(call, path, parts, attributes_of(path, part.content_type))
    if received is None:
        raise _field_missing()
    return received


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
