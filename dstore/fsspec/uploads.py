"""One file on its way into the store.

    ──write──▶ under way ──settle──▶ durable ──commit──▶ visible
       └───────────┴── discard ─────────┘ nothing is visible

What is small, or comes in one piece, waits in memory until it is committed and then goes in one call; all else streams
through the client's writer as it comes, so that memory stays bounded.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dstore.client.client import AsyncClient
from dstore.client.files import AsyncWriteFile
from dstore.core.errors import AlreadyExists, NotFound
from dstore.core.files import FileInfo
from dstore.core.limits import INLINE_SIZE_BYTES_MAX
from dstore.fsspec.locations import parent_of

T = TypeVar("T")


async def with_parents(client: AsyncClient, path: str, store: Callable[[], Awaitable[T]]) -> T:
    """Return what ``store`` returns; where the directory for ``path`` is missing, it is made, as object stores do.

    Raises:
        DstoreError: as ``store``, and as ``AsyncClient.make_directory``.
    """
    try:
        return await store()
    except NotFound as error:
        if error.reason != "FILE_NOT_FOUND":
            raise
        await client.make_directory(parent_of(path), parents=True, exist_ok=True)
    return await store()


class Upload:
    """Belongs to the event loop of its client; one task at a time may use it."""

    def __init__(self, client: AsyncClient, path: str, *, if_absent: bool) -> None:
        """Nothing is called before the first write."""
        self.path = path
        self._client = client
        self._if_absent = if_absent
        self._writer: AsyncWriteFile | None = None
        self._waiting = b""
        self._is_over = False

    async def check_absent(self) -> None:
        """Say early what the commit would say later, when the file must not exist.

        Raises:
            AlreadyExists: there is such a path.
        """
        if await self._client.exists(self.path):
            raise AlreadyExists(
                f"{self.path} exists, and is to be created; choose another name, or open it with 'wb' to replace it.",
                metadata={"path": self.path},
            )

    async def write(self, data: memoryview) -> None:
        """Stream ``data``, which may change afterwards; waits while too much is in flight.

        Raises:
            DstoreError: as ``AsyncWriteFile.write``; the file can only be discarded then.
        """
        await (await self._begun()).write(data)

    async def settle(self, rest: memoryview) -> None:
        """Take the last bytes, and wait until everything is durable but for what is small; nothing is visible yet.

        Raises:
            DstoreError: as ``AsyncWriteFile.settle``; the file can only be discarded then.
        """
        if self._writer is None and len(rest) <= INLINE_SIZE_BYTES_MAX:
            self._waiting = bytes(rest)
            return
        writer = await self._begun()
        await writer.write(rest)
        await writer.settle()

    async def commit(self, rest: memoryview | None = None) -> FileInfo | None:
        """Make the file visible, as a whole, with ``rest`` as its last bytes; None when it was over already.

        Raises:
            CommitUnknown: it is visible or it is not; see ``AsyncClient.resolve``.
            DstoreError: as ``AsyncClient.put``; nothing is visible.
        """
        if self._is_over:
            return None
        self._is_over = True
        if self._writer is not None:
            try:
                await self._writer.write(rest or b"")
            except BaseException:
                await self._writer.discard()
                raise
            await self._writer.close()
            return self._writer.info
        data = self._waiting if rest is None else rest
        return await with_parents(
            self._client, self.path, lambda: self._client.put(self.path, data, if_absent=self._if_absent)
        )

    async def discard(self) -> None:
        """Give up: nothing becomes visible. Does nothing after a commit."""
        if self._is_over:
            return
        self._is_over = True
        self._waiting = b""
        if self._writer is not None:
            await self._writer.discard()

    async def _begun(self) -> AsyncWriteFile:
        if self._writer is None:
            self._writer = await with_parents(
                self._client,
                self.path,
                lambda: self._client.open_write(self.path, if_absent=self._if_absent),
            )
        return self._writer
