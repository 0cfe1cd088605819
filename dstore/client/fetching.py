"""Opens and reads whole files."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from dstore.client.contact import Contact
from dstore.client.opening import VerifiedFile, open_verified
from dstore.client.reader import FileReader
from dstore.client.session import Session
from dstore.core.errors import DstoreError, NotFound
from dstore.core.files import OpenedFile
from dstore.core.limits import READ_ATTEMPTS_MAX

T = TypeVar("T")


class Fetching:
    """The reads of one client."""

    def __init__(self, contact: Contact) -> None:
        self._contact = contact

    async def open(self, path: str) -> FileReader:
        """Open a file; raises as ``open_verified``."""
        session = await self._contact.session()
        return FileReader(session, await _open(session, path))

    async def read(
        self, path: str, read: Callable[[FileReader], Awaitable[T]], *, opened: VerifiedFile | None = None
    ) -> T:
        """Open and read; again from the start when the version vanished under the reader (Invariant 2)."""
        session = await self._contact.session()
        for _ in range(READ_ATTEMPTS_MAX):
            try:
                return await read(FileReader(session, opened or await _open(session, path)))
            except NotFound as error:
                if error.reason != "VERSION_NOT_FOUND":
                    raise
                vanished: DstoreError = error
                opened = None
        raise vanished

    async def open_many(self, paths: Sequence[str]) -> list[VerifiedFile | DstoreError]:
        """Open files with one call.

        Raises:
            DstoreError: the call as a whole failed.
        """
        session = await self._contact.session()
        answers = await session.namespace.open_files(tuple(paths))
        cluster_id = session.cluster.cluster_id
        await session.marks.load(
            (cluster_id, answer.parent_id, path.rpartition("/")[2])
            for path, answer in zip(paths, answers, strict=True)
            if not isinstance(answer, DstoreError)
        )
        return [await _verified(session, path, answer) for path, answer in zip(paths, answers, strict=True)]


async def _open(session: Session, path: str, opened: OpenedFile | None = None) -> VerifiedFile:
    return await open_verified(
        session.namespace,
        path,
        keyring=session.keyring,
        cluster_id=session.cluster.cluster_id,
        marks=session.marks,
        opened=opened,
    )


async def _verified(session: Session, path: str, answer: OpenedFile | DstoreError) -> VerifiedFile | DstoreError:
    try:
        return answer if isinstance(answer, DstoreError) else await _open(session, path, answer)
    except DstoreError as error:
        return error
