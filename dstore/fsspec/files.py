"""Files for callers that block: what pandas, pyarrow and ``io`` expect."""

import asyncio
import io
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fsspec.asyn import sync
from fsspec.spec import AbstractBufferedFile

from dstore.client.files import AsyncReadFile, as_bytes_view, closed_file
from dstore.core.limits import MIB
from dstore.fsspec.entries import Entry, entry_of
from dstore.fsspec.uploads import Upload

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: What is fetched ahead of a reader, and what is gathered of a writer: two frames.
BLOCK_SIZE_BYTES = 4 * MIB


class ReadFile(AbstractBufferedFile):
    """One version of a file: whatever happens to the path meanwhile, all bytes are of the version that was opened."""

    DEFAULT_BLOCK_SIZE = BLOCK_SIZE_BYTES

    def __init__(
        self,
        fs: Any,
        path: str,
        file: AsyncReadFile,
        *,
        block_size: int | str | None = None,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
    ) -> None:
        """Made by ``DstoreFileSystem.open``; ``file`` belongs to the loop of ``fs``."""
        self._file = file
        self._details = entry_of(file.info)
        super().__init__(
            fs,
            path,
            mode="rb",
            block_size=block_size,
            cache_type=cache_type,
            cache_options=cache_options,
            size=file.info.size_bytes,
        )

    @property
    def details(self) -> Entry:
        """What was opened, as ``info`` says it."""
        return self._details

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Called by the caches, from several threads at once by some."""
        content: bytes = sync(self.fs.loop, self._file.read_at, start, max(0, end - start))
        return content


class WriteFile(AbstractBufferedFile):
    """A file that is being written from front to back; it appears under its name when it is closed, or committed.

    Leaving a ``with`` block through an exception discards it, and so does forgetting to close it: what is incomplete
    never becomes visible.
    """

    DEFAULT_BLOCK_SIZE = BLOCK_SIZE_BYTES

    buffer: io.BytesIO
    closed: bool

    def __init__(
        self, fs: Any, path: str, upload: Upload, *, mode: str, block_size: int | str | None, autocommit: bool
    ) -> None:
        """Made by ``DstoreFileSystem.open``.

        Args:
            upload: belongs to the loop of ``fs``.
            autocommit: whether closing makes it visible; else ``commit`` does.
        """
        self._upload = upload
        self._is_decided = False
        super().__init__(fs, path, mode=mode, block_size=block_size, autocommit=autocommit)

    def write(self, data: "ReadableBuffer") -> int:
        """Take all of ``data``; waits while too much is in flight.

        Raises:
            DstoreError: as ``AsyncWriteFile.write``; the file can only be discarded then.
        """
        self._check_open()
        view = as_bytes_view(data)
        if self.buffer.tell() + len(view) <= self.blocksize:
            self.buffer.write(view)
        else:
            self._pass_on()
            sync(self.fs.loop, self._upload.write, view)
        self.loc += len(view)
        return len(view)

    def flush(self, force: bool = False) -> None:
        """Do nothing: what was gathered goes when there is enough of it, and all of it when the file is closed."""

    def close(self) -> None:
        """Wait until everything is durable, and make it visible unless ``commit`` is to do that. Closing twice is fine.

        Raises:
            DstoreError: as ``AsyncClient.put``; nothing is visible.
        """
        if self.closed:
            return
        self.closed = True
        with self.buffer.getbuffer() as rest:
            if self.autocommit:
                self._is_decided = True
                sync(self.fs.loop, self._upload.commit, rest)
            else:
                sync(self.fs.loop, self._upload.settle, rest)
        self.buffer = io.BytesIO()
        if self.autocommit:
            self.fs.invalidate_cache(self.path)

    def commit(self) -> None:
        """Make a file that was opened without ``autocommit`` visible.

        Raises:
            DstoreError: as ``AsyncClient.put``; nothing is visible.
        """
        self.close()
        if not self._is_decided:
            self._is_decided = True
            sync(self.fs.loop, self._upload.commit)
            self.fs.invalidate_cache(self.path)

    def discard(self) -> None:
        """Give up: nothing becomes visible. Does nothing after a commit."""
        self.closed = True
        if not self._is_decided:
            self._is_decided = True
            self.buffer = io.BytesIO()
            sync(self.fs.loop, self._upload.discard)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        if getattr(self, "_is_decided", True):
            return
        self._is_decided = self.closed = True
        loop = self.fs.loop_if_usable
        if loop is not None:
            # The garbage collector runs on any thread, also on the loop's own, so nothing waits for this.
            asyncio.run_coroutine_threadsafe(self._upload.discard(), loop)
        warnings.warn(
            f"{self.path} was neither closed nor committed, and is discarded; use a `with` block.",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )

    def _pass_on(self) -> None:
        gathered, self.buffer = self.buffer, io.BytesIO()
        if gathered.tell():
            with gathered.getbuffer() as view:
                sync(self.fs.loop, self._upload.write, view)

    def _check_open(self) -> None:
        if self.closed:
            raise closed_file(self.path)


class PackedFile(io.BufferedIOBase):
    """What compresses into a file of the store. The compressors of the standard library leave their target open."""

    def __init__(self, packing: Any, file: WriteFile) -> None:
        """Made by ``DstoreFileSystem.open``; ``packing`` writes to ``file``."""
        super().__init__()
        self._packing = packing
        self._file = file

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Take all of ``data``; raises as ``WriteFile.write``."""
        return int(self._packing.write(data))

    def close(self) -> None:
        """Write the end, and close the file as well; raises as ``WriteFile.close``."""
        if not self.closed:
            try:
                self._packing.close()
                self._file.close()
            finally:
                # Nothing is left to discard but after a failure.
                self._end()

    def discard(self) -> None:
        """Give up: nothing becomes visible."""
        self._file.discard()
        self._end()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        # IOBase closes what is forgotten, which would make it visible; ``WriteFile`` discards it.
        pass

    def _end(self) -> None:
        super().close()


class TextFile(io.TextIOWrapper):
    """Text in a file of the store; as ``WriteFile``, leaving a ``with`` block through an exception discards it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and isinstance(self.buffer, WriteFile | PackedFile):
            self.buffer.discard()
        self.close()
