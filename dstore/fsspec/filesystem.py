"""``DstoreFileSystem``: the store as fsspec sees it; a thin adapter on the asynchronous client.

What fsspec asks is translated here, call by call; what a call does is documented at ``AsyncClient``.
"""

import os
import weakref
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from fsspec.asyn import AsyncFileSystem, _run_coros_in_chunks, sync, sync_wrapper
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.compression import compr
from fsspec.core import get_compression
from fsspec.utils import stringify_path

from dstore.client.arguments import check_mode
from dstore.client.client import AsyncClient
from dstore.client.connect import open_client
from dstore.client.files import as_bytes_view
from dstore.core.errors import NotADirectory, NotFound
from dstore.core.limits import CLIENT_PATIENCE_S
from dstore.fsspec import copying, renaming, walking
from dstore.fsspec.bounds import Bound, absolute_range, is_absolute, range_within
from dstore.fsspec.entries import Entry, entry_of, moment_of
from dstore.fsspec.files import PackedFile, ReadFile, TextFile, WriteFile
from dstore.fsspec.locations import PROTOCOL, ROOT, endpoint_of, parent_of, path_of
from dstore.fsspec.loop_clients import LoopClient, LoopClients
from dstore.fsspec.places import Place, PlacedFileSystemType, check_options
from dstore.fsspec.range_lists import grouped, raise_first, read_each, spread
from dstore.fsspec.streams import ReadStream, WriteStream
from dstore.fsspec.transactions import DstoreTransaction
from dstore.fsspec.uploads import Upload


class DstoreFileSystem(AsyncFileSystem, metaclass=PlacedFileSystemType):
    """A cluster as a filesystem for pandas, dask, zarr and all others that take ``dstore:///path``.

    Without arguments it is the cluster that ``dstore up`` wrote into the configuration. All arguments are names of
    things that are looked up where the filesystem is used, so that it can be pickled without carrying a key:

        endpoint: host and port of the master.
        profile: of the configuration file.
        key_file: path of the key file.
        local_reads, durability, patience_s: as ``dstore.connect_async``.
        use_listings_cache: whether ``ls`` may repeat what it said before; off, so that what others write is seen.

    It may be used from any number of threads and event loops. It does not survive a fork: start workers with spawn.
    Directories above a file are made when it is written. What is written becomes visible as a whole, when it is closed;
    several files together with ``with fs.transaction``, see ``DstoreTransaction``.
    """

    protocol: ClassVar[str] = PROTOCOL
    root_marker = ROOT
    transaction_type = DstoreTransaction

    def __init__(
        self,
        *,
        place: Place | None = None,
        endpoint: str | None = None,
        profile: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        local_reads: str | None = None,
        durability: str | None = None,
        patience_s: float = CLIENT_PATIENCE_S,
        use_listings_cache: bool = False,
        asynchronous: bool = False,
        loop: Any = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> None:
        """Make no contact yet. ``place`` is what the other arguments mean; it is not given by callers.

        Raises:
            InvalidRequest: reason ``OPTION_INVALID``, ``NO_ENDPOINT`` and others of ``resolve_profile``.
        """
        assert place is not None, "the metaclass looks it up"
        check_options(options)
        super().__init__(
            asynchronous=asynchronous,
            loop=loop,
            batch_size=batch_size,
            use_listings_cache=use_listings_cache,
            **options,
        )
        self._place = place
        self._clients = LoopClients(lambda: open_client(os.environ, place.profile, patience_s=patience_s))
        self._finalizer = weakref.finalize(self, self._clients.close_all)

    def __repr__(self) -> str:
        return f"DstoreFileSystem({self._place.profile.endpoint})"

    # --- Where it runs -----------------------------------------------------------------------------------------

    @property
    def loop(self) -> Any:
        """The loop that blocking calls run on; None when it was made for asynchronous ones.

        Raises:
            NotReady: reason ``FORKED``.
        """
        self._clients.check_process()
        return self._loop

    @property
    def loop_if_usable(self) -> Any:
        """The loop that blocking calls run on, None in a child of the process that made this, and after its end."""
        return self._loop if self._pid == os.getpid() and self._loop and self._loop.is_running() else None

    async def aclose(self) -> None:
        """Close the connections of the running loop; the next call makes new ones."""
        await self._clients.close_current()

    def close(self) -> None:
        """Close the connections that blocking calls use; the next call makes new ones."""
        sync(self.loop, self.aclose)

    def _here(self) -> LoopClient:
        return self._clients.current()

    def _client(self) -> AsyncClient:
        return self._clients.current().client

    # --- Names -------------------------------------------------------------------------------------------------

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return path_of(stringify_path(path))

    @classmethod
    def _parent(cls, path: str) -> str:
        return parent_of(cls._strip_protocol(path))

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        endpoint = endpoint_of(path)
        return {} if endpoint is None else {"endpoint": endpoint}

    async def _info(self, path: str, **_: Any) -> Entry:
        path = self._strip_protocol(path)
        try:
            return entry_of(await self._client().stat(path))
        except NotADirectory as error:
            # Below a file there is nothing, and "is it there" is to be answered with no.
            raise NotFound(error.message, metadata=error.metadata) from error

    async def _ls(self, path: str, detail: bool = True, refresh: bool = False, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        entries = None if refresh else self._ls_from_cache(path)
        if entries is None:
            try:
                entries = [entry_of(info) async for info in self._client().list(path)]
            except NotADirectory:
                entries = [await self._info(path)]
            else:
                self.dircache[path] = entries
        return list(entries) if detail else [entry["name"] for entry in entries]

    async def _find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: Any
    ) -> Any:
        path = self._strip_protocol(path)
        entries = await walking.find(self._client(), path, depth_max=maxdepth, with_directories=withdirs)
        return entries if detail else list(entries)

    async def _du(
        self, path: str, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **_: Any
    ) -> Any:
        entries = await self._find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: entry["size"] for name, entry in entries.items()}
        return sum(sizes.values()) if total else sizes

    async def _created(self, path: str) -> datetime:
        return moment_of((await self._client().stat(self._strip_protocol(path))).created_ns)

    async def _modified(self, path: str) -> datetime:
        return moment_of((await self._client().stat(self._strip_protocol(path))).modified_ns)

    async def _ukey(self, path: str) -> str:
        return str((await self._info(path))["etag"])

    async def _checksum(self, path: str) -> int:
        return int((await self._info(path))["version"])

    created = sync_wrapper(_created)
    modified = sync_wrapper(_modified)
    ukey = sync_wrapper(_ukey)
    checksum = sync_wrapper(_checksum)

    async def _mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        path = self._strip_protocol(path)
        await self._client().make_directory(path, parents=create_parents)
        self.invalidate_cache(path)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        path = self._strip_protocol(path)
        await self._client().make_directory(path, parents=True, exist_ok=exist_ok)
        self.invalidate_cache(path)

    async def _rmdir(self, path: str) -> None:
        path = self._strip_protocol(path)
        if not (await self._client().stat(path)).is_directory:
            raise NotADirectory(f"{path} is a file; remove it with rm.", metadata={"path": path})
        await self._rm_file(path)

    async def _rm_file(self, path: str, **_: Any) -> None:
        path = self._strip_protocol(path)
        await self._client().remove(path)
        self.invalidate_cache(path)

    async def _rm(
        self, path: Any, recursive: bool = False, maxdepth: int | None = None, batch_size: int | None = None, **_: Any
    ) -> None:
        if recursive and maxdepth is None:
            paths = await renaming.named(self, path)
        else:
            # Deepest first, so that directories are empty when it is their turn.
            paths = (await self._expand_path(path, recursive=recursive, maxdepth=maxdepth))[::-1]
        for each in paths:
            await self._client().remove(each, recursive=recursive and maxdepth is None)
            self.invalidate_cache(each)

    async def _mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **_: Any) -> None:
        if maxdepth is not None:
            raise NotImplementedError("A tree is renamed as a whole, in one step; leave maxdepth out.")
        for source, target in await renaming.plan(self, path1, path2):
            await self._mv_file(source, target)

    async def _mv_file(self, path1: str, path2: str, **_: Any) -> None:
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if source != target:
            await renaming.rename(self._client(), source, target)
            self.invalidate_cache(source)
            self.invalidate_cache(target)

    rmdir = sync_wrapper(_rmdir)
    mv = sync_wrapper(_mv)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget what ``ls`` said of a path, of what is above it and of what is below it; or everything."""
        if path is None:
            self.dircache.clear()
        else:
            path = self._strip_protocol(path)
            walking.forget(self.dircache, path)
        super().invalidate_cache(path)

    # --- Content -----------------------------------------------------------------------------------------------

    async def _cat_file(self, path: str, start: Bound = None, end: Bound = None, **_: Any) -> bytes:
        path = self._strip_protocol(path)
        if is_absolute(start, end):
            return await self._client().get(path, *absolute_range(start, end))
        async with await self._client().open_read(path) as file:
            return await file.read_at(*range_within(start, end, file.info.size_bytes))

    async def _cat_ranges(
        self,
        paths: Sequence[str],
        starts: Bound | Sequence[Bound],
        ends: Bound | Sequence[Bound],
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        """As ``cat_file`` for each range. Each file is opened once, so that all its ranges are of one version."""
        by_path = grouped([self._strip_protocol(path) for path in paths], starts, ends)
        answers = await _run_coros_in_chunks(
            [read_each(self._client(), path, wanted) for path, wanted in by_path.items()],
            batch_size=batch_size or self.batch_size,
            nofiles=True,
            return_exceptions=True,
        )
        if on_error == "raise":
            raise_first(answers)
        return spread(by_path, answers)

    async def _pipe_file(self, path: str, value: Any, mode: str = "overwrite", **_: Any) -> None:
        path, data = self._strip_protocol(path), as_bytes_view(value)
        upload = self._upload(path, if_absent=mode == "create")
        async with self._here().room_for(len(data)):
            if self._intrans:
                if mode == "create":
                    await upload.check_absent()
                await copying.settle(upload, data)
                self.transaction.add(upload)
                return
            await upload.commit(data)
        self.invalidate_cache(path)

    async def _put_file(
        self, lpath: Any, rpath: str, mode: str = "overwrite", callback: Any = DEFAULT_CALLBACK, **_: Any
    ) -> None:
        if await copying.is_local_directory(lpath):
            await self._makedirs(rpath, exist_ok=True)
            return
        path = self._strip_protocol(rpath)
        if self._intrans:
            upload = self._upload(path, mode == "create")
            self.transaction.add(await copying.stage(self._here(), upload, lpath, callback))
            return
        await copying.put(self._here(), lpath, path, if_absent=mode == "create", callback=callback)
        self.invalidate_cache(path)

    async def _get_file(self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, **_: Any) -> None:
        await copying.get(self._here(), self._strip_protocol(rpath), lpath, callback=callback)

    async def _cp_file(self, path1: str, path2: str, **_: Any) -> None:
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if (await self._client().stat(source)).is_directory:
            await self._makedirs(target, exist_ok=True)
            return
        await copying.copy(self._here(), source, self._upload(target, if_absent=False))
        self.invalidate_cache(target)

    # --- Open files --------------------------------------------------------------------------------------------

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open a file: ``rb``, ``wb``, ``xb``, or ``r``, ``w``, ``x`` for text; see ``ReadFile`` and ``WriteFile``.

        Raises:
            InvalidRequest: reason ``MODE_INVALID``: files are replaced as a whole, never appended to or changed.
            DstoreError: as ``AsyncClient.open``.
        """
        if "b" not in mode:
            text = {name: kwargs.pop(name) for name in ("encoding", "errors", "newline") if name in kwargs}
            binary_mode = mode.replace("t", "") + "b"
            return TextFile(self.open(path, binary_mode, block_size, cache_options, compression, **kwargs), **text)
        packing = get_compression(path, compression)
        if packing is None or mode == "rb":
            return super().open(path, mode, block_size, cache_options, packing, **kwargs)
        file = super().open(path, mode, block_size, cache_options, **kwargs)
        return PackedFile(compr[packing](file, mode=mode[0]), file)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        cache_type: str = "readahead",
        **_: Any,
    ) -> ReadFile | WriteFile:
        check_mode(mode)
        path = self._strip_protocol(path)
        if mode == "rb":
            file = sync(self.loop, self._open_read, path)
            return ReadFile(self, path, file, block_size=block_size, cache_type=cache_type, cache_options=cache_options)
        upload = sync(self.loop, self._open_write, path, mode == "xb")
        written = WriteFile(self, path, upload, mode=mode, block_size=block_size, autocommit=autocommit)
        if self._intrans and not autocommit:
            self.transaction.add(written)
        return written

    async def open_async(self, path: str, mode: str = "rb", **_: Any) -> ReadStream | WriteStream:
        """Open a file for a caller that is asynchronous: ``rb``, ``wb`` or ``xb``. It is no part of transactions.

        Raises:
            DstoreError: as ``open``.
        """
        check_mode(mode)
        path = self._strip_protocol(path)
        if mode == "rb":
            return ReadStream(self, path, await self._open_read(path))
        return WriteStream(self, path, mode, await self._open_write(path, mode == "xb"))

    async def _open_read(self, path: str) -> Any:
        return await self._client().open_read(path)

    async def _open_write(self, path: str, if_absent: bool) -> Upload:
        upload = self._upload(path, if_absent)
        if if_absent:
            await upload.check_absent()
        return upload

    def _upload(self, path: str, if_absent: bool) -> Upload:
        return Upload(self._client(), path, if_absent=if_absent)
