"""From the pieces of a body to a file of the store; it becomes visible when the last piece was there, or never."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from dstore.client.client import AsyncClient
from dstore.core.errors import AlreadyExists, Conflict, DstoreError, IsADirectory, NotADirectory, NotFound
from dstore.core.files import FileInfo
from dstore.core.limits import INLINE_SIZE_BYTES_MAX
from dstore.gateway.attributes import content_type_of
from dstore.gateway.conditions import Conditions, Verdict, judge
from dstore.gateway.exchange import Call


class Received:
    """A file of which everything is there and durable; it becomes visible when it is committed.

    Attributes:
        content_type: as it is kept, or as its name promises.
    """

    def __init__(self, commit: Callable[[], Awaitable[FileInfo]], content_type: str) -> None:
        self._commit = commit
        self.content_type = content_type

    async def commit(self) -> FileInfo:
        """Make it visible; raises as ``AsyncClient.put``."""
        return await self._commit()


async def receive(
    call: Call,
    path: str,
    pieces: AsyncIterator[bytes | memoryview],
    attributes: Mapping[str, bytes],
    *,
    if_absent: bool = False,
    if_version: int | None = None,
) -> Received:
    """Take what ``pieces`` give; what they raise discards it, and so does an exchange that ends without a commit.

    Small files of which nothing else is said wait in memory and go to the master in one call. Others are encrypted and
    sent on as they come: what waits here is bounded by what the client has in flight, and by the slots for uploads.

    Raises:
        DstoreError: as ``AsyncClient.put``.
    """
    client = call.client
    start = bytearray()
    async for piece in pieces:
        start += piece
        if len(start) > INLINE_SIZE_BYTES_MAX:
            break
    if len(start) <= INLINE_SIZE_BYTES_MAX and not attributes:
        return Received(
            lambda: client.put(path, start, if_absent=if_absent, if_version=if_version), content_type_of(path, {})
        )
    async with call.gateway.uploads.taken():
        file = await client.open_write(path, if_absent=if_absent, if_version=if_version)
        # After a commit, this changes nothing.
        call.exchange.resources.push_async_callback(file.discard)
        file.set_attributes(attributes)
        await file.write(start)
        async for piece in pieces:
            await file.write(piece)
        await file.settle()

    async def commit() -> FileInfo:
        await file.close()
        assert file.info is not None, "a file that was closed without an error is committed"
        return file.info

    return Received(commit, content_type_of(path, attributes))


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


async def store_if(
    call: Call, path: str, conditions: Conditions, attributes: Mapping[str, bytes]
) -> tuple[FileInfo, bool]:
    """Store the body of a request under its conditions; return the file and whether it is new.

    A request without conditions replaces what is there. With one, exactly what was looked at is replaced: the master
    compares the version in the transaction that commits.

    Raises:
        Conflict: reason ``PRECONDITION_FAILED``.
        DstoreError: as ``receive``.
    """
    body = call.body()
    present = await find_file(call.client, path)
    if conditions.is_none:
        return await (await receive(call, path, body, attributes)).commit(), present is None
    if judge(conditions, present, is_read=False) is not Verdict.PROCEED:
        raise precondition_failed(path, present)
    try:
        version = None if present is None else present.version
        received = await receive(call, path, body, attributes, if_absent=present is None, if_version=version)
        info = await received.commit()
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
