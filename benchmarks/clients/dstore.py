"""The client of dstore: the ordinary asynchronous one, as any program uses it."""

import inspect
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import dstore
from benchmarks.clients.pacing import timed
from benchmarks.clients.protocol import Moved, Request
from benchmarks.workloads import MIB

#: Random bytes that large data is repeated from: encryption does not care, and random bytes are slow to make.
PATTERN_SIZE_BYTES = 16 * MIB
#: Reused, because memory that was touched before is several times faster to fill than fresh memory.
READ_BUFFER_SIZE_BYTES = 16 * MIB
RANGES_TOGETHER = 64
RENAMED = "-renamed"


class DstoreClient:
    """Does all workloads; ``variants`` are further arguments of ``connect_async``, by name."""

    def __init__(self, endpoint: str, key_file: str, variants: dict[str, dict[str, str]], stack: AsyncExitStack):
        self._endpoint = endpoint
        self._key_file = key_file
        self._variants = variants
        self._stack = stack
        self._clients: dict[str, Any] = {}
        self._large = b""
        self._read_buffer = bytearray(READ_BUFFER_SIZE_BYTES)

    async def run(self, request: Request) -> Moved:
        """Do what is asked, once.

        Raises:
            dstore.DstoreError: the cluster did not do it.
            RuntimeError: it did something else.
        """
        verb = getattr(self, f"_{request.verb.replace('-', '_')}")
        moved: Moved = await verb(await self._client(request.variant), request)
        return moved

    async def _client(self, variant: str) -> Any:
        # Any: some options and verbs are younger than others, and a benchmark runs with what there is.
        if variant not in self._clients:
            options: dict[str, Any] = dict(self._variants[variant])
            known = inspect.signature(dstore.connect_async).parameters
            client = dstore.connect_async(
                self._endpoint,
                key_file=self._key_file,
                **{name: value for name, value in options.items() if name in known},
            )
            self._clients[variant] = await self._stack.enter_async_context(client)
        return self._clients[variant]

    def _put_options(self, client: Any, request: Request) -> dict[str, str]:
        known = inspect.signature(client.put).parameters
        return {name: value for name, value in self._variants[request.variant].items() if name in known}

    # --- One large file ----------------------------------------------------------------------------------------

    async def _write_large(self, client: Any, request: Request) -> Moved:
        if len(self._large) != request.size_bytes:
            pattern = os.urandom(min(request.size_bytes, PATTERN_SIZE_BYTES))
            self._large = (pattern * -(-request.size_bytes // len(pattern)))[: request.size_bytes]
        start_s = time.perf_counter()
        await client.put(_large(request), self._large, **self._put_options(client, request))
        duration_s = time.perf_counter() - start_s
        return Moved(duration_s, request.size_bytes, caller_bytes=len(self._large))

    async def _drop_large(self, client: Any, request: Request) -> Moved:
        await client.remove(_large(request))
        return Moved(0.0)

    async def _drop_source(self, _: Any, request: Request) -> Moved:
        self._large = b""
        return Moved(0.0)

    async def _read_large(self, client: Any, request: Request) -> Moved:
        start_s = time.perf_counter()
        is_whole = request.variant.endswith("get")
        if is_whole:
            received = len(await client.get(_large(request)))
        else:
            async with await client.open(_large(request), "rb") as file:
                while await file.readinto(self._read_buffer):
                    pass
                received = file.tell()
        duration_s = time.perf_counter() - start_s
        if received != request.size_bytes:
            raise RuntimeError(f"{received} bytes came back instead of {request.size_bytes}.")
        return Moved(duration_s, received, caller_bytes=len(self._large) + is_whole * received)

    async def _read_ranges(self, client: Any, request: Request) -> Moved:
        offsets = await self._offsets(client, request)

        async def get(offset: int) -> None:
            check(await client.get(_large(request), offset, request.size_bytes))

        def check(got: bytes) -> None:
            if len(got) != request.size_bytes:
                raise RuntimeError(f"{len(got)} bytes came back instead of {request.size_bytes}.")

        async with await client.open(_large(request), "rb") as file:

            async def read(offset: int) -> None:
                check((await file.read_ranges([(offset, request.size_bytes)]))[0])

            has_ranges = hasattr(file, "read_ranges") and not request.variant.endswith("get")
            duration_s = await timed(offsets, request.callers, read if has_ranges else get)
        return Moved(duration_s, request.count * request.size_bytes, request.count, caller_bytes=len(self._large))

    async def _read_ranges_together(self, client: Any, request: Request) -> Moved:
        ranges = [(offset, request.size_bytes) for offset in await self._offsets(client, request)]
        calls = [ranges[start : start + RANGES_TOGETHER] for start in range(0, len(ranges), RANGES_TOGETHER)]

        async def read(call: Sequence[tuple[int, int]]) -> None:
            got = await client.get(_large(request), ranges=call)
            if sum(map(len, got)) != len(call) * request.size_bytes:
                raise RuntimeError("Ranges came back short.")

        duration_s = await timed(calls, request.callers, read)
        return Moved(duration_s, len(ranges) * request.size_bytes, len(ranges), caller_bytes=len(self._large))

    async def _offsets(self, client: Any, request: Request) -> list[int]:
        size_bytes = (await client.stat(_large(request))).size_bytes
        chosen = random.Random(request.seed)
        return [chosen.randrange(size_bytes - request.size_bytes) for _ in range(request.count)]

    # --- Small files -------------------------------------------------------------------------------------------

    async def _write_small(self, client: Any, request: Request) -> Moved:
        await client.make_directory(_directory(request), parents=True)
        data = os.urandom(request.size_bytes)
        duration_s = await timed(_paths(request), request.callers, lambda path: client.put(path, data))
        return Moved(duration_s, request.count * len(data), request.count)

    async def _read_small(self, client: Any, request: Request) -> Moved:
        paths = _paths(request)
        random.Random(request.seed).shuffle(paths)

        async def read(path: str) -> None:
            if len(await client.get(path)) != request.size_bytes:
                raise RuntimeError(f"{path} came back short.")

        duration_s = await timed(paths, request.callers, read)
        return Moved(duration_s, request.count * request.size_bytes, request.count)

    async def _put_many(self, client: Any, request: Request) -> Moved:
        await client.make_directory(_directory(request), parents=True)
        data = os.urandom(request.size_bytes)
        items = [(path, data) for path in _paths(request)]
        start_s = time.perf_counter()
        results = await client.put_many(items)
        duration_s = time.perf_counter() - start_s
        _raise_first(results)
        return Moved(duration_s, len(items) * len(data), len(items))

    async def _get_many(self, client: Any, request: Request) -> Moved:
        paths = _paths(request)
        start_s = time.perf_counter()
        results = await client.get_many(paths)
        duration_s = time.perf_counter() - start_s
        _raise_first(results)
        if sum(map(len, results)) != len(paths) * request.size_bytes:
            raise RuntimeError("Files came back short.")
        return Moved(duration_s, len(paths) * request.size_bytes, len(paths))

    # --- Names -------------------------------------------------------------------------------------------------

    async def _create(self, client: Any, request: Request) -> Moved:
        await client.make_directory(_directory(request), parents=True)
        return Moved(
            await timed(_paths(request), request.callers, lambda path: client.put(path, b"")), 0, request.count
        )

    async def _stat(self, client: Any, request: Request) -> Moved:
        return Moved(await timed(_paths(request), request.callers, client.stat), 0, request.count)

    async def _list(self, client: Any, request: Request) -> Moved:
        start_s = time.perf_counter()
        count = 0
        async for entries in client.list_pages(_directory(request)):
            count += len(entries)
        duration_s = time.perf_counter() - start_s
        if count != request.count:
            raise RuntimeError(f"{count} entries were listed instead of {request.count}.")
        return Moved(duration_s, 0, count)

    async def _rename(self, client: Any, request: Request) -> Moved:
        duration_s = await timed(_paths(request), request.callers, lambda path: client.rename(path, f"{path}{RENAMED}"))
        return Moved(duration_s, 0, request.count)

    async def _remove(self, client: Any, request: Request) -> Moved:
        duration_s = await timed(_paths(request), request.callers, lambda path: client.remove(f"{path}{RENAMED}"))
        return Moved(duration_s, 0, request.count)


def _raise_first(results: Sequence[Any]) -> None:
    for result in results:
        if isinstance(result, dstore.DstoreError):
            raise result


def _large(request: Request) -> str:
    return f"/large-{request.tag}"


def _directory(request: Request) -> str:
    return f"/files-{request.tag}"


def _paths(request: Request) -> list[str]:
    directory = _directory(request)
    return [f"{directory}/{index:06}" for index in range(request.count)]


@asynccontextmanager
async def open_client(endpoint: str, key_file: str, variants: dict[str, dict[str, str]]) -> AsyncIterator[DstoreClient]:
    """Give a client of a running cluster."""
    async with AsyncExitStack() as stack:
        yield DstoreClient(endpoint, key_file, variants, stack)
