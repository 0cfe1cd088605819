"""The commands that look through trees and into files: their arguments. The work is imported when a command runs."""

import argparse

from dstore.cli.arguments import Add, Parser, client_command, target_of


def add_tree_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add du, tree, find, head and tail."""
    add = client_command(commands)
    _add_du_and_tree(add)
    _add_find(add)
    for name, run, summary, which in (
        ("head", _head, "write the first lines of files to standard output", "first"),
        ("tail", _tail, "write the last lines of files to standard output", "last"),
    ):
        parser = add(
            name,
            run,
            summary,
            "Only that part of a file is fetched. With --json what was written is told on stderr.",
        )
        parser.add_argument("paths", nargs="+", metavar="PATH", help="in the cluster")
        amount = parser.add_mutually_exclusive_group()
        amount.add_argument("-n", "--lines", metavar="N", default="10", help=f"the {which} N lines; 10 unless given")
        amount.add_argument(
            "-c", "--bytes", dest="size", metavar="SIZE", help=f"the {which} SIZE bytes, as 512, 64KiB or 1MiB"
        )


def _add_du_and_tree(add: Add) -> None:
    parser = add(
        "du",
        _du,
        "sum up sizes by directory",
        "Of the files as they are read, not of their copies on chunkservers. With --json: one object per line.",
    )
    parser.add_argument("paths", nargs="*", default=["/"], metavar="PATH", help="in the cluster; / unless given")
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("-d", "--depth", type=int, metavar="N", help="show directories up to N levels below PATH only")
    depth.add_argument("-s", "--summarize", action="store_true", help="show the sum of each PATH only, as --depth 0")

    parser = add(
        "tree",
        _tree,
        "show a directory and all below it as a tree",
        "With --json: one object per line, then a summary.",
    )
    parser.add_argument("path", nargs="?", default="/", metavar="PATH", help="in the cluster; / unless given")
    parser.add_argument("-d", "--directories", action="store_true", help="leave out files")
    parser.add_argument("-L", "--depth", type=int, metavar="N", help="look N levels deep only")


def _add_find(add: Add) -> None:
    parser = add(
        "find",
        _find,
        "list what is below a directory and fits all conditions",
        "With --json: one object per line, as ls.",
    )
    parser.add_argument("path", nargs="?", default="/", metavar="PATH", help="in the cluster; / unless given")
    parser.add_argument("--name", metavar="GLOB", help="the last name fits this, as '*.txt' or 'part-[0-9]?'")
    parser.add_argument("--type", dest="kind", choices=["file", "directory"], help="it is a file, or a directory")
    parser.add_argument("--larger", metavar="SIZE", help="it is a file with more bytes, as 0, 64KiB or 1GiB")
    parser.add_argument("--smaller", metavar="SIZE", help="it is a file with fewer bytes")
    parser.add_argument("--newer", metavar="TIME", help="changed after that: 2h ago, or 2026-11-23T07:00:00Z")
    parser.add_argument("--older", metavar="TIME", help="changed before that")
    parser.add_argument("-l", "--long", action="store_true", help="with kind, size, chunks and time")


def _du(given: argparse.Namespace) -> int:
    from dstore.cli import trees

    return trees.usage(target_of(given), given.paths, depth=0 if given.summarize else given.depth)


def _tree(given: argparse.Namespace) -> int:
    from dstore.cli import trees

    return trees.tree(target_of(given), given.path, directories_only=given.directories, depth=given.depth)


def _find(given: argparse.Namespace) -> int:
    from dstore.cli import finding

    wanted = finding.conditions(
        name=given.name,
        kind=given.kind,
        larger=given.larger,
        smaller=given.smaller,
        newer=given.newer,
        older=given.older,
    )
    return finding.find(target_of(given), given.path, wanted, long=given.long)


def _head(given: argparse.Namespace) -> int:
    from dstore.cli import excerpts

    return excerpts.head(target_of(given), given.paths, lines=given.lines, size=given.size)


def _tail(given: argparse.Namespace) -> int:
    from dstore.cli import excerpts

    return excerpts.tail(target_of(given), given.paths, lines=given.lines, size=given.size)
