"""Transfers whole files, from and to local ones and within the store, in bounded memory."""

import asyncio
import os
from typing import Any, BinaryIO

from fsspec.utils import isfilelike

from dstore.client.client import AsyncClient
from dstore.client.session import Progress
from dstore.fsspec.files import BLOCK_SIZE_BYTES
from dstore.fsspec.loop_clients import LoopClient
from dstore.fsspec.uploads import Upload, with_parents


def progress_to(callback: Any) -> Progress:
    """Return what passes the bytes done so far on to a callback of fsspec, as the bytes since it was last told."""
    told = 0

    def note(done: int) -> None:
        nonlocal told
        callback.relative_update(done - told)
        told = done

    return note


async def is_local_directory(path: Any) -> bool:
    """Return whether a local path names a directory."""
    return await asyncio.to_thread(os.path.isdir, path)


async def put(here: LoopClient, local: Any, path: str, *, if_absent: bool, callback: Any) -> None:
    """Store a local file; raises as ``AsyncClient.put_file``."""
    size_bytes = (await asyncio.to_thread(os.stat, local)).st_size
    callback.set_size(size_bytes)

    async def store() -> None:
        await here.client.put_file(local, path, if_absent=if_absent, progress=progress_to(callback))

    async with here.room_for(size_bytes):
        await with_parents(here.client, path, store)


async def get(here: LoopClient, path: str, local: Any, *, callback: Any) -> None:
    """Fetch a file into a local one, or into an open file; a directory of the store makes a local directory.

    Raises:
        DstoreError: as ``AsyncClient.get_file``.
    """
    info = await here.client.stat(path)
    if info.is_directory:
        os.makedirs(local, exist_ok=True)
        return
    callback.set_size(info.size_bytes)
    async with here.room_for(info.size_bytes):
        if isfilelike(local):
            await _get_into(here.client, path, local, progress_to(callback))
            return
        os.makedirs(os.path.dirname(os.fspath(local)) or ".", exist_ok=True)
        await here.client.get_file(path, local, progress=progress_to(callback))


async def copy(here: LoopClient, source: str, upload: Upload) -> None:
    """Copy one version of a file; raises as ``AsyncClient.get`` and ``AsyncClient.put``."""
    async with await here.client.open_read(source) as file, here.room_for(file.info.size_bytes):
        try:
            left = file.info.size_bytes
            while left > BLOCK_SIZE_BYTES:
                await upload.write(memoryview(await file.read(BLOCK_SIZE_BYTES)))
                left -= BLOCK_SIZE_BYTES
            await upload.commit(memoryview(await file.read()))
        finally:
            # After a commit there is nothing left to discard.
            await upload.discard()


async def settle(upload: Upload, rest: memoryview) -> None:
    """Make a file durable that waits for the end of a transaction; when that fails, it is discarded."""
    try:
        await upload.settle(rest)
    except BaseException:
        await upload.discard()
        raise


async def stage(here: LoopClient, upload: Upload, local: Any, callback: Any) -> Upload:
    """Stream a local file into one that waits for the end of a transaction.

    Raises:
        OSError: the local file cannot be read.
        DstoreError: as ``AsyncClient.put``; nothing waits.
    """
    size_bytes = (await asyncio.to_thread(os.stat, local)).st_size
    callback.set_size(size_bytes)
    with await asyncio.to_thread(_open_local, local) as stream:
        try:
            async with here.room_for(size_bytes):
                await _stage(upload, stream, callback)
        except BaseException:
            await upload.discard()
            raise
    return upload


async def _stage(upload: Upload, stream: BinaryIO, callback: Any) -> None:
    piece = await asyncio.to_thread(stream.read, BLOCK_SIZE_BYTES)
    while following := await asyncio.to_thread(stream.read, BLOCK_SIZE_BYTES):
        await upload.write(memoryview(piece))
        callback.relative_update(len(piece))
        piece = following
    await upload.settle(memoryview(piece))
    callback.relative_update(len(piece))


def _open_local(path: Any) -> BinaryIO:
    return open(path, "rb")


async def _get_into(client: AsyncClient, path: str, stream: BinaryIO, progress: Progress) -> None:
    done = 0
    async with await client.open_read(path) as file:
        while piece := await file.read(BLOCK_SIZE_BYTES):
            await asyncio.to_thread(stream.write, piece)
            done += len(piece)
            progress(done)
