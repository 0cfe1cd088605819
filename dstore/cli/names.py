"""``dstore ls``, ``stat``, ``mv``, ``rm`` and ``mkdir``: what they do and what they say."""

from dstore.cli.exit_codes import ExitCode
from dstore.cli.file_text import describe_lines, entry_line, info_lines
from dstore.cli.output import Output, to_json
from dstore.cli.quantities import count
from dstore.cli.session import run_with_client
from dstore.cli.target import Target
from dstore.client.client import AsyncClient
from dstore.core.errors import NotADirectory, NotFound
from dstore.core.files import FileInfo
from dstore.core.text import printable


def list_directory(target: Target, path: str, *, long: bool) -> int:
    """List a directory, one JSON object per entry; a file is listed as itself."""
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        try:
            async for entry in client.list(path):
                output.result(entry, entry_line(entry, entry.name, long=long))
        except NotADirectory:
            entry = await client.stat(path)
            output.result(entry, entry_line(entry, entry.path, long=long))

    run_with_client(target, work)
    return ExitCode.OK


def stat(target: Target, path: str) -> int:
    """Show what is known of a path; for a file also where its chunks are."""
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        info = await client.stat(path)
        if info.is_directory:
            output.result(info, "\n".join(info_lines(info)))
            return
        description = await client.describe(path)
        fields = to_json(description.info)
        assert isinstance(fields, dict), "a dataclass becomes an object"
        value = {
            **fields,
            "policy": description.policy,
            "key_ids": description.key_ids,
            "chunks": description.chunks,
        }
        output.result(value, "\n".join(describe_lines(description)))

    run_with_client(target, work)
    return ExitCode.OK


def move(target: Target, source: str, new: str) -> int:
    """Rename; into a directory when there is one of that name, as ``mv`` does."""

    async def work(client: AsyncClient) -> FileInfo:
        destination = new
        if await _is_directory(client, new):
            destination = f"{new.rstrip('/')}/{source.rstrip('/').rsplit('/', 1)[-1]}"
        return await client.rename(source, destination)

    info = run_with_client(target, work)
    Output(as_json=target.as_json).result(info, f"{printable(source)} → {printable(info.path)}")
    return ExitCode.OK


async def _is_directory(client: AsyncClient, path: str) -> bool:
    try:
        return (await client.stat(path)).is_directory
    except NotFound:
        return False


def remove(target: Target, paths: list[str], *, recursive: bool) -> int:
    """Remove paths one after the other, one JSON object for each; the first error ends it."""
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        for path in paths:
            result = await client.remove(path, recursive=recursive)
            what = [count(result.files, "file")] if result.files or not result.directories else []
            if result.directories:
                what.append(count(result.directories, "directory"))
            value = {"path": path, "files": result.files, "directories": result.directories}
            output.result(value, f"removed {printable(path)}  ({', '.join(what)})")

    run_with_client(target, work)
    return ExitCode.OK


def make_directory(target: Target, paths: list[str], *, parents: bool) -> int:
    """Make directories, one JSON object for each; silent otherwise, as ``mkdir`` is."""
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        for path in paths:
            output.json(await client.make_directory(path, parents=parents, exist_ok=parents))

    run_with_client(target, work)
    return ExitCode.OK
