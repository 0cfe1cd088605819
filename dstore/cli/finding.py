"""``dstore find``: which entries of a tree fit."""

import fnmatch
import time
from dataclasses import dataclass

from dstore.cli.exit_codes import ExitCode
from dstore.cli.file_text import entry_line
from dstore.cli.output import Output
from dstore.cli.quantities import parse_moment
from dstore.cli.session import run_with_client
from dstore.cli.target import Target
from dstore.client.client import AsyncClient
from dstore.core.errors import NotADirectory
from dstore.core.files import FileInfo, FileKind
from dstore.core.paths import normalize_path
from dstore.core.sizes import parse_size


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an entry must be; None where anything will do. Sizes are of files only, and exclusive, as times are."""

    name: str | None = None
    kind: FileKind | None = None
    larger_than_bytes: int | None = None
    smaller_than_bytes: int | None = None
    newer_than_ns: int | None = None
    older_than_ns: int | None = None

    def fit(self, info: FileInfo) -> bool:
        """Return whether an entry fits all of them."""
        wants_size = self.larger_than_bytes is not None or self.smaller_than_bytes is not None
        return (
            (self.name is None or fnmatch.fnmatchcase(info.name, self.name))
            and (self.kind is None or info.kind is self.kind)
            and not (wants_size and info.is_directory)
            and _is_above(info.size_bytes, self.larger_than_bytes)
            and (self.smaller_than_bytes is None or info.size_bytes < self.smaller_than_bytes)
            and _is_above(info.modified_ns, self.newer_than_ns)
            and (self.older_than_ns is None or info.modified_ns < self.older_than_ns)
        )


def _is_above(value: int, limit: int | None) -> bool:
    return limit is None or value > limit


def conditions(
    *,
    name: str | None,
    kind: str | None,
    larger: str | None,
    smaller: str | None,
    newer: str | None,
    older: str | None,
) -> Conditions:
    """Read the conditions as they are written on the command line.

    Raises:
        InvalidRequest: reason ``SIZE_INVALID`` or ``TIME_INVALID``.
    """
    now_ns = time.time_ns()
    return Conditions(
        name=name,
        kind=None if kind is None else FileKind(kind),
        larger_than_bytes=None if larger is None else parse_size(larger),
        smaller_than_bytes=None if smaller is None else parse_size(smaller),
        newer_than_ns=None if newer is None else parse_moment(newer, now_ns),
        older_than_ns=None if older is None else parse_moment(older, now_ns),
    )


def find(target: Target, path: str, wanted: Conditions, *, long: bool) -> int:
    """List what fits below ``path``, and ``path`` itself, one JSON object per entry."""
    output = Output(as_json=target.as_json)

    def show(info: FileInfo) -> None:
        if wanted.fit(info):
            output.result(info, entry_line(info, info.path, long=long))

    async def work(client: AsyncClient) -> None:
        top = normalize_path(path)
        show(await client.stat(top))
        try:
            async for _, directories, files in client.walk(top):
                for info in sorted((*directories, *files), key=lambda each: each.path):
                    show(info)
        except NotADirectory:
            return

    run_with_client(target, work)
    return ExitCode.OK
