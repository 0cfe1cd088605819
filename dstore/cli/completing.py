"""``dstore completion``: what it does. Somebody waits for each key, so nothing is loaded that is not needed."""

import os
from collections.abc import Iterator
from pathlib import Path

from dstore.cli.completion_scripts import SCRIPTS
from dstore.cli.exit_codes import ExitCode
from dstore.cli.output import Output
from dstore.cli.places import PREFIX
from dstore.cli.shell_words import as_typed, split_line
from dstore.cli.suggestions import Kind, Suggestions, suggest
from dstore.cli.target import Target

#: More than anybody looks through; a directory may have millions.
_PATHS_MAX = 1_000
#: Whoever presses a key does not wait for a cluster that is away.
_PATIENCE_S = 1.0


def script(target: Target, shell: str) -> int:
    """Print the script for a shell."""
    Output(as_json=target.as_json).result({"shell": shell, "script": SCRIPTS[shell]}, SCRIPTS[shell].rstrip())
    return ExitCode.OK


def words(target: Target, text: str, breaks: str) -> int:
    """Print the candidates for the word at the end of a line."""
    # The grammar knows this command too.
    from dstore.cli.command_tree import command_tree

    line = split_line(text, breaks)
    if len(line.words) < 2:
        return ExitCode.OK
    found = suggest(command_tree(), line.words[1:])
    start = line.words[-1].removesuffix(found.typed)
    candidates = []
    for word, is_whole in (*((word, True) for word in found.words), *_names(found)):
        kept = len(start) + (len(PREFIX) if found.is_place and word.startswith(PREFIX) else 0)
        # What was typed of a home is the user's own: the shell has to see it as it is.
        kept += 1 if word.startswith("~") and found.typed.startswith("~") else 0
        typed = as_typed(start + word, line, kept=kept)
        if typed is not None:
            candidates.append(f"{typed} " if is_whole and not line.quote else typed)
    output = Output(as_json=target.as_json)
    output.json({"words": candidates})
    if candidates:
        output.text("\n".join(candidates))
    return ExitCode.OK


def _names(found: Suggestions) -> Iterator[tuple[str, bool]]:
    """Yield names that fit, each with whether it is whole: a directory is not."""
    if Kind.PROFILE in found.kinds:
        yield from ((name, True) for name in _profiles() if name.startswith(found.typed))
    if Kind.NODE in found.kinds:
        yield from ((name, True) for name in _nodes(found.options) if name.startswith(found.typed))
    if Kind.SERVER in found.kinds:
        yield from ((name, True) for name in _servers(found.options) if name.startswith(found.typed))
    if Kind.LOCAL in found.kinds:
        yield from _local_names(found.typed)
    if Kind.REMOTE not in found.kinds:
        return
    if not found.is_place:
        yield from _remote_names(found.typed, found.options)
    elif found.typed.startswith(PREFIX):
        for path, is_whole in _remote_names(found.typed.removeprefix(PREFIX), found.options):
            yield PREFIX + path, is_whole
    elif PREFIX.startswith(found.typed):
        yield f"{PREFIX}/", False


def _profiles() -> list[str]:
    from dstore.client.profile import profile_names

    return profile_names(os.environ)


def _nodes(options: dict[str, str]) -> list[str]:
    from dstore.cli import cluster_file
    from dstore.cli.local_directory import find_directory, profile_name

    given = options.get("directory")
    profile = profile_name(os.environ, options.get("profile"))
    cluster = cluster_file.read(find_directory(os.environ, Path(given) if given else None, profile))
    return [] if cluster is None else [process.name for process in cluster.processes]


def _servers(options: dict[str, str]) -> list[str]:
    import asyncio

    import dstore

    async def look() -> list[str]:
        async with dstore.connect_async(
            options.get("endpoint"), profile=options.get("profile"), patience_s=_PATIENCE_S
        ) as client:
            return [server.name for server in (await client.status()).servers]

    return asyncio.run(look())


def _local_names(typed: str) -> Iterator[tuple[str, bool]]:
    directory, slash, begun = typed.rpartition("/")
    try:
        with os.scandir(os.path.expanduser(directory + slash) or ".") as entries:
            found = sorted((each.name, each.is_dir()) for each in entries if each.name.startswith(begun))
    except OSError:
        return
    for name, is_directory in found:
        if begun.startswith(".") or not name.startswith("."):
            yield f"{directory}{slash}{name}{'/' if is_directory else ''}", not is_directory


def _remote_names(typed: str, options: dict[str, str]) -> list[tuple[str, bool]]:
    if typed and not typed.startswith("/"):
        return []
    import asyncio

    import dstore

    directory, _, begun = typed.rpartition("/")

    async def look() -> list[tuple[str, bool]]:
        names: list[tuple[str, bool]] = []
        async with dstore.connect_async(
            options.get("endpoint"), profile=options.get("profile"), patience_s=_PATIENCE_S
        ) as client:
            async for info in client.list(directory or "/"):
                if info.name.startswith(begun):
                    names.append((info.path + ("/" if info.is_directory else ""), not info.is_directory))
                if len(names) == _PATHS_MAX:
                    break
        return names

    return asyncio.run(look())
