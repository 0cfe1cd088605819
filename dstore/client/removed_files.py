"""The verbs of the client for what was removed or replaced, and can be restored while its retention lasts."""

from collections.abc import AsyncIterator

from dstore.client import answers
from dstore.client.arguments import check_page_size, check_version
from dstore.client.contact import Contact
from dstore.client.restoring import restore
from dstore.core.ids import Version
from dstore.core.paths import normalize_path
from dstore.core.removed import RemovedFile, RemovedPage, RestoreResult


class RemovedFiles:
    """A part of ``AsyncClient``, which sets ``_contact``."""

    _contact: Contact

    async def list_removed(self, path: str = "/", *, recursive: bool = True) -> AsyncIterator[RemovedFile]:
        """Yield what was removed or replaced and can be restored, oldest removal first.

        Args:
            path: a directory, or a file, that is or was.
            recursive: also what was in directories below; a tree that was removed in one step is one entry then.
        """
        path = normalize_path(path)
        async for entries in answers.list_removed(await self._contact.namespace(), path, recursive=recursive):
            for entry in entries:
                yield entry

    async def list_removed_page(
        self, path: str, *, recursive: bool, page_size: int, page_token: str = ""
    ) -> RemovedPage:
        """Return the page of ``list_removed`` that follows the one which gave ``page_token``."""
        path, page_size = normalize_path(path), check_page_size(page_size)
        namespace = await self._contact.namespace()
        return await answers.list_removed_page(namespace, path, recursive, page_size, page_token)

    async def restore(self, path: str, *, to: str | None = None, version: Version | int | None = None) -> RestoreResult:
        """Bring back a removed or replaced file, or a removed directory with all that was removed with it.

        What stops half-way is finished by calling it again.

        Args:
            to: where it is to be; where it was, unless given. Nothing may be there.
            version: which of all that were there; the one that went last, unless given.

        Raises:
            NotFound: reason ``NOT_RESTORABLE`` or ``PARENT_REMOVED``.
            AlreadyExists: reason ``FILE_EXISTS`` or ``STILL_LIVE``.
            WrongKey, Corrupt: as ``get``; files of a tree that this is about stay removed, all others are back.
        """
        path = normalize_path(path)
        target = path if to is None else normalize_path(to)
        return await restore(await self._contact.session(), path, target, check_version(version))
