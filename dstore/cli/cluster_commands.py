"""The commands on clusters and keys: their arguments. What does the work is imported when a command runs."""

import argparse
from pathlib import Path

from dstore.cli.arguments import (
    Parser,
    add_cluster_options,
    add_command,
    add_directory_option,
    add_group,
    add_key_option,
    add_profile_option,
    target_of,
)
from dstore.cli.operator_commands import add_duty_commands


def add_cluster_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add up, down, status and top."""
    parser = add_command(
        commands,
        "up",
        _up,
        "start a cluster on this machine",
        "Makes a key and a profile, starts a master and chunkservers in the background, and returns when they are "
        "up. Of a cluster that exists, it starts what is missing.",
    )
    parser.add_argument("--chunkservers", type=int, metavar="N", help="how many; 3 for a new cluster")
    parser.add_argument(
        "--port",
        type=int,
        metavar="P",
        help="the master's; chunkserver i has P+i, side ports are 100 higher; 7070 for a new cluster",
    )
    parser.add_argument("--chunk-size", metavar="SIZE", help="16MiB for a new cluster")
    parser.add_argument(
        "--retention", metavar="DURATION", help="how long what was removed can be restored; 24h for a new cluster"
    )
    parser.add_argument(
        "--out-after",
        metavar="DURATION",
        help="a chunkserver that is down for this long is replaced; 10min for a new cluster",
    )
    parser.add_argument(
        "--trash-delay",
        metavar="DURATION",
        help="how long chunkservers keep what is deleted; 1h for a new cluster",
    )
    parser.add_argument(
        "--gateway",
        action=argparse.BooleanOptionalAction,
        help="serve the files over HTTP too, on port P+1000 of loopback, with a dashboard for browsers",
    )
    add_directory_option(parser)
    add_profile_option(parser)
    add_key_option(parser)

    parser = add_command(commands, "down", _down, "stop the cluster on this machine", "Its data stays.")
    add_directory_option(parser)
    add_profile_option(parser)

    parser = add_command(
        commands,
        "status",
        _status,
        "show the health of a cluster",
        "Its servers, data and space, and the command that helps where something is wrong.",
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 unless the health is HEALTH_OK")
    add_cluster_options(parser)

    parser = add_command(
        commands,
        "top",
        _top,
        "watch a cluster: nodes, throughput, repair",
        "On the whole terminal, until q. Where no terminal is, and with --json, it shows one snapshot.",
    )
    parser.add_argument("--interval", default="2s", metavar="DURATION", help="between two looks (2s)")
    parser.add_argument("--count", type=int, metavar="N", help="show so many snapshots, one after the other, and end")
    add_cluster_options(parser)


def add_node_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add node list, kill and start, and what operators tell chunkservers."""
    group = add_group(commands, "node", "list, drain and remove servers; kill and start those on this machine")
    parser = add_command(group, "list", _list_nodes, "list the servers as the master sees them")
    add_cluster_options(parser)
    add_directory_option(parser)
    for name, run, summary in (
        ("kill", _kill_node, "end a server on this machine with SIGKILL, as a crash would"),
        ("start", _start_node, "start a server on this machine again, as it was"),
    ):
        parser = add_command(group, name, run, summary, "Its data stays.")
        parser.add_argument("name", metavar="NODE", help="cs-1, cs-2 … or master")
        add_directory_option(parser)
        add_profile_option(parser)
    add_duty_commands(group)


def add_key_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add key init and key show."""
    group = add_group(commands, "key", "make key files, and show their fingerprints")
    for name, run, summary, description in (
        ("init", _init_key, "make a key file with one new key", "One that exists is never replaced."),
        ("show", _show_key, "show where the key file is, and the fingerprints of its keys", "Never a key."),
    ):
        parser = add_command(group, name, run, summary, description)
        add_profile_option(parser)
        add_key_option(parser)
        parser.add_argument(
            "--passphrase-file",
            type=Path,
            metavar="FILE",
            help="its first line protects the key; else DSTORE_PASSPHRASE_FILE or DSTORE_PASSPHRASE, else nothing does",
        )


def _up(given: argparse.Namespace) -> int:
    from dstore.cli import bringing_up

    return bringing_up.up(
        target_of(given),
        given.directory,
        chunkservers=given.chunkservers,
        port=given.port,
        chunk_size=given.chunk_size,
        retention=given.retention,
        out_after=given.out_after,
        trash_delay=given.trash_delay,
        gateway=given.gateway,
    )


def _down(given: argparse.Namespace) -> int:
    from dstore.cli import node_actions

    return node_actions.down(target_of(given), given.directory)


def _status(given: argparse.Namespace) -> int:
    from dstore.cli import node_actions

    return node_actions.status(target_of(given), check=given.check)


def _top(given: argparse.Namespace) -> int:
    from dstore.cli import top
    from dstore.cli.quantities import parse_duration

    return top.top(target_of(given), interval_s=parse_duration(given.interval), snapshot_count=given.count)


def _list_nodes(given: argparse.Namespace) -> int:
    from dstore.cli import node_actions

    return node_actions.list_nodes(target_of(given), given.directory)


def _kill_node(given: argparse.Namespace) -> int:
    from dstore.cli import node_actions

    return node_actions.kill(target_of(given), given.directory, given.name)


def _start_node(given: argparse.Namespace) -> int:
    from dstore.cli import node_actions

    return node_actions.start(target_of(given), given.directory, given.name)


def _init_key(given: argparse.Namespace) -> int:
    from dstore.cli import key_actions

    return key_actions.init(target_of(given), given.passphrase_file)


def _show_key(given: argparse.Namespace) -> int:
    from dstore.cli import key_actions

    return key_actions.show(target_of(given), given.passphrase_file)
