"""Copies single files between this machine and the cluster, and within the cluster; several at once."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from dstore.cli.places import Place
from dstore.client.client import AsyncClient
from dstore.client.local_files import run_blocking
from dstore.core.errors import Conflict, InvalidRequest
from dstore.core.limits import MIB

T = TypeVar("T")

JOBS_DEFAULT = 4
#: Each job holds some chunks in memory.
JOBS_MAX = 64
#: A file that is written all the time must not keep a command from ending.
_TRIES_MAX = 3
_PIECE_SIZE_BYTES = 4 * MIB


def check_jobs(jobs: int) -> int:
    """Return how many files are copied at once.

    Raises:
        InvalidRequest: reason ``JOBS_INVALID``.
    """
    if not 1 <= jobs <= JOBS_MAX:
        raise InvalidRequest(f"-j takes 1 to {JOBS_MAX} files at once, not {jobs}.", reason="JOBS_INVALID")
    return jobs


async def in_parallel(jobs: int, work: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Do ``work`` for each item, up to ``jobs`` at once. What one raises ends the others, and is raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    tasks = [asyncio.create_task(worker(), name="copy") for _ in range(jobs)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def copy_file(client: AsyncClient, source: Place, target: Place, *, modified_ns: int | None = None) -> int:
    """Copy one file, replacing what is there; return how many bytes it has.

    Args:
        modified_ns: the time that a local target gets, so that the two can be compared later.

    Raises:
        Conflict: reason ``LOCAL_FILE_CHANGING``.
        OSError: the local file cannot be read or written.
        DstoreError: as ``AsyncClient.put`` and ``get``.
    """
    if not source.is_remote:
        assert target.is_remote, "one of the two is in the cluster"
        return await _upload(client, Path(source.path), target.path)
    if target.is_remote:
        return await _copy_within(client, source.path, target.path)
    info = await client.get_file(source.path, target.path)
    if modified_ns is not None:
        await run_blocking(lambda: os.utime(target.path, ns=(modified_ns, modified_ns)))
    return info.size_bytes


async def _upload(client: AsyncClient, local: Path, path: str) -> int:
    """Store a local file as it is at one moment: one that is changed meanwhile is stored again.

    Its time would be older than that of the stored file afterwards, and so the change would not be seen any more.
    """
    for _ in range(_TRIES_MAX):
        before = await run_blocking(os.stat, local)
        info = await client.put_file(local, path)
        after = await run_blocking(os.stat, local)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return info.size_bytes
    raise Conflict(
        f"{str(local)!r} was changed while it was read, {_TRIES_MAX} times, so what is stored may be a mixture; copy "
        "it when nobody writes to it.",
        reason="LOCAL_FILE_CHANGING",
        metadata={"path": str(local)},
    )


async def _copy_within(client: AsyncClient, source: str, target: str) -> int:
    """Read and write again: each file has keys of its own, so that no server could copy it."""
    async with await client.open_read(source) as reading, await client.open_write(target) as writing:
        while data := await reading.read(_PIECE_SIZE_BYTES):
            await writing.write(data)
        return reading.info.size_bytes
