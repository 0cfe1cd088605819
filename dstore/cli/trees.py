"""``dstore du`` and ``tree``: what they do and what they say."""

from dataclasses import dataclass

from dstore.cli.exit_codes import ExitCode
from dstore.cli.output import Output, to_json
from dstore.cli.quantities import count
from dstore.cli.session import run_with_client
from dstore.cli.target import Target
from dstore.client.client import AsyncClient
from dstore.core.errors import InvalidRequest, NotADirectory, NotFound
from dstore.core.files import FileInfo
from dstore.core.paths import normalize_path, split_path
from dstore.core.sizes import format_size
from dstore.core.text import printable


@dataclass(slots=True)
class Usage:
    """What is below a directory, at any depth; a file is counted as itself. ``directories`` leaves out ``path``."""

    path: str
    size_bytes: int = 0
    files: int = 0
    directories: int = 0

    def add(self, sizes_bytes: list[int], directories: int) -> None:
        """Count the content of one directory."""
        self.size_bytes += sum(sizes_bytes)
        self.files += len(sizes_bytes)
        self.directories += directories

    def text(self) -> str:
        """Return the line for people."""
        return f"{format_size(self.size_bytes):>10}  {count(self.files, 'file'):>12}  {printable(self.path)}"


def usage(target: Target, paths: list[str], *, depth: int | None) -> int:
    """Sum up sizes; one JSON object for each directory, after those in it."""
    _check_depth(depth)
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        for path in paths:
            for each in await _usage(client, normalize_path(path), depth):
                output.result(each, each.text())

    run_with_client(target, work)
    return ExitCode.OK


async def _usage(client: AsyncClient, top: str, depth: int | None) -> list[Usage]:
    """Return the sums of ``top`` and of what is up to ``depth`` levels below it, which is all that is kept."""
    top_level = len(split_path(top))
    sums = {top: Usage(top)}
    try:
        async for path, directories, files in client.walk(top):
            sizes_bytes = [info.size_bytes for info in files]
            for place in _from_top(path, top_level):
                if depth is None or len(split_path(place)) - top_level <= depth:
                    sums.setdefault(place, Usage(place)).add(sizes_bytes, len(directories))
    except NotADirectory:
        info = await client.stat(top)
        return [Usage(top, info.size_bytes, files=1)]
    return sorted(sums.values(), key=_children_first)


def _children_first(each: Usage) -> tuple[tuple[bool, str], ...]:
    # The end of a path sorts after every name, so a directory comes after what is in it.
    return (*((False, name) for name in split_path(each.path)), (True, ""))


def _from_top(path: str, top_level: int) -> list[str]:
    names = split_path(path)
    return ["/" + "/".join(names[:level]) for level in range(top_level, len(names) + 1)]


@dataclass(slots=True)
class _Counts:
    directories: int = 0
    files: int = 0


def tree(target: Target, path: str, *, directories_only: bool, depth: int | None) -> int:
    """Show a tree; one JSON object for each entry with its ``depth``, then a summary."""
    _check_depth(depth)
    output, counts = Output(as_json=target.as_json), _Counts()

    async def show(client: AsyncClient, directory: str, lead: str, level: int) -> None:
        entries = [info async for info in client.list(directory) if info.is_directory or not directories_only]
        for info in entries:
            counts.directories += info.is_directory
            counts.files += not info.is_directory
            is_last = info is entries[-1]
            output.result(_with_depth(info, level), f"{lead}{'└── ' if is_last else '├── '}{printable(info.name)}")
            if info.is_directory and (depth is None or level < depth):
                try:
                    await show(client, info.path, lead + ("    " if is_last else "│   "), level + 1)
                except (NotFound, NotADirectory):
                    # It went, or became a file, since it was listed.
                    continue

    async def work(client: AsyncClient) -> None:
        top = normalize_path(path)
        if not (await client.stat(top)).is_directory:
            raise NotADirectory(f"{path} is a file, and a tree begins at a directory; `dstore stat` shows files.")
        output.text(printable(top))
        if depth != 0:
            await show(client, top, "", 1)

    run_with_client(target, work)
    files = "" if directories_only else f", {count(counts.files, 'file')}"
    output.result({"summary": counts}, f"\n{count(counts.directories, 'directory')}{files}")
    return ExitCode.OK


def _with_depth(info: FileInfo, level: int) -> dict[str, object]:
    fields = to_json(info)
    assert isinstance(fields, dict), "a dataclass becomes an object"
    return {**fields, "depth": level}


def _check_depth(depth: int | None) -> None:
    if depth is not None and depth < 0:
        raise InvalidRequest(f"A depth is 0 or more, not {depth}; 0 is the directory itself.", reason="DEPTH_INVALID")
