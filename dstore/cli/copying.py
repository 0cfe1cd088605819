"""``dstore cp``: files and trees, into, out of and within the cluster."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from dstore.cli.exit_codes import ExitCode
from dstore.cli.output import Output
from dstore.cli.place_copying import check_jobs, copy_file, in_parallel
from dstore.cli.places import Place, parse_place
from dstore.cli.quantities import format_duration
from dstore.cli.remote_globs import expand
from dstore.cli.session import run_with_client
from dstore.cli.target import Target
from dstore.cli.tree_listing import EntryKind, list_tree
from dstore.client.client import AsyncClient
from dstore.client.local_files import run_blocking
from dstore.core.errors import InvalidRequest, IsADirectory, NotADirectory, NotFound
from dstore.core.sizes import format_size
from dstore.core.text import printable


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that was copied, as ``--json`` shows it."""

    source: str
    target: str
    size_bytes: int
    duration_s: float

    def text(self) -> str:
        """Return the line for people."""
        size, duration = format_size(self.size_bytes), format_duration(self.duration_s)
        return f"{printable(self.source)} → {printable(self.target)}  {size}  {duration}"


def copy(target: Target, sources: list[str], destination: str, *, recursive: bool, jobs: int) -> int:
    """Copy files; one JSON object for each. The first error ends it."""
    places, end = [parse_place(source) for source in sources], parse_place(destination)
    if not end.is_remote and not all(place.is_remote for place in places):
        raise InvalidRequest(
            "Neither of the two is in the cluster; write dstore:/PATH for what is, or use cp.", reason="PLACE_INVALID"
        )
    check_jobs(jobs)
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        async def copy_one(pair: tuple[Place, Place]) -> None:
            started_s = time.monotonic()
            size_bytes = await copy_file(client, *pair)
            copied = Copied(str(pair[0]), str(pair[1]), size_bytes, time.monotonic() - started_s)
            output.result(copied, copied.text())

        found = [place for source in places for place in await _expanded(client, source)]
        into_directory = len(found) > 1 or end.names_directory
        is_there = await _is_directory(client, end)
        if into_directory and not is_there:
            raise NotADirectory(
                f"{str(end)!r} is no directory, and several files, or a name with a slash at the end, need one; "
                "make it first.",
                reason="NOT_A_DIRECTORY",
            )
        pairs: list[tuple[Place, Place]] = []
        for source in found:
            place = end.inside(_name(source, end)) if is_there else end
            pairs += await _files_of(client, source, place, recursive=recursive)
        await in_parallel(jobs, copy_one, pairs)

    run_with_client(target, work)
    return ExitCode.OK


async def _expanded(client: AsyncClient, source: Place) -> list[Place]:
    if not source.is_remote:
        return [source]
    return [Place(path, is_remote=True) for path in await expand(client, source.path)]


async def _files_of(client: AsyncClient, source: Place, target: Place, *, recursive: bool) -> list[tuple[Place, Place]]:
    """Return each file with its target; make the directories that they need."""
    if not await _is_directory(client, source):
        return [(source, target)]
    if not recursive:
        raise IsADirectory(f"{str(source)!r} is a directory; `dstore cp -r` copies it with all that is in it.")
    if source.is_remote and target.is_remote and f"{target.path}/".startswith(f"{source.path.removesuffix('/')}/"):
        raise InvalidRequest(
            f"{str(target)!r} is within {str(source)!r}, which cannot be copied into itself; choose another place.",
            reason="INTO_ITSELF",
        )
    listing = await list_tree(client, source)
    for problem in listing.problems.values():
        raise problem
    pairs = []
    await _make_directory(client, target)
    for path, entry in listing.entries.items():
        if entry.kind is EntryKind.DIRECTORY:
            await _make_directory(client, target.inside(path))
        elif entry.kind is EntryKind.FILE:
            pairs.append((source.inside(path), target.inside(path)))
    return pairs


async def _make_directory(client: AsyncClient, place: Place) -> None:
    if place.is_remote:
        await client.make_directory(place.path, parents=True, exist_ok=True)
    else:
        await run_blocking(lambda: Path(place.path).mkdir(parents=True, exist_ok=True))


async def _is_directory(client: AsyncClient, place: Place) -> bool:
    if not place.is_remote:
        return await run_blocking(os.path.isdir, place.path)
    try:
        return (await client.stat(place.path)).is_directory
    except NotFound:
        return False


def _name(source: Place, target: Place) -> str:
    """Return the name that the source keeps in another directory."""
    name = os.path.basename(source.path.rstrip("/") if source.is_remote else os.path.abspath(source.path))
    if not name:
        raise InvalidRequest(
            f"{str(source)!r} has no name to keep in {str(target)!r}; write out the whole target.",
            reason="NAME_MISSING",
        )
    return name
