"""The blocking client: a façade over the asynchronous one, which runs on a loop in a thread of its own.

Any number of threads may use one client. Each verb is documented at ``AsyncClient``.
"""

import io
import itertools
import threading
import weakref
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from dstore.client.arguments import LocalPath, check_mode, taken
from dstore.client.blocking_files import READ_BUFFER_SIZE_BYTES, RawReadFile, WriteFile
from dstore.client.client import AsyncClient
from dstore.client.loop_thread import LoopThread
from dstore.client.ranges import Range, check_ranges
from dstore.client.session import Progress
from dstore.client.walking import FileList
from dstore.core.errors import DstoreError
from dstore.core.files import ClusterInfo, FileInfo, RemoveResult
from dstore.core.ids import RequestId, Version
from dstore.core.removed import RemovedFile, RestoreResult
from dstore.core.status import ClusterStatus, FileDescription

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

T = TypeVar("T")


class Client:
    """A cluster, with calls that block. Use it as a context manager, or close it.

    An interrupt (Ctrl-C) ends the call under way and leaves nothing half-done visible.
    """

    def __init__(self, client: AsyncClient) -> None:
        """``dstore.connect`` makes one; ``client`` must not be used elsewhere."""
        self._client = client
        self._loop_thread = LoopThread()
        self._finalizer = weakref.finalize(self, _shut_down, self._loop_thread, client)

    def __repr__(self) -> str:
        return repr(self._client).removeprefix("Async")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Discard what is still being written, and close all connections. Closing twice is fine."""
        self._finalizer()

    def cluster(self) -> ClusterInfo:
        """Return the cluster's identity and default policy."""
        return self._run(self._client.cluster())

    def status(self) -> ClusterStatus:
        """Return the health of the cluster on one screen."""
        return self._run(self._client.status())

    def describe(self, path: str) -> FileDescription:
        """Return where a file is: its chunks, their groups and replicas."""
        return self._run(self._client.describe(path))

    def resolve(self, request_id: RequestId) -> FileInfo | RemoveResult:
        """Find out what became of a mutation that raised ``CommitUnknown``."""
        return self._run(self._client.resolve(request_id))

    def put(
        self,
        path: str,
        data: "ReadableBuffer",
        *,
        if_absent: bool = False,
        if_version: Version | int | None = None,
        durability: str | None = None,
    ) -> FileInfo:
        """Store ``data`` as a file, replacing what is there."""
        return self._run(
            self._client.put(path, data, if_absent=if_absent, if_version=if_version, durability=durability)
        )

    def put_file(
        self,
        local: LocalPath,
        path: str,
        *,
        if_absent: bool = False,
        if_version: Version | int | None = None,
        durability: str | None = None,
        progress: Progress | None = None,
    ) -> FileInfo:
        """Store a local file. ``progress`` is called in the client's own thread."""
        return self._run(
            self._client.put_file(
                local, path, if_absent=if_absent, if_version=if_version, durability=durability, progress=progress
            )
        )

    @overload
    def get(self, path: str, offset: int = 0, length: int | None = None) -> bytes: ...

    @overload
    def get(self, path: str, *, ranges: Sequence[Range]) -> list[bytes]: ...

    def get(
        self, path: str, offset: int = 0, length: int | None = None, *, ranges: Sequence[Range] | None = None
    ) -> bytes | list[bytes]:
        """Return a file, or a part of it, or the bytes of each range."""
        if ranges is None:
            return self._run(self._client.get(path, offset, length))
        check_ranges(ranges, offset, length)
        return self._run(self._client.get(path, ranges=ranges))

    def get_file(self, path: str, local: LocalPath, *, progress: Progress | None = None) -> FileInfo:
        """Fetch a file into a local one. ``progress`` is called in the client's own thread."""
        return self._run(self._client.get_file(path, local, progress=progress))

    def put_many(
        self,
        files: "Mapping[str, ReadableBuffer] | Iterable[tuple[str, ReadableBuffer]]",
        *,
        if_absent: bool = False,
        durability: str | None = None,
    ) -> list[FileInfo | DstoreError]:
        """Store many files; return for each its outcome or its error, in their order."""
        # On the caller's thread: what gives the items may call this client, or take its time.
        files = list(files.items()) if isinstance(files, Mapping) else taken(files)
        return self._run(self._client.put_many(files, if_absent=if_absent, durability=durability))

    def get_many(self, paths: Iterable[str]) -> list[bytes | DstoreError]:
        """Return the content of many files, or the error of each, in their order."""
        return self._run(self._client.get_many(taken(paths)))

    def stat_many(self, paths: Iterable[str]) -> list[FileInfo | DstoreError]:
        """Return what many paths name, or the error of each, in their order."""
        return self._run(self._client.stat_many(taken(paths)))

    def remove_many(self, paths: Iterable[str], *, recursive: bool = False) -> list[RemoveResult | DstoreError]:
        """Remove many paths, one after the other; return the outcome or the error of each."""
        return self._run(self._client.remove_many(taken(paths), recursive=recursive))

    @overload
    def open(self, path: str, mode: Literal["rb"] = "rb") -> io.BufferedReader: ...

    @overload
    def open(self, path: str, mode: Literal["wb", "xb"], *, durability: str | None = None) -> WriteFile: ...

    @overload
    def open(self, path: str, mode: str, *, durability: str | None = None) -> io.BufferedReader | WriteFile: ...

    def open(self, path: str, mode: str = "rb", *, durability: str | None = None) -> io.BufferedReader | WriteFile:
        """Open a file: ``rb`` to read and seek, ``wb`` to replace, ``xb`` to create what must not exist."""
        check_mode(mode)
        if mode == "rb":
            raw = RawReadFile(self._loop_thread, self._run(self._client.open_read(path)))
            return io.BufferedReader(raw, READ_BUFFER_SIZE_BYTES)
        file = self._run(self._client.open_write(path, if_absent=mode == "xb", durability=durability))
        return WriteFile(self._loop_thread, file, path, mode)

    def stat(self, path: str) -> FileInfo:
        """Return what a path names."""
        return self._run(self._client.stat(path))

    def exists(self, path: str) -> bool:
        """Return whether there is a file or directory."""
        return self._run(self._client.exists(path))

    def list(self, path: str) -> Iterator[FileInfo]:
        """Iterate over the entries of a directory, in order of names; a missing one is reported at once."""
        pages = self._loop_thread.iterate(self._client.list_pages(path))
        return itertools.chain(next(pages), itertools.chain.from_iterable(pages))

    def walk(self, path: str) -> Iterator[tuple[str, FileList, FileList]]:
        """Iterate over ``(path, directories, files)`` of a directory and all below it, from the top."""
        steps = self._loop_thread.iterate(self._client.walk(path))
        return itertools.chain([next(steps)], steps)

    def make_directory(self, path: str, *, parents: bool = False, exist_ok: bool = False) -> FileInfo:
        """Make a directory; the options are those of ``pathlib.Path.mkdir``."""
        return self._run(self._client.make_directory(path, parents=parents, exist_ok=exist_ok))

    def rename(
        self, source: str, target: str, *, if_version: Version | int | None = None, if_absent: bool = False
    ) -> FileInfo:
        """Rename a file or directory in one step; a file replaces a file, a directory an empty directory."""
        return self._run(self._client.rename(source, target, if_version=if_version, if_absent=if_absent))

    def remove(self, path: str, *, recursive: bool = False, if_version: int | None = None) -> RemoveResult:
        """Remove a file, an empty directory, or a whole tree; with ``if_version``, only that version of it."""
        return self._run(self._client.remove(path, recursive=recursive, if_version=if_version))

    def list_removed(self, path: str = "/", *, recursive: bool = True) -> Iterator[RemovedFile]:
        """Iterate over what was removed or replaced and can be restored, oldest removal first."""
        entries = self._loop_thread.iterate(self._client.list_removed(path, recursive=recursive))
        # A path that never was is reported at once.
        return itertools.chain(tuple(itertools.islice(entries, 1)), entries)

    def restore(self, path: str, *, to: str | None = None, version: Version | int | None = None) -> RestoreResult:
        """Bring back a removed or replaced file, or a removed directory with all that was removed with it."""
        return self._run(self._client.restore(path, to=to, version=version))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop_thread.run(work)


def _shut_down(loop_thread: LoopThread, client: AsyncClient) -> None:
    """Close everything; called by ``close``, or when the client is forgotten or the process ends."""
    if not loop_thread.is_usable:
        return
    if loop_thread.is_current:
        # The garbage collector runs on any thread, and the loop's own cannot wait for itself.
        threading.Thread(target=_shut_down, args=(loop_thread, client)).start()
        return
    try:
        loop_thread.run(client.close())
    finally:
        loop_thread.stop()
