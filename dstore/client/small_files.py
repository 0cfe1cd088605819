"""Writes small files: content and metadata are sealed together, and one call makes a file visible, or many files.

    identity, version, directory ──► seal ──► put_files ──► visible
             ▲                                    │
             └── PARENT_CHANGED, VERSION_SUPERSEDED: what the master says is learned, and all of it is sealed again

Nothing of a file is sealed twice under one identity: every attempt has its own, with a key of its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from dstore.client import answers
from dstore.client.batching import PutItem, value
from dstore.client.gathering import own_copy
from dstore.client.opening import rolled_back
from dstore.client.reservations import DirectoryIds, Reservations
from dstore.client.session import Session
from dstore.core.backoff import Backoff
from dstore.core.errors import Conflict, DstoreError, IsADirectory, NotADirectory, NotFound
from dstore.core.files import FileInfo, FileKind, Precondition, SmallFile
from dstore.core.ids import FileId, RequestId
from dstore.core.limits import COMMIT_ATTEMPTS_MAX, INLINE_SIZE_BYTES_MAX
from dstore.core.manifest import NO_CHUNKS_DIGEST, Manifest
from dstore.crypto.derivation import KEY_SIZE_BYTES, NONCE_SIZE_BYTES
from dstore.crypto.keys import wrap_dek
from dstore.crypto.seal import seal_manifest

_DIGITS_MAX = len(str(1 << 64))
#: Of one sealing: a key, a nonce to wrap it, and a nonce for the manifest.
_RANDOM_SIZE_BYTES = KEY_SIZE_BYTES + 2 * NONCE_SIZE_BYTES


@dataclass(slots=True)
class SmallWrite:
    """A small file that is to be stored, and what came of it.

    Attributes:
        result: None until it is decided.
        above: a version that is no longer allowed at the path, as the master said.
    """

    path: str
    precondition: Precondition
    content: bytes = field(repr=False)
    result: FileInfo | DstoreError | None = None
    refusal: DstoreError | None = None
    above: int = 0

    @property
    def outcome(self) -> FileInfo | DstoreError:
        """What came of it, once that is decided."""
        assert self.result is not None
        return self.result

    @property
    def directory(self) -> str:
        """The path of the directory; empty for the root."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.path.rpartition("/")[2]


class SmallFiles:
    """Stores small files for one client."""

    def __init__(self, session: Session) -> None:
        """Use the keys and the master of ``session``.

        Raises:
            Internal: reason ``POLICY_UNUSABLE``.
        """
        answers.check_policy(session.cluster.policy)
        self._session = session
        self._reservations = Reservations(session.namespace.reserve_files)
        self._directories = DirectoryIds()

    async def put(self, path: str, precondition: Precondition, content: bytes) -> FileInfo:
        """Store one file.

        Raises:
            Conflict: the precondition does not hold, or others kept replacing the file.
            CommitUnknown: the master did not say whether it is stored.
            DstoreError: nothing was stored.
        """
        write = SmallWrite(path, precondition, content)
        await self.put_all((write,))
        return value(write.outcome)

    async def put_all(self, writes: Sequence[SmallWrite]) -> None:
        """Store several files with one call, and set the result of each. No path may be among them twice."""
        session = self._session
        session.guard.check()
        backoff = Backoff()
        created_ns = session.clock.wall_ns()
        left = list(writes)
        for attempt_index in range(COMMIT_ATTEMPTS_MAX):
            await self._attempt(left, created_ns)
            left = [write for write in left if write.result is None]
            if not left:
                return
            if attempt_index > 0:
                await asyncio.sleep(backoff.delay_s(attempt_index, session.random.uniform()))
        for write in left:
            write.result = write.refusal or _replaced_too_often(write.path)

    async def _attempt(self, writes: Sequence[SmallWrite], created_ns: int) -> None:
        """Seal and send each once; what is to be tried again has no result afterwards."""
        await self._find_directories(writes)
        if len(writes) > 1:
            await self._load_marks(writes)
        sealed: list[tuple[SmallWrite, PutItem]] = []
        # Asking for each costs as much as all the sealing, where system calls are slow.
        random = self._session.random.token_bytes(_RANDOM_SIZE_BYTES * len(writes))
        request_id = self._session.request_id()
        for index, write in enumerate(writes):
            if write.result is None:
                own_random = random[index * _RANDOM_SIZE_BYTES : (index + 1) * _RANDOM_SIZE_BYTES]
                try:
                    file = await self._prepare(write, created_ns, own_random, wanted=len(writes) - index)
                except DstoreError as error:
                    write.result = error
                else:
                    if file is not None:
                        sealed.append((write, (file, RequestId(f"{request_id}-{index}"))))
        if not sealed:
            return
        try:
            results = await self._session.namespace.put_files(tuple(item for _, item in sealed))
        except DstoreError as error:
            for write, _ in sealed:
                write.result = error if len(sealed) == 1 else own_copy(error)
            return
        for (write, (file, _)), result in zip(sealed, results, strict=True):
            if isinstance(result, DstoreError):
                self._learn(write, file, result)
            else:
                await self._note(write, file, result)

    async def _find_directories(self, writes: Sequence[SmallWrite]) -> None:
        """Learn the ids of directories that are not known."""
        unknown = {write.directory for write in writes if self._directories.find(write.directory) is None}
        if not unknown:
            return
        found = await asyncio.gather(*(self._find_directory(directory) for directory in unknown))
        problems = {directory: error for directory, error in zip(unknown, found, strict=True) if error is not None}
        if problems:
            for write in writes:
                if write.directory in problems:
                    write.result = own_copy(problems[write.directory])

    async def _load_marks(self, writes: Sequence[SmallWrite]) -> None:
        """Look up together what was seen of all paths, so that it need not be looked up for each."""
        cluster_id = self._session.cluster.cluster_id
        places = [(cluster_id, self._directories.find(write.directory), write.name) for write in writes]
        await self._session.marks.load((cluster, parent, name) for cluster, parent, name in places if parent)

    async def _find_directory(self, directory: str) -> DstoreError | None:
        try:
            info = answers.about(directory, await self._session.namespace.stat(directory))
        except DstoreError as error:
            return error
        # Of a file, too: what is written below it is refused by the master, who knows what is there by then.
        self._directories.note(directory, info.file_id)
        return None

    async def _prepare(self, write: SmallWrite, created_ns: int, random: bytes, *, wanted: int) -> SmallFile | None:
        """Return a file that can be sent; None when only an older version could be had than was seen."""
        if not write.name:
            raise IsADirectory("/ is a directory; name a file.", metadata={"path": "/"})
        session = self._session
        cluster_id = session.cluster.cluster_id
        parent_id = self._directories.find(write.directory)
        if parent_id is None:
            # Others had it forgotten meanwhile.
            return None
        if not answers.is_parent_possible(write.path, parent_id):
            raise answers.invalid_answer(f"{write.directory[:80]!r} cannot be directory {parent_id}")
        seen = await session.marks.highest(cluster_id, parent_id, write.name)
        file_id, version = await self._reservations.take(max(seen, write.above), wanted)
        if version <= seen:
            # A version behind one that was seen would be refused by this client's own reads.
            self._reservations.drop()
            write.refusal = rolled_back(write.path, version, seen)
            return None
        dek = random[:KEY_SIZE_BYTES]
        key_nonce, manifest_nonce = random[KEY_SIZE_BYTES:-NONCE_SIZE_BYTES], random[-NONCE_SIZE_BYTES:]
        manifest = Manifest(
            cluster_id=cluster_id,
            file_id=file_id,
            version=version,
            size_bytes=len(write.content),
            chunk_size_bytes=session.cluster.policy.chunk_size_bytes,
            chunk_count=0,
            chunks_digest=NO_CHUNKS_DIGEST,
            parent_id=parent_id,
            name=write.name,
            created_ns=created_ns,
            modified_ns=created_ns,
            content=write.content,
        )
        assert len(write.content) <= INLINE_SIZE_BYTES_MAX
        return SmallFile(
            path=write.path,
            precondition=write.precondition,
            parent_id=parent_id,
            file_id=file_id,
            version=version,
            size_bytes=len(write.content),
            sealed_manifest=seal_manifest(dek, manifest, manifest_nonce),
            wrapped_keys=(wrap_dek(session.keyring.active, cluster_id, file_id, dek, key_nonce),),
        )

    async def _note(self, write: SmallWrite, file: SmallFile, info: FileInfo) -> None:
        """Take what the master says of the file, with what was sealed in place of what it says of that."""
        try:
            await self._session.marks.note(self._session.cluster.cluster_id, file.parent_id, write.name, file.version)
        except DstoreError as error:
            write.result = error
            return
        write.result = FileInfo(
            path=write.path,
            kind=FileKind.FILE,
            file_id=file.file_id,
            size_bytes=file.size_bytes,
            version=file.version,
            created_ns=info.created_ns,
            modified_ns=info.modified_ns,
        )

    def _learn(self, write: SmallWrite, file: SmallFile, error: DstoreError) -> None:
        """Take a refusal as the result, unless it says how to do better."""
        if isinstance(error, Conflict) and error.reason == "PARENT_CHANGED":
            self._directories.forget(write.directory)
            parent_id = _number(error, "parent_id")
            if parent_id is not None:
                self._directories.note(write.directory, FileId(parent_id))
            write.refusal = error
        elif isinstance(error, Conflict) and error.reason == "VERSION_SUPERSEDED":
            newest = _number(error, "version")
            if newest is None or newest < file.version:
                # It is no newer version that is in the way: what was reserved is not valid.
                self._reservations.drop()
            else:
                write.above = newest
            write.refusal = error
        else:
            if isinstance(error, NotFound | NotADirectory):
                self._directories.forget(write.directory)
            write.result = error


def _number(error: DstoreError, name: str) -> int | None:
    text = error.metadata.get(name, "")
    number = int(text) if text.isdecimal() and len(text) <= _DIGITS_MAX else 1 << 64
    return number if number < 1 << 64 else None


def _replaced_too_often(path: str) -> Conflict:
    return Conflict(
        f"{path} was replaced by others {COMMIT_ATTEMPTS_MAX} times while it was committed; write it again when they "
        "are done.",
        reason="VERSION_SUPERSEDED",
        metadata={"path": path},
    )
