"""The asynchronous client: every verb of the store. ``blocking.Client`` has the same ones without ``await``."""

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from dstore.client import answers, many_files
from dstore.client.arguments import LocalPath, check_mode, check_page_size, check_version, precondition_of
from dstore.client.contact import Contact, Services
from dstore.client.fetching import Fetching
from dstore.client.files import AsyncReadFile, AsyncWriteFile, as_bytes_view
from dstore.client.high_water import HighWaterMarks
from dstore.client.local_files import LocalTarget
from dstore.client.operating import Identified
from dstore.client.ranges import Range, reading_of
from dstore.client.reader import FileReader
from dstore.client.removed_files import RemovedFiles
from dstore.client.renaming import rename
from dstore.client.session import Progress
from dstore.client.storing import Storing
from dstore.client.walking import FileList, walk
from dstore.core.chunks import Durability
from dstore.core.environment import Clock, Random
from dstore.core.errors import DstoreError, NotADirectory, NotFound
from dstore.core.files import ClusterInfo, FileInfo, FilePage, RemoveResult
from dstore.core.ids import ClusterId, RequestId, Version
from dstore.core.limits import CLIENT_PATIENCE_S, LIST_PAGE_SIZE_DEFAULT
from dstore.core.paths import normalize_path
from dstore.core.status import ClusterStatus, FileDescription
from dstore.crypto.keys import Keyring

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_DESCRIBE_PAGE_SIZE = 1_000


class AsyncClient(RemovedFiles, Identified):
    """A cluster, seen from one event loop. Use it as an asynchronous context manager, or await it and close it.

    Paths are absolute. Everything that is read was verified against what its writer sealed; ``stat``, ``list`` and
    ``walk`` show what the master says. Calls are repeated while the master is away, for ``patience_s``. Every verb
    raises subclasses of ``DstoreError``, which are also the built-in errors that local files give.
    """

    def __init__(
        self,
        services: Callable[[], Services],
        *,
        load_keyring: Callable[[], Keyring],
        clock: Clock,
        random: Random,
        marks: HighWaterMarks,
        endpoint: str = "",
        cluster_id: ClusterId | None = None,
        patience_s: float = CLIENT_PATIENCE_S,
        durability: Durability = Durability.SYNCED,
    ) -> None:
        """``dstore.connect_async`` makes one. Nothing is called before the first verb.

        Args:
            services: called once, on the event loop that the client is used on.
            load_keyring: called once, in a thread, when the first file is opened or written.
            cluster_id: the only cluster that is accepted; None accepts the first one.
            durability: of writes that do not say another.

        Raises:
            NotReady: reason ``FORKED``.
        """
        self._endpoint = endpoint
        self._random = random
        self._contact = Contact(
            services,
            load_keyring=load_keyring,
            clock=clock,
            random=random,
            marks=marks,
            endpoint=endpoint,
            cluster_id=cluster_id,
            patience_s=patience_s,
        )
        self._storing = Storing(self._contact, durability)
        self._fetching = Fetching(self._contact)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint})"

    def __await__(self) -> Generator[Any, Any, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        await self.cluster()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Discard what is still being written, remember what was seen, and close all connections."""
        if self._contact.is_usable:
            try:
                await self._storing.discard_all()
            finally:
                await self._contact.close()

    @property
    def hedged_reads(self) -> dict[str, int]:
        """How often a read that took unusually long was asked of a second replica as well, by who answered first.

        The keys are ``first``, ``second``, and ``none`` for reads that both failed.
        """
        return dict(self._contact.hedging.winners)

    # --- The cluster -------------------------------------------------------------------------------------------

    async def cluster(self) -> ClusterInfo:
        """Return the cluster's identity and default policy; the first call makes contact.

        Raises:
            Unavailable: reason ``MASTER_UNREACHABLE``.
            NotReady: reason ``NOT_A_DSTORE_MASTER``, ``WRONG_CLUSTER`` or ``FORKED``.
        """
        return await self._contact.cluster()

    async def key_ids(self) -> tuple[bytes, ...]:
        """Return what names the keys that this client has, the active one first; nothing can be opened with it.

        Raises:
            DstoreError: as ``cluster``, and what loading the keys raises.
        """
        return (await self._contact.session()).keyring.key_ids

    async def status(self) -> ClusterStatus:
        """Return the health of the cluster on one screen."""
        return await (await self._contact.admin()).get_status()

    async def describe(self, path: str) -> FileDescription:
        """Return where a file is: its chunks, their groups and replicas."""
        path = normalize_path(path)
        return await answers.describe(await self._contact.admin(), path, _DESCRIBE_PAGE_SIZE)

    async def resolve(self, request_id: RequestId) -> FileInfo | RemoveResult:
        """Find out what became of a mutation that raised ``CommitUnknown``, by repeating it with its request id.

        Returns its answer when it took effect, before or now. Any other error than ``CommitUnknown`` means that it
        did not and will not.

        Raises:
            NotFound: reason ``REQUEST_UNKNOWN``.
            CommitUnknown: the master still does not answer.
        """
        return await self._contact.resolve(request_id)

    # --- Whole files -------------------------------------------------------------------------------------------

    async def put(
        self,
        path: str,
        data: "ReadableBuffer",
        *,
        if_absent: bool = False,
        if_version: Version | int | None = None,
        durability: str | None = None,
    ) -> FileInfo:
        """Store ``data`` as a file, replacing what is there; visible at once, as a whole, when durable.

        Args:
            data: must not change before this returns.
            if_absent: only if there is no such path; else ``AlreadyExists``.
            if_version: only if the file has this version; else ``Conflict``.
            durability: "synced", on stable storage of every replica; or "replicated", in the memory of all of them, and
                synced within a second or so. Small files are always synced.

        Raises:
            CommitUnknown: it was stored or it was not; see ``resolve``.
            DstoreError: nothing was stored.
        """
        path, precondition = normalize_path(path), precondition_of(if_absent, if_version)
        return await self._storing.put(path, precondition, as_bytes_view(data), durability=durability)

    async def put_file(
        self,
        local: LocalPath,
        path: str,
        *,
        if_absent: bool = False,
        if_version: Version | int | None = None,
        durability: str | None = None,
        progress: Progress | None = None,
    ) -> FileInfo:
        """Store a local file; as ``put``, in bounded memory. ``progress`` gets the durable bytes.

        Raises:
            OSError: the local file cannot be read.
            DstoreError: as ``put``.
        """
        path, precondition = normalize_path(path), precondition_of(if_absent, if_version)
        return await self._storing.put_file(Path(local), path, precondition, durability=durability, progress=progress)

    @overload
    async def get(self, path: str, offset: int = 0, length: int | None = None) -> bytes: ...

    @overload
    async def get(self, path: str, *, ranges: Sequence[Range]) -> list[bytes]: ...

    async def get(
        self, path: str, offset: int = 0, length: int | None = None, *, ranges: Sequence[Range] | None = None
    ) -> bytes | list[bytes]:
        """Return a file, or the part of it that starts at ``offset``; what is past the end is left out.

        With ``ranges``, pairs of offset and length in any order, return the bytes of each; neighbours are fetched
        together. All are of one version of the file.

        Raises:
            InvalidRequest: reason ``RANGE_INVALID``, when an offset or a length is negative.
            LimitExceeded: reason ``TOO_MANY_RANGES`` or ``RANGES_TOO_LARGE``.
            WrongKey: the keyring has no key for the file.
            Corrupt: the file or the master's record of it was damaged or altered.
            Unavailable: no server that holds a part of it answers.
        """
        return await self._fetching.read(normalize_path(path), reading_of(offset, length, ranges))

    async def get_file(self, path: str, local: LocalPath, *, progress: Progress | None = None) -> FileInfo:
        """Fetch a file into a local one, which appears, or is replaced, only when all of it is there and durable.

        Raises:
            OSError: the local file cannot be written.
            DstoreError: as ``get``.
        """
        path = normalize_path(path)

        async def read(reader: FileReader) -> FileInfo:
            async with LocalTarget(Path(local), self._random) as target:
                await reader.read_chunks(target.write_at, progress=progress)
                await target.finish()
            return reader.file.info

        return await self._fetching.read(path, read)

    async def open_read(self, path: str) -> AsyncReadFile:
        """Open a file for reading and seeking.

        Raises:
            DstoreError: as ``get``.
        """
        return AsyncReadFile(await self._fetching.open(normalize_path(path)))

    async def open_write(
        self,
        path: str,
        *,
        if_absent: bool = False,
        if_version: Version | int | None = None,
        durability: str | None = None,
    ) -> AsyncWriteFile:
        """Open a file for writing from front to back; it becomes visible when it is closed.

        Raises:
            DstoreError: as ``put``.
        """
        path, precondition = normalize_path(path), precondition_of(if_absent, if_version)
        writer = await self._storing.begin(path, precondition, size_bytes=None, durability=durability)
        return AsyncWriteFile(path, writer)

    @overload
    async def open(self, path: str, mode: Literal["rb"] = "rb") -> AsyncReadFile: ...

    @overload
    async def open(self, path: str, mode: Literal["wb", "xb"], *, durability: str | None = None) -> AsyncWriteFile: ...

    @overload
    async def open(self, path: str, mode: str, *, durability: str | None = None) -> AsyncReadFile | AsyncWriteFile: ...

    async def open(
        self, path: str, mode: str = "rb", *, durability: str | None = None
    ) -> AsyncReadFile | AsyncWriteFile:
        """Open a file: ``rb`` to read and seek, ``wb`` to replace, ``xb`` to create what must not exist.

        Raises:
            InvalidRequest: reason ``MODE_INVALID``.
            DstoreError: as ``get`` and ``put``.
        """
        check_mode(mode)
        if mode == "rb":
            return await self.open_read(path)
        return await self.open_write(path, if_absent=mode == "xb", durability=durability)

    # --- Many files --------------------------------------------------------------------------------------------

    async def put_many(
        self,
        files: "Mapping[str, ReadableBuffer] | Iterable[tuple[str, ReadableBuffer]]",
        *,
        if_absent: bool = False,
        durability: str | None = None,
    ) -> list[FileInfo | DstoreError]:
        """Store many files, each as ``put``; return for each its outcome or its error, in their order.

        Each file becomes visible by itself. Of several for one path, each is stored after the one before it. All
        items are taken before the first is stored: what an iterable raises is raised, and nothing is stored. No data
        may change before this returns.

        Raises:
            InvalidRequest: reason ``DURABILITY_INVALID`` or ``ITEMS_INVALID``; nothing was stored.
        """
        precondition = precondition_of(if_absent, None)
        return await many_files.put_many(self._contact, self._storing, files, precondition, durability)

    async def get_many(self, paths: Iterable[str]) -> list[bytes | DstoreError]:
        """Return the content of many files, or the error of each, in their order; all of it is held in memory."""
        return await many_files.get_many(self._fetching, paths)

    async def stat_many(self, paths: Iterable[str]) -> list[FileInfo | DstoreError]:
        """Return what many paths name, or the error of each, in their order."""
        return await many_files.stat_many(self._contact, paths)

    async def remove_many(self, paths: Iterable[str], *, recursive: bool = False) -> list[RemoveResult | DstoreError]:
        """Remove many paths, one after the other, each as ``remove``; return the outcome or the error of each."""
        return await many_files.remove_many(self._contact, paths, recursive=recursive, request_id=self._request_id)

    # --- Names -------------------------------------------------------------------------------------------------

    async def stat(self, path: str) -> FileInfo:
        """Return what a path names."""
        path = normalize_path(path)
        return answers.about(path, await (await self._contact.namespace()).stat(path))

    async def exists(self, path: str) -> bool:
        """Return whether there is a file or directory."""
        try:
            await self.stat(path)
        except (NotFound, NotADirectory):
            return False
        return True

    async def list_pages(
        self, path: str, *, page_size: int = LIST_PAGE_SIZE_DEFAULT
    ) -> AsyncIterator[tuple[FileInfo, ...]]:
        """Yield a directory page by page, in order of names; memory stays bounded."""
        path, page_size = normalize_path(path), check_page_size(page_size)
        async for entries in answers.list_pages(await self._contact.namespace(), path, page_size):
            yield entries

    async def list_page(self, path: str, *, page_size: int, page_token: str = "") -> FilePage:
        """Return the page of a directory that follows the one which gave ``page_token``."""
        path, page_size = normalize_path(path), check_page_size(page_size)
        return await answers.list_page(await self._contact.namespace(), path, page_size, page_token)

    async def list(self, path: str) -> AsyncIterator[FileInfo]:
        """Yield the entries of a directory, in order of names."""
        async for entries in self.list_pages(path):
            for info in entries:
                yield info

    async def walk(self, path: str) -> AsyncIterator[tuple[str, FileList, FileList]]:
        """Yield ``(path, directories, files)`` for a directory and all below it, from the top, as ``os.walk``.

        Directories that the caller removes from the list are not entered; ones that vanish meanwhile are left out.
        """
        async for step in walk(self.list, normalize_path(path)):
            yield step

    async def make_directory(self, path: str, *, parents: bool = False, exist_ok: bool = False) -> FileInfo:
        """Make a directory; the options are those of ``pathlib.Path.mkdir``."""
        path = normalize_path(path)
        namespace, request_id = await self._contact.namespace(), self._request_id()
        info = await namespace.make_directory(path, parents=parents, exist_ok=exist_ok, request_id=request_id)
        return replace(info, path=path)

    async def rename(
        self, source: str, target: str, *, if_version: Version | int | None = None, if_absent: bool = False
    ) -> FileInfo:
        """Rename a file or directory in one step; a file replaces a file, a directory an empty directory.

        With ``if_version``, only that version of the source; with ``if_absent``, only if nothing is at the target.
        """
        source, target, precondition = normalize_path(source), normalize_path(target), precondition_of(if_absent, None)
        return await rename(await self._contact.session(), source, target, check_version(if_version), precondition)

    async def remove(self, path: str, *, recursive: bool = False, if_version: int | None = None) -> RemoveResult:
        """Remove a file, an empty directory, or a whole tree; with ``if_version``, only that version of it."""
        path, version, request_id = normalize_path(path), check_version(if_version), self._request_id()
        namespace = await self._contact.namespace()
        return await namespace.remove(path, recursive=recursive, request_id=request_id, version=version)

    def _request_id(self) -> RequestId:
        return RequestId(self._random.uuid())
