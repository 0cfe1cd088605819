"""``dstore restore`` and ``dstore trash``: what they do and what they say."""

from dstore.cli.exit_codes import ExitCode
from dstore.cli.file_text import removed_line
from dstore.cli.output import Output, to_json
from dstore.cli.quantities import count
from dstore.cli.session import run_with_client
from dstore.cli.target import Target
from dstore.client.client import AsyncClient
from dstore.core.removed import RestoreResult
from dstore.core.text import printable


def restore(target: Target, path: str, *, to: str | None, version: int | None) -> int:
    """Bring back a file, or a directory with all that was removed with it."""

    async def work(client: AsyncClient) -> RestoreResult:
        return await client.restore(path, to=to, version=version)

    result = run_with_client(target, work)
    fields = to_json(result.info)
    assert isinstance(fields, dict), "a dataclass becomes an object"
    value = {**fields, "files": result.files, "directories": result.directories}
    what = [count(result.files, "file")] if result.files or not result.directories else []
    if result.directories:
        what.append(count(result.directories, "directory"))
    Output(as_json=target.as_json).result(value, f"restored {printable(result.info.path)}  ({', '.join(what)})")
    return ExitCode.OK


def list_removed(target: Target, path: str) -> int:
    """List what can be restored, one JSON object per entry."""
    output = Output(as_json=target.as_json)

    async def work(client: AsyncClient) -> None:
        async for entry in client.list_removed(path):
            output.result(entry, removed_line(entry))

    run_with_client(target, work)
    return ExitCode.OK
