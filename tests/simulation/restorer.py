"""Restores what clients removed or replaced: to names that they use, as a part of the history, and to names of its own.

What is restored to a name that clients use takes part in the search for an order: its content is known from its file
id, which a file keeps. What goes to names of its own, directories too, must stay there, with bytes that somebody wrote.
"""

from dstore.client.client import AsyncClient
from dstore.core.errors import AlreadyExists, Conflict, DstoreError, NotADirectory, NotFound
from dstore.core.removed import RemovalReason, RemovedFile
from simulation.dice import Dice
from simulation.node import Process
from simulation.workload import FAMILIES, MOVING_FAMILY, Workload

#: More are not looked at.
_LISTED_MAX = 200
#: Refusals of a restore: somebody was faster, or the retention is over.
_REFUSALS = frozenset(
    {"NOT_RESTORABLE", "PARENT_REMOVED", "STILL_LIVE", "FILE_EXISTS", "VERSION_CHANGED", "NOT_A_DIRECTORY"}
)


class Restorer:
    """Whoever runs ``dstore trash`` and ``dstore restore``."""

    def __init__(self, workload: Workload, dice: Dice) -> None:
        self._workload = workload
        self._dice = dice
        self._count = 0
        #: Files at names of its own, and the puts that wrote them, where that is known.
        self._own: dict[str, int | None] = {}

    async def act(self, process: Process, client: AsyncClient) -> None:
        """Restore one thing.

        Raises:
            DstoreError: an answer that no restore has, or nobody answered.
        """
        family = self._dice.choice(FAMILIES)
        found = await self._list(client, family)
        if not found:
            return
        entry = self._dice.choice(found)
        known = self._workload.history.file(entry.file_id)
        if entry.is_directory or known is None or self._dice.happens(0.2):
            # A write that is under way in a directory would go on in it, were it restored under another name.
            if family == MOVING_FAMILY or not entry.is_directory:
                await self._restore_for_itself(client, entry, None if known is None else known.content)
            return
        is_free = entry.reason is RemovalReason.REMOVED and self._dice.happens(0.7)
        target = entry.path if is_free else self._workload.any_file(family)
        await self._workload.restore_path(process, client, entry, target)

    async def read_all(self, client: AsyncClient) -> None:
        """Read everything that was restored to names of its own.

        Raises:
            DstoreError: nobody answered.
        """
        for path, content in self._own.items():
            if path not in self._workload.given_up:
                await self._read(client, path, content)

    async def _list(self, client: AsyncClient, family: str) -> list[RemovedFile]:
        found: list[RemovedFile] = []
        try:
            async for entry in client.list_removed(self._dice.choice((family, f"{family}/s", "/"))):
                if entry.path.startswith(f"{family}/") and len(found) < _LISTED_MAX:
                    found.append(entry)
        except (NotFound, NotADirectory) as error:
            if error.reason not in ("FILE_NOT_FOUND", "NOT_A_DIRECTORY"):
                raise
        return found

    async def _restore_for_itself(self, client: AsyncClient, entry: RemovedFile, content: int | None) -> None:
        self._count += 1
        target = f"/restored-{self._count}"
        try:
            result = await client.restore(entry.path, to=target, version=entry.version)
        except (AlreadyExists, Conflict, NotADirectory, NotFound) as error:
            if error.reason not in _REFUSALS:
                raise
            return
        files = {target: content}
        if result.info.is_directory:
            files = {info.path: None async for _, _, infos in client.walk(target) for info in infos}
        for path, number in files.items():
            await self._read(client, path, number)
        self._own.update(files)
        if self._dice.happens(0.2):
            # From here on nobody knows whether it is there.
            for path in files:
                del self._own[path]
            await client.remove(target, recursive=True)

    async def _read(self, client: AsyncClient, path: str, content: int | None) -> None:
        violations = self._workload.violations
        try:
            number = self._workload.history.content_number(await client.get(path))
        except DstoreError as error:
            if isinstance(error, NotFound):
                violations.append(f"Invariant 1: {path} was restored and is not there: {error!r}")
                return
            raise
        if number is None or content not in (None, number):
            violations.append(f"Invariant 2: {path} was restored from put {content} and reads as put {number}")
