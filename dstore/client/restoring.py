"""Restores what was removed. The manifest of a file binds version and place, so it is sealed again, as for a rename.

A tree that was removed in one step comes back from the top: first a directory, then what went with it. That takes many
steps, and what is stopped half-way is finished by doing it again.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dstore.client import answers
from dstore.client.concurrency import run_together
from dstore.client.opening import rolled_back
from dstore.client.renaming import seal_moved, ticket_invalid
from dstore.client.session import Session
from dstore.core.backoff import Backoff
from dstore.core.errors import AlreadyExists, Conflict, Corrupt, DstoreError, NotFound, WrongKey
from dstore.core.files import FileInfo
from dstore.core.ids import FileId, Version
from dstore.core.limits import RESTORE_ATTEMPTS_MAX, RESTORES_IN_FLIGHT
from dstore.core.removed import RemovalReason, RemovedFile, Restore, RestoreResult

_NEWEST = Version(0)
#: What is wrong with one file only, and does not keep the others from coming back.
_OF_ONE_FILE = (AlreadyExists, Corrupt, NotFound, WrongKey)


@dataclass(frozen=True, slots=True)
class _Restored:
    """One file or directory that is at the target now; ``is_back`` when it was there before."""

    info: FileInfo
    removed_txn: int
    is_back: bool


async def restore(session: Session, path: str, target: str, version: Version = _NEWEST) -> RestoreResult:
    """Bring back a file, or a directory with all that was removed with it.

    What cannot come back, because it does not verify or something else is at its path, stays removed; the first error
    about that is raised when all the rest is back.

    Raises:
        Conflict: others kept changing the same thing.
        AlreadyExists, NotFound, Corrupt, WrongKey: as ``Namespace.prepare_restore`` and ``open_verified``, of the path
            itself or of something below it.
        DstoreError: as ``Namespace.prepare_restore`` and ``Namespace.restore``.
    """
    top = await _restore_one(session, path, target, version)
    if not top.info.is_directory:
        return RestoreResult(top.info, files=1, directories=0)
    contents = _Contents(session, top.removed_txn)
    # Of a directory that was back already, directories below may be back too, without all that was in them.
    await contents.restore(target, recursive=top.is_back)
    if contents.failure is not None:
        raise contents.failure
    if top.is_back and not contents.files and not contents.directories:
        raise AlreadyExists(
            f"{target} exists, and nothing that was removed with it is missing; there is nothing to restore.",
            reason="FILE_EXISTS",
            metadata={"path": target},
        )
    return RestoreResult(top.info, files=contents.files, directories=contents.directories + (not top.is_back))


class _Contents:
    """What was below a directory as it was removed, and how much of it is back."""

    def __init__(self, session: Session, removed_txn: int) -> None:
        self._session = session
        self._removed_txn = removed_txn
        self._tried: set[FileId] = set()
        self._found: list[str] = []
        self.files = 0
        self.directories = 0
        self.failure: DstoreError | None = None

    async def restore(self, top: str, *, recursive: bool) -> None:
        """Bring back what is missing below ``top``; ``recursive`` looks into directories that are not missing."""
        await self._restore_below(top, recursive=recursive)
        while self._found:
            await self._restore_below(self._found.pop(), recursive=False)

    async def _restore_below(self, directory: str, *, recursive: bool) -> None:
        async for entries in answers.list_removed(self._session.namespace, directory, recursive=recursive):
            wanted = iter([entry for entry in entries if self._is_wanted(entry)])

            async def work(wanted: Iterator[RemovedFile] = wanted) -> None:
                for entry in wanted:
                    await self._restore_entry(entry)

            await run_together(work() for _ in range(RESTORES_IN_FLIGHT))
            if entries and entries[-1].removed_txn > self._removed_txn:
                return

    def _is_wanted(self, entry: RemovedFile) -> bool:
        """Whether an entry was removed with the directory, and comes for the first time."""
        if entry.removed_txn != self._removed_txn or entry.reason is not RemovalReason.REMOVED:
            return False
        is_new = entry.file_id not in self._tried
        self._tried.add(entry.file_id)
        return is_new

    async def _restore_entry(self, entry: RemovedFile) -> None:
        try:
            restored = await _restore_one(self._session, entry.path, entry.path, entry.version)
        except _OF_ONE_FILE as error:
            self.failure = self.failure or error
            return
        if restored.info.is_directory:
            self.directories += 1
            self._found.append(entry.path)
        else:
            self.files += 1


async def _restore_one(session: Session, path: str, target: str, version: Version) -> _Restored:
    """Bring back a file, or a directory without what was in it; prepared again when somebody was faster."""
    backoff = Backoff()
    refusal: Conflict | Corrupt
    for attempt_index in range(RESTORE_ATTEMPTS_MAX):
        ticket = await session.namespace.prepare_restore(path, version=version, target=target)
        move = ticket.move
        if version not in (_NEWEST, move.source.version):
            raise ticket_invalid(path, target)
        if ticket.is_back and move.source.is_directory:
            info = answers.about(target, await session.namespace.stat(target))
            return _Restored(info, ticket.removed_txn, is_back=True)
        place = (session.cluster.cluster_id, move.target_parent_id, move.target_name)
        seen = await session.marks.highest(*place)
        if not move.source.is_directory and move.version <= seen:
            # A commit of this client may have overtaken the answer; an honest later one is newer.
            refusal = rolled_back(target, move.version, seen)
            await asyncio.sleep(backoff.delay_s(attempt_index, session.random.uniform()))
            continue
        sealed = b"" if move.source.is_directory else seal_moved(session, path, target, move)
        try:
            info = await session.namespace.restore(
                Restore(path, target, move.source.version, move.version, sealed), request_id=session.request_id()
            )
        except Conflict as error:
            refusal = error
            await asyncio.sleep(backoff.delay_s(attempt_index, session.random.uniform()))
            continue
        if not move.source.is_directory:
            await session.marks.note(*place, move.version)
        return _Restored(replace(info, path=target), ticket.removed_txn, is_back=False)
    raise refusal
