"""The command line's grammar, on argparse: what commands share, and usage errors as ``DstoreError``.

argparse, because parsing must not cost more than the work: it is there without an installation and starts in a
fraction of the time of libraries that derive the grammar from types.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from dstore.cli.target import Target
from dstore.core.errors import InvalidRequest

Run = Callable[[argparse.Namespace], int]
#: Adds a command: its name, what runs it, its summary, its description.
Add = Callable[..., "Parser"]


LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "json", "text")


class UsageError(InvalidRequest):
    """The command line cannot be read; ``usage`` is how it should look."""

    default_reason = "USAGE"
    usage: str = ""


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Report a command line that cannot be read.

        Raises:
            UsageError: always.
        """
        error = UsageError(f"{message}; `{self.prog} --help` shows the arguments")
        error.usage = self.format_usage().rstrip()
        raise error


def add_command(
    commands: "argparse._SubParsersAction[Parser]", name: str, run: Run, summary: str, description: str = ""
) -> Parser:
    """Add a command with ``--json``; ``run`` gets its arguments. The summary is its line in the list of commands."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {description}".strip(),
        allow_abbrev=False,
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="write JSON; errors too")
    parser.set_defaults(run=run)
    return parser


def add_group(
    commands: "argparse._SubParsersAction[Parser]", name: str, summary: str
) -> "argparse._SubParsersAction[Parser]":
    """Add a command that has commands of its own."""
    parser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False
    )
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)


def client_command(commands: "argparse._SubParsersAction[Parser]") -> Add:
    """Return the function that adds commands on files, with the options that choose cluster and key."""

    def add(name: str, run: Run, summary: str, description: str = "") -> Parser:
        parser = add_command(commands, name, run, summary, description)
        add_cluster_options(parser)
        add_key_option(parser)
        return parser

    return add


def add_cluster_options(parser: Parser) -> None:
    """Add the options that choose a cluster."""
    parser.add_argument("--endpoint", metavar="HOST:PORT", help="the master; else DSTORE_ENDPOINT, else the profile's")
    parser.add_argument("--request-id", metavar="ID", help="to find what it did by in the logs of all servers")
    add_profile_option(parser)


def add_profile_option(parser: Parser) -> None:
    """Add the option that chooses a profile."""
    parser.add_argument("--profile", metavar="NAME", help="else DSTORE_PROFILE, else the default profile")


def add_key_option(parser: Parser) -> None:
    """Add the option that chooses the key."""
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="the key; else DSTORE_KEY_FILE, else the profile's"
    )


def add_directory_option(parser: Parser) -> None:
    """Add the option that finds a cluster on this machine."""
    parser.add_argument(
        "--dir",
        dest="directory",
        type=Path,
        metavar="DIRECTORY",
        help="of the cluster on this machine; else where `dstore up` put it, else XDG_DATA_HOME/dstore",
    )


def add_log_options(parser: Parser) -> None:
    """Add the options that say what a server logs, and how."""
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="from which on; else DSTORE_LOG_LEVEL, else info")
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        help="else DSTORE_LOG_FORMAT, else auto: text on a terminal, JSON elsewhere",
    )


def target_of(given: argparse.Namespace) -> Target:
    """Return the cluster that the arguments name; a command without an option leaves that to the profile."""
    return Target(
        endpoint=getattr(given, "endpoint", None),
        profile=getattr(given, "profile", None),
        key_file=getattr(given, "key_file", None),
        as_json=given.as_json,
    )
