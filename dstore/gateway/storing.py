"""From the pieces of a body to a file of the store; it becomes visible when the last piece was there, or never."""

from collections.abc import AsyncIterator

from dstore.client.client import AsyncClient
from dstore.core.errors import AlreadyExists, Conflict, DstoreError, IsADirectory, NotADirectory, NotFound
from dstore.core.files import FileInfo
from dstore.core.limits import INLINE_SIZE_BYTES_MAX
from dstore.gateway.conditions import Conditions, Verdict, judge
from dstore.gateway.exchange import Call, Gateway


async def store(
    gateway: Gateway,
    path: str,
    pieces: AsyncIterator[bytes | memoryview],
    *,
    if_absent: bool = False,
    if_version: int | None = None,
) -> FileInfo:
    """Store what ``pieces`` give; what they raise discards it.

    Small files go to the master in one call. Others are encrypted and sent on as they come: what waits here is bounded
    by what the client has in flight, and by the slots for uploads.

    Raises:
        DstoreError: as ``AsyncClient.put``.
    """
    start = bytearray()
    async for piece in pieces:
        start += piece
        if len(start) > INLINE_SIZE_BYTES_MAX:
            break
    if len(start) <= INLINE_SIZE_BYTES_MAX:
        return await gateway.client.put(path, bytes(start), if_absent=if_absent, if_version=if_version)
    async with (
        gateway.uploads.taken(),
        await gateway.client.open_write(path, if_absent=if_absent, if_version=if_version) as file,
    ):
        await file.write(start)
        async for piece in pieces:
            await file.write(piece)
    assert file.info is not None, "a file that was closed without an error is committed"
    return file.info


async def find(client: AsyncClient, path: str) -> FileInfo | None:
    """Return what is at a path; None when there is nothing."""
    try:
        return await client.stat(path)
    except (NotFound, NotADirectory):
        return None


async def find_file(client: AsyncClient, path: str) -> FileInfo | None:
    """Return the file at a path; None when there is nothing.

    Raises:
        IsADirectory: a directory is there.
    """
    info = await find(client, path)
    if info is not None and info.is_directory:
        raise is_directory(path)
    return info


async def store_if(call: Call, path: str, conditions: Conditions) -> tuple[FileInfo, bool]:
    """Store the body of a request under its conditions; return the file and whether it is new.

    A request without conditions replaces what is there. With one, exactly what was looked at is replaced: the master
    compares the version in the transaction that commits.

    Raises:
        Conflict: reason ``PRECONDITION_FAILED``.
        DstoreError: as ``store``.
    """
    body = call.body()
    present = await find_file(call.client, path)
    if conditions.is_none:
        return await store(call.gateway, path, body), present is None
    if judge(conditions, present, is_read=False) is not Verdict.PROCEED:
        raise precondition_failed(path, present)
    try:
        info = await store(
            call.gateway,
            path,
            body,
            if_absent=present is None,
            if_version=None if present is None else present.version,
        )
    except (AlreadyExists, Conflict) as error:
        if error.reason in ("FILE_EXISTS", "VERSION_CHANGED"):
            raise precondition_failed(path, present) from error
        raise
    return info, present is None


def precondition_failed(path: str, present: FileInfo | None) -> Conflict:
    """Return the error for a condition that does not hold."""
    what = "is not there" if present is None else f"had version {present.version}"
    return Conflict(
        f"The conditions of the request do not hold: {path} {what} when this was looked at. Get the present version "
        "with its ETag, and decide anew.",
        reason="PRECONDITION_FAILED",
        metadata={"path": path},
    )


def is_directory(path: str) -> DstoreError:
    """Return the error for a directory where a file is wanted."""
    return IsADirectory(f"{path} is a directory; name a file.", metadata={"path": path})
