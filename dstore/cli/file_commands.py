"""The commands on files: their arguments. What does the work is imported when a command runs."""

import argparse

from dstore.cli.arguments import Add, Parser, client_command, target_of
from dstore.core.chunks import Durability


def add_file_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add put, get, cat, ls, stat, mv, rm, restore, trash and mkdir."""
    add = client_command(commands)
    _add_transfers(add)
    _add_names(add)
    _add_trash(add)


def _add_transfers(add: Add) -> None:
    parser = add(
        "put",
        _put,
        "store local files",
        "They are split, encrypted here, and replicated; a file that is there already is replaced at the end.",
    )
    parser.add_argument("sources", nargs="+", metavar="LOCAL", help="a local file; '-' is standard input")
    parser.add_argument("target", metavar="PATH", help="the file, or the directory to put them into")
    parser.add_argument(
        "--durability",
        choices=[each.value for each in Durability],
        help="when a write counts as done: synced on every replica (synced, unless the profile says otherwise), or in "
        "the memory of all of them and synced within a second or so (replicated)",
    )

    parser = add(
        "get",
        _get,
        "fetch a file",
        "Every byte is verified, and LOCAL is replaced only when all of them are there.",
    )
    parser.add_argument("source", metavar="PATH", help="in the cluster")
    parser.add_argument(
        "target", nargs="?", default=".", metavar="LOCAL", help="a file or a directory (.); '-' is standard output"
    )

    parser = add(
        "cat",
        _cat,
        "write files to standard output",
        "Data goes to stdout, so with --json what was written is told on stderr.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="in the cluster")


def _add_names(add: Add) -> None:
    parser = add("ls", _list, "list a directory, or one file", "With --json: one object per line.")
    parser.add_argument("path", nargs="?", default="/", metavar="PATH", help="in the cluster; / unless given")
    parser.add_argument("-l", "--long", action="store_true", help="with kind, size, chunks and time")

    parser = add("stat", _stat, "show what is known of a file", "Also on which chunkservers its chunks are.")
    parser.add_argument("path", metavar="PATH", help="in the cluster")

    parser = add("mv", _move, "rename a file or directory", "One step; a file that has the name is replaced.")
    parser.add_argument("source", metavar="PATH", help="in the cluster")
    parser.add_argument("target", metavar="TARGET", help="the new path, or the directory to move it into")

    parser = add(
        "rm",
        _remove,
        "remove files and empty directories",
        "They can be restored for the time that the cluster keeps what was removed; see `dstore trash`.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="in the cluster")
    parser.add_argument("-r", "--recursive", action="store_true", help="remove directories with what is in them")

    parser = add("mkdir", _make_directory, "make directories")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="in the cluster")
    parser.add_argument("-p", "--parents", action="store_true", help="make parents too; one that exists is fine")


def _add_trash(add: Add) -> None:
    parser = add(
        "restore",
        _restore,
        "bring back what was removed or replaced",
        "A directory comes back with all that was removed with it. What stops half-way, the same command finishes.",
    )
    parser.add_argument("path", metavar="PATH", help="where it was")
    parser.add_argument("--to", metavar="TARGET", help="where it is to be, if not where it was; nothing may be there")
    parser.add_argument("--version", type=int, metavar="N", help="of all that were there, as `dstore trash` shows it")

    parser = add(
        "trash",
        _trash,
        "list what can be restored, the last removed at the end",
        "With --json: one object per line. What was removed in one step is one line.",
    )
    parser.add_argument(
        "path", nargs="?", default="/", metavar="PATH", help="a directory or a file, that is or was; / unless given"
    )


def _put(given: argparse.Namespace) -> int:
    from dstore.cli import transfers

    return transfers.put(target_of(given), given.sources, given.target, durability=given.durability)


def _get(given: argparse.Namespace) -> int:
    from dstore.cli import transfers

    return transfers.get(target_of(given), given.source, given.target)


def _cat(given: argparse.Namespace) -> int:
    from dstore.cli import transfers

    return transfers.cat(target_of(given), given.paths)


def _list(given: argparse.Namespace) -> int:
    from dstore.cli import names

    return names.list_directory(target_of(given), given.path, long=given.long)


def _stat(given: argparse.Namespace) -> int:
    from dstore.cli import names

    return names.stat(target_of(given), given.path)


def _move(given: argparse.Namespace) -> int:
    from dstore.cli import names

    return names.move(target_of(given), given.source, given.target)


def _remove(given: argparse.Namespace) -> int:
    from dstore.cli import names

    return names.remove(target_of(given), given.paths, recursive=given.recursive)


def _restore(given: argparse.Namespace) -> int:
    from dstore.cli import trash

    return trash.restore(target_of(given), given.path, to=given.to, version=given.version)


def _trash(given: argparse.Namespace) -> int:
    from dstore.cli import trash

    return trash.list_removed(target_of(given), given.path)


def _make_directory(given: argparse.Namespace) -> int:
    from dstore.cli import names

    return names.make_directory(target_of(given), given.paths, parents=given.parents)
