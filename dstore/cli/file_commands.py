"""The commands on files: their arguments. What does the work is imported when a command runs."""

import argparse

from dstore.cli.arguments import Parser, Run, add_cluster_options, add_command, add_key_option, target_of


def add_file_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add put, get, cat, ls, stat, mv, rm and mkdir."""

    def add(name: str, run: Run, summary: str, description: str = "") -> Parser:
        parser = add_command(commands, name, run, summary, description)
        add_cluster_options(parser)
        add_key_option(parser)
        return parser

    parser = add(
        "put",
        _put,
        "store local files",
        "They are split, encrypted here, and replicated; a file that is there already is replaced at the end.",
    )
    parser.add_argument("sources", nargs="+", metavar="LOCAL", help="a local file; '-' is standard input")
    parser.add_argument("target", metavar="PATH", help="the file, or the directory to put them into")

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

    parser = add("ls", _list, "list a directory, or one file", "With --json: one object per line.")
    parser.add_argument("path", nargs="?", default="/", metavar="PATH", help="in the cluster; / unless given")
    parser.add_argument("-l", "--long", action="store_true", help="with kind, size, chunks and time")

    parser = add("stat", _stat, "show what is known of a file", "Also on which chunkservers its chunks are.")
    parser.add_argument("path", metavar="PATH", help="in the cluster")

    parser = add("mv", _move, "rename a file or directory", "One step; a file that has the name is replaced.")
    parser.add_argument("source", metavar="PATH", help="in the cluster")
    parser.add_argument("target", metavar="TARGET", help="the new path, or the directory to move it into")

    parser = add("rm", _remove, "remove files and empty directories")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="in the cluster")
    parser.add_argument("-r", "--recursive", action="store_true", help="remove directories with what is in them")

    parser = add("mkdir", _make_directory, "make directories")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="in the cluster")
    parser.add_argument("-p", "--parents", action="store_true", help="make parents too; one that exists is fine")


def _put(given: argparse.Namespace) -> int:
    from dstore.cli import transfers

    return transfers.put(target_of(given), given.sources, given.target)


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


def _make_directory(given: argparse.Namespace) -> int:
    from dstore.cli import names

    return names.make_directory(target_of(given), given.paths, parents=given.parents)
