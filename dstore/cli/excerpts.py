"""``dstore head`` and ``tail``: the ends of files, of which nothing else is fetched."""

import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from dstore.cli.exit_codes import ExitCode
from dstore.cli.file_ends import Read, first_lines, pieces, start_of_last_lines
from dstore.cli.output import to_json, to_json_line
from dstore.cli.quantities import parse_count
from dstore.cli.session import in_daemon_thread, run_with_client
from dstore.cli.target import Target
from dstore.cli.transfers import write_all
from dstore.client.client import AsyncClient
from dstore.client.files import AsyncReadFile
from dstore.core.sizes import parse_size
from dstore.core.text import printable

#: Returns the wanted bytes of a file, in pieces.
_Choose = Callable[[Read, int], AsyncIterator[bytes]]


def head(target: Target, paths: list[str], *, lines: str, size: str | None) -> int:
    """Write the first lines, or the first bytes, of each file to standard output."""
    if size is not None:
        return _show(target, paths, partial(_first_bytes, parse_size(size)))
    return _show(target, paths, partial(_first_lines, parse_count(lines, "The number of lines")))


def tail(target: Target, paths: list[str], *, lines: str, size: str | None) -> int:
    """Write the last lines, or the last bytes, of each file to standard output."""
    if size is not None:
        return _show(target, paths, partial(_last_bytes, parse_size(size)))
    return _show(target, paths, partial(_last_lines, parse_count(lines, "The number of lines")))


def _first_bytes(size_bytes: int, read: Read, file_size_bytes: int) -> AsyncIterator[bytes]:
    return pieces(read, 0, min(size_bytes, file_size_bytes))


def _first_lines(lines: int, read: Read, file_size_bytes: int) -> AsyncIterator[bytes]:
    return first_lines(read, file_size_bytes, lines)


def _last_bytes(size_bytes: int, read: Read, file_size_bytes: int) -> AsyncIterator[bytes]:
    return pieces(read, max(0, file_size_bytes - size_bytes), file_size_bytes)


async def _last_lines(lines: int, read: Read, file_size_bytes: int) -> AsyncIterator[bytes]:
    start = await start_of_last_lines(read, file_size_bytes, lines)
    async for data in pieces(read, start, file_size_bytes):
        yield data


def _show(target: Target, paths: list[str], choose: _Choose) -> int:
    async def work(client: AsyncClient) -> None:
        for index, path in enumerate(paths):
            started_s, length_bytes = time.monotonic(), 0
            async with await client.open_read(path) as file:
                if len(paths) > 1 and not target.as_json:
                    gap = "\n" if index else ""
                    print(f"{gap}==> {printable(path)} <==", flush=True)
                async for data in choose(partial(_read, file), file.info.size_bytes):
                    await in_daemon_thread(partial(write_all, sys.stdout.fileno(), data))
                    length_bytes += len(data)
            if target.as_json:
                fields = to_json(file.info)
                assert isinstance(fields, dict), "a dataclass becomes an object"
                value = {**fields, "length_bytes": length_bytes, "duration_s": time.monotonic() - started_s}
                print(to_json_line(value), file=sys.stderr, flush=True)

    run_with_client(target, work)
    return ExitCode.OK


async def _read(file: AsyncReadFile, offset: int, length: int) -> bytes:
    # Not `read`, which fetches ahead of what it returns.
    (data,) = await file.read_ranges([(offset, length)])
    return data
