"""The commands on the health of what is stored: check it, let the collection go on, leave safe mode."""

import argparse

from dstore.cli.arguments import Parser, add_cluster_options, add_command, add_group, target_of


def add_upkeep_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add fsck, collection and safe-mode."""
    parser = add_command(
        commands,
        "fsck",
        _fsck,
        "check a whole cluster: names against chunks against copies",
        "One finding a line, then a summary; needs no key. Exits with 0 when everything was looked at and nothing is "
        "wrong, else with 1.",
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="have lost and damaged copies made again, and count counters anew; never deletes anything",
    )
    add_cluster_options(parser)

    group = add_group(commands, "collection", "the end of deleted chunks: how far it is, and going on after a stop")
    parser = add_command(
        group, "status", _collection_status, "show whether deleted chunks are being deleted, and why not"
    )
    add_cluster_options(parser)
    parser = add_command(
        group,
        "approve",
        _approve_collection,
        "let through what the collection stopped at",
        "It stops when a server would lose more than a quarter of its chunks within an hour. Look at what was removed "
        "first (`dstore trash`): afterwards it cannot be restored.",
    )
    add_cluster_options(parser)

    group = add_group(commands, "safe-mode", "the state of a master whose metadata is older than the disks")
    parser = add_command(group, "status", _safe_mode_status, "show whether the master deletes nothing, and why")
    add_cluster_options(parser)
    parser = add_command(
        group,
        "leave",
        _leave_safe_mode,
        "declare this metadata the one that counts, and let deletions go on",
        "What it says is deleted will be deleted. Chunks that it does not know stay on the disks, and `dstore fsck` "
        "lists them. If a newer copy of the metadata exists, restore that one instead.",
    )
    add_cluster_options(parser)


def _fsck(given: argparse.Namespace) -> int:
    from dstore.cli import upkeep_actions

    return upkeep_actions.fsck(target_of(given), repair=given.repair)


def _collection_status(given: argparse.Namespace) -> int:
    from dstore.cli import upkeep_actions

    return upkeep_actions.collection_status(target_of(given))


def _approve_collection(given: argparse.Namespace) -> int:
    from dstore.cli import upkeep_actions

    return upkeep_actions.approve_collection(target_of(given))


def _safe_mode_status(given: argparse.Namespace) -> int:
    from dstore.cli import upkeep_actions

    return upkeep_actions.safe_mode_status(target_of(given))


def _leave_safe_mode(given: argparse.Namespace) -> int:
    from dstore.cli import upkeep_actions

    return upkeep_actions.leave_safe_mode(target_of(given))
