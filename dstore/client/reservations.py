"""What a client holds ahead to write a small file with one call: identities, versions, and the ids of directories."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from dstore.core.files import FileReservation
from dstore.core.ids import ROOT_ID, FileId, Version
from dstore.core.limits import DIRECTORIES_REMEMBERED_MAX, RESERVATION_GROWTH, RESERVED_FILES_MAX


class Reservations:
    """Gives out each identity, with its version, once. Who asks more often gets larger reservations."""

    def __init__(self, reserve: Callable[[int], Awaitable[FileReservation]]) -> None:
        """Fetch more with ``reserve``."""
        self._reserve = reserve
        self._next_file_id = 0
        self._next_version = 0
        self._left_count = 0
        self._size = 1
        self._takers_count = 0
        self._fetching = asyncio.Lock()

    async def take(self, above: int, wanted: int = 1) -> tuple[FileId, Version]:
        """Return an identity that nobody else gets, and its version.

        The version is larger than ``above``, unless even a fresh one is not.

        Args:
            wanted: how many more the caller is going to take, this one included.

        Raises:
            DstoreError: as ``Namespace.reserve_files``.
        """
        self._skip_to(above)
        if self._left_count:
            return self._next()
        self._takers_count += 1
        try:
            async with self._fetching:
                self._skip_to(above)
                if not self._left_count:
                    await self._fetch(wanted)
                return self._next()
        finally:
            self._takers_count -= 1

    def drop(self) -> None:
        """Forget what is left: the master refuses it."""
        self._left_count = 0
        self._size = 1

    def _next(self) -> tuple[FileId, Version]:
        file_id, version = self._next_file_id, self._next_version
        self._next_file_id += 1
        self._next_version += 1
        self._left_count -= 1
        return FileId(file_id), Version(version)

    def _skip_to(self, above: int) -> None:
        """Leave out versions that would be refused at a path that has had a larger one."""
        if not self._left_count or self._next_version > above:
            return
        skipped = above + 1 - self._next_version
        if skipped >= self._left_count:
            # Others write here too, so what is reserved grows old before it is used.
            self.drop()
            return
        self._next_file_id += skipped
        self._next_version += skipped
        self._left_count -= skipped

    async def _fetch(self, wanted: int) -> None:
        count = min(max(self._size, wanted, self._takers_count), RESERVED_FILES_MAX)
        reservation = await self._reserve(count)
        self._next_file_id = reservation.first_file_id
        self._next_version = reservation.first_version
        self._left_count = reservation.count
        self._size = min(count * RESERVATION_GROWTH, RESERVED_FILES_MAX)


class DirectoryIds:
    """The identities of directories by their paths, as they were when somebody looked. Bounded."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, FileId] = OrderedDict()

    def find(self, directory: str) -> FileId | None:
        """Return what is remembered of a directory; the root is always known. Its path is ``""`` here."""
        if not directory:
            return ROOT_ID
        file_id = self._known.get(directory)
        if file_id is not None:
            self._known.move_to_end(directory)
        return file_id

    def note(self, directory: str, file_id: FileId) -> None:
        """Remember a directory."""
        self._known[directory] = file_id
        if len(self._known) > DIRECTORIES_REMEMBERED_MAX:
            self._known.popitem(last=False)

    def forget(self, directory: str) -> None:
        """Forget a directory."""
        self._known.pop(directory, None)
