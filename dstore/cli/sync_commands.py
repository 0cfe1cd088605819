"""The commands that copy trees: their arguments. The work is imported when a command runs."""

import argparse

from dstore.cli.arguments import Parser, client_command, target_of

_PLACE = "on this machine, or dstore:/PATH in the cluster"


def add_sync_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add cp and sync."""
    add = client_command(commands)
    parser = add(
        "cp",
        _copy,
        "copy files and trees into, out of and within the cluster",
        "Files that are there already are replaced.",
    )
    parser.add_argument("sources", nargs="+", metavar="FROM", help=f"{_PLACE}, where *, ?, [...] and ** stand for many")
    parser.add_argument("target", metavar="TO", help="the new file, or the directory to copy into; as FROM")
    parser.add_argument("-r", "--recursive", action="store_true", help="copy directories with all that is in them")
    _add_jobs_option(parser)

    parser = add(
        "sync",
        _sync,
        "make a directory like another, here and in the cluster",
        "Copies what is missing, has another size, or is newer at the source; leaves alone what is only at the target.",
    )
    parser.add_argument("source", metavar="FROM", help=_PLACE)
    parser.add_argument("target", metavar="TO", help="the directory that is changed; as FROM")
    parser.add_argument(
        "--delete",
        action="store_true",
        help="delete at the target what the source does not have, last of all",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--checksum", action="store_true", help="compare contents by SHA-256, not times; reads both")
    parser.add_argument("--force", action="store_true", help="with --delete, also when the source has no files at all")
    _add_jobs_option(parser)


def _add_jobs_option(parser: Parser) -> None:
    parser.add_argument("-j", "--jobs", type=int, metavar="N", default=4, help="files at once; 4 unless given")


def _copy(given: argparse.Namespace) -> int:
    from dstore.cli import copying

    return copying.copy(target_of(given), given.sources, given.target, recursive=given.recursive, jobs=given.jobs)


def _sync(given: argparse.Namespace) -> int:
    from dstore.cli import syncing

    options = syncing.Options(
        delete=given.delete, dry_run=given.dry_run, checksum=given.checksum, force=given.force, jobs=given.jobs
    )
    return syncing.sync(target_of(given), given.source, given.target, options)
