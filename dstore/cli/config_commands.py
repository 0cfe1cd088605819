"""The commands that explain a set-up: their arguments. The work is imported when a command runs."""

import argparse

from dstore.cli.arguments import (
    Parser,
    add_cluster_options,
    add_command,
    add_group,
    add_key_option,
    target_of,
)


def add_config_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add doctor and config show."""
    parser = add_command(
        commands,
        "doctor",
        _doctor,
        "look for what is wrong between this machine and a cluster",
        "Versions, clocks, round trips, disks, limits and the key, each with what to do. Exits with 1 after an error.",
    )
    add_cluster_options(parser)
    add_key_option(parser)

    group = add_group(commands, "config", "the settings in force, and where they come from")
    parser = add_command(
        group,
        "show",
        _show,
        "show the settings that a command with the same options would use",
        "Never a passphrase. With --json: one object per setting.",
    )
    parser.add_argument("--origin", action="store_true", help="also where each comes from")
    add_cluster_options(parser)
    add_key_option(parser)


def _doctor(given: argparse.Namespace) -> int:
    from dstore.cli import doctor

    return doctor.doctor(target_of(given))


def _show(given: argparse.Namespace) -> int:
    from dstore.cli import settings

    return settings.show(target_of(given), with_origin=given.origin)
