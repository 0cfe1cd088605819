"""The commands by which operators steer servers and upkeep: their arguments."""

import argparse

from dstore.cli.arguments import (
    Parser,
    Run,
    add_cluster_options,
    add_command,
    add_directory_option,
    target_of,
)


def add_duty_commands(group: "argparse._SubParsersAction[Parser]") -> None:
    """Add drain, maintenance, activate and remove to the commands of ``node``."""
    parser = _add_node_command(
        group,
        "drain",
        _drain,
        "have others take over all that a chunkserver holds",
        "It gets no new chunks, and leaves each placement group when another server is whole in its place. Refused "
        "when the others have no room, or when it has the only good copy of something.",
    )
    _add_dry_run(parser)
    parser.add_argument("--wait", action="store_true", help="return when it is a member of no placement group any more")

    parser = _add_node_command(
        group,
        "maintenance",
        _maintenance,
        "let a chunkserver be away for a while without being replaced",
        "It gets no new chunks meanwhile, and is active again when the time is over. Refused when files could not be "
        "read without it.",
    )
    parser.add_argument("--for", dest="duration", default="1h", metavar="DURATION", help="how long, 7d at most (1h)")
    _add_dry_run(parser)

    _add_node_command(
        group, "activate", _activate, "end a drain or a maintenance", "The chunkserver takes part in everything again."
    )

    parser = _add_node_command(
        group,
        "remove",
        _remove,
        "forget a chunkserver that keeps nothing any more",
        "Its disk cannot join again, and its process ends. If it runs on this machine, `dstore up` starts it no more. "
        "Its directory stays, and can be deleted.",
    )
    add_directory_option(parser)


def add_balance_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add balance and scrub."""
    parser = add_command(
        commands,
        "balance",
        _balance,
        "show how evenly disks are filled and what is to be moved; pause or resume it",
        "Copies move by themselves when nothing has to be repaired, and a disk is much fuller or emptier than others, "
        "or has too small a share. Exits with 1 when disks have to stay uneven.",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--dry-run", action="store_true", help="change nothing, and list the moves that are planned")
    choice.add_argument("--pause", action="store_true", help="begin no more moves")
    choice.add_argument("--resume", action="store_true", help="go on")
    add_cluster_options(parser)

    parser = add_command(
        commands,
        "scrub",
        _scrub,
        "show how far chunkservers are with checking what they hold; pause or resume it",
        "Every chunk is read and checked once in a period, and a copy that is damaged is made again from a good one.",
    )
    parser.add_argument(
        "action", nargs="?", default="status", choices=("status", "pause", "resume"), help="what to do (status)"
    )
    add_cluster_options(parser)


def _add_node_command(
    group: "argparse._SubParsersAction[Parser]", name: str, run: Run, summary: str, description: str
) -> Parser:
    parser = add_command(group, name, run, summary, description)
    parser.add_argument("name", metavar="SERVER", help="name of the chunkserver, as `dstore node list` shows it")
    add_cluster_options(parser)
    return parser


def _add_dry_run(parser: Parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only show what it would come to, or why not")


def _drain(given: argparse.Namespace) -> int:
    from dstore.cli import operator_actions

    return operator_actions.drain(target_of(given), given.name, is_dry_run=given.dry_run, wait=given.wait)


def _maintenance(given: argparse.Namespace) -> int:
    from dstore.cli import operator_actions

    return operator_actions.maintain(target_of(given), given.name, duration=given.duration, is_dry_run=given.dry_run)


def _activate(given: argparse.Namespace) -> int:
    from dstore.cli import operator_actions

    return operator_actions.activate(target_of(given), given.name)


def _remove(given: argparse.Namespace) -> int:
    from dstore.cli import operator_actions

    return operator_actions.remove(target_of(given), given.directory, given.name)


def _balance(given: argparse.Namespace) -> int:
    from dstore.cli import operator_actions

    action = "pause" if given.pause else "resume" if given.resume else "look"
    return operator_actions.balance(target_of(given), action, list_moves=given.dry_run)


def _scrub(given: argparse.Namespace) -> int:
    from dstore.cli import operator_actions

    return operator_actions.scrub(target_of(given), "look" if given.action == "status" else given.action)
