"""``dstore put``, ``get`` and ``cat``: files in and out, with the manners of ``cp`` and ``cat``."""

import os
import stat
import sys
import time
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from dstore.cli.exit_codes import ExitCode
from dstore.cli.output import Output, to_json_line
from dstore.cli.quantities import count, format_duration
from dstore.cli.session import in_daemon_thread, run_with_client
from dstore.cli.target import Target
from dstore.cli.transfer_progress import Report, transfer_progress
from dstore.client.client import AsyncClient
from dstore.client.files import AsyncReadFile
from dstore.core.errors import InvalidRequest, IsADirectory
from dstore.core.files import FileInfo
from dstore.core.limits import MIB
from dstore.core.sizes import format_size
from dstore.core.text import printable

STANDARD_STREAM = "-"
#: Read from and written to standard streams at once.
STREAM_PIECE_SIZE_BYTES = 4 * MIB


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file that was moved, and how long that took. ``local`` is "-" for a standard stream."""

    info: FileInfo
    local: str
    duration_s: float

    def value(self) -> dict[str, object]:
        """Return what ``--json`` says: the fields of the file, with those of the transfer beside them."""
        info = {field.name: getattr(self.info, field.name) for field in fields(self.info)}
        return {**info, "local": self.local, "duration_s": self.duration_s}

    def text(self, path: str) -> str:
        """Return the line for people; ``path`` is where the bytes are now."""
        size_bytes, duration_s = self.info.size_bytes, self.duration_s
        rate = f"  {format_size(int(size_bytes / duration_s))}/s" if size_bytes >= MIB and duration_s > 0 else ""
        is_inline = size_bytes and not self.info.chunk_count
        place = "in its manifest" if is_inline else count(self.info.chunk_count, "chunk")
        return f"{printable(path)}  {format_size(size_bytes)}  {place}  {format_duration(duration_s)}{rate}"


def put(target: Target, sources: list[str], path: str, *, durability: str | None = None) -> int:
    """Store local files; one JSON object for each."""
    output = Output(as_json=target.as_json)
    into_directory = len(sources) > 1 or path.endswith("/")
    store = partial(_put_one, durability=durability)

    async def work(client: AsyncClient) -> None:
        for source in sources:
            started_s = time.monotonic()
            if into_directory:
                info = await store(client, source, _inside(path, source), output)
            else:
                try:
                    info = await store(client, source, path, output)
                except IsADirectory as error:
                    # The master refuses before anything is read, so the source is still whole.
                    if error.reason != IsADirectory.default_reason:
                        raise
                    info = await store(client, source, _inside(path, source), output)
            transfer = Transfer(info, source, time.monotonic() - started_s)
            output.result(transfer.value(), transfer.text(info.path))

    run_with_client(target, work)
    return ExitCode.OK


async def _put_one(client: AsyncClient, source: str, path: str, output: Output, *, durability: str | None) -> FileInfo:
    if source == STANDARD_STREAM:
        with transfer_progress(path, None, wanted=not output.as_json) as report:
            return await _put_standard_input(client, path, report, durability)
    # Looked at before the cluster is asked: a missing local file is the likelier mistake.
    status = os.stat(source)
    size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
    with transfer_progress(path, size_bytes, wanted=not output.as_json) as report:
        return await client.put_file(source, path, durability=durability, progress=report)


async def _put_standard_input(client: AsyncClient, path: str, report: Report, durability: str | None) -> FileInfo:
    descriptor = sys.stdin.fileno()
    async with await client.open_write(path, durability=durability) as file:
        while data := await in_daemon_thread(lambda: os.read(descriptor, STREAM_PIECE_SIZE_BYTES)):
            await file.write(data)
            report(file.tell())
    assert file.info is not None, "a file that was closed without an error is committed"
    return file.info


def get(target: Target, source: str, local: str) -> int:
    """Fetch one file to a local file, into a local directory, or to standard output."""
    output = Output(as_json=target.as_json)
    started_s = time.monotonic()
    if local == STANDARD_STREAM:
        return cat(target, [source])
    place = Path(local)
    if local.endswith("/") or place.is_dir():
        place = Path(_inside(local, source))

    async def work(client: AsyncClient) -> FileInfo:
        if place.exists() and not place.is_file():
            return await _get_into_device(client, source, place)
        size_bytes = (await client.stat(source)).size_bytes if sys.stderr.isatty() else None
        with transfer_progress(source, size_bytes, wanted=not output.as_json) as report:
            return await client.get_file(source, place, progress=report)

    transfer = Transfer(run_with_client(target, work), str(place), time.monotonic() - started_s)
    output.result(transfer.value(), transfer.text(str(place)))
    return ExitCode.OK


async def _get_into_device(client: AsyncClient, source: str, place: Path) -> FileInfo:
    """Write into a device or a pipe, which must not be replaced by a file."""
    async with await client.open_read(source) as file:
        descriptor = await in_daemon_thread(lambda: os.open(place, os.O_WRONLY | os.O_CLOEXEC))
        try:
            await _copy(file, descriptor)
        finally:
            os.close(descriptor)
        return file.info


def cat(target: Target, paths: list[str]) -> int:
    """Write files to standard output; nothing of a piece that did not verify."""
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        for path in paths:
            started_s = time.monotonic()
            async with await client.open_read(path) as file:
                with transfer_progress(path, file.info.size_bytes, wanted=_is_watched(output)) as report:
                    await _copy(file, sys.stdout.fileno(), report)
                transfer = Transfer(file.info, STANDARD_STREAM, time.monotonic() - started_s)
            if output.as_json:
                print(to_json_line(transfer.value()), file=sys.stderr, flush=True)

    run_with_client(target, work)
    return ExitCode.OK


def _is_watched(output: Output) -> bool:
    # A bar between the lines of a file that is shown on the same terminal would be noise.
    return not output.as_json and not sys.stdout.isatty()


async def _copy(file: AsyncReadFile, descriptor: int, report: Report | None = None) -> None:
    while data := await file.read(STREAM_PIECE_SIZE_BYTES):
        await in_daemon_thread(partial(write_all, descriptor, data))
        if report is not None:
            report(file.tell())


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, which may take several calls; blocks."""
    view = memoryview(data)
    while len(view):
        view = view[os.write(descriptor, view) :]


def _inside(directory: str, source: str) -> str:
    """Return the path of ``source`` in ``directory``, which keeps its last name.

    Raises:
        InvalidRequest: with reason NAME_MISSING when the source has none.
    """
    name = source.rstrip("/").rsplit("/", 1)[-1]
    if name in ("", ".", "..", STANDARD_STREAM):
        raise InvalidRequest(
            f"{source!r} has no name to keep in the directory {directory!r}; write out the whole target.",
            reason="NAME_MISSING",
            metadata={"source": source, "target": directory},
        )
    return f"{directory.rstrip('/')}/{name}"
