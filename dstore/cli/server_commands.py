"""``dstore master run`` and ``dstore chunkserver run``: their arguments. A server is imported when it runs."""

import argparse
from pathlib import Path

from dstore.cli.arguments import Parser, add_command, add_group, add_log_options
from dstore.cli.exit_codes import ExitCode

_DESCRIPTION = "In the foreground, until SIGTERM. Prints one line of JSON when it is ready, and logs to stderr."


def add_server_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add master run and chunkserver run."""
    group = add_group(commands, "master", "run the server that keeps the namespace")
    parser = add_command(group, "run", _run_master, "serve a namespace", _DESCRIPTION)
    _add_server_options(parser, "127.0.0.1:7070", "127.0.0.1:7170")
    parser.add_argument("--replicas", type=int, default=3, metavar="N", help="copies of each chunk (3)")
    parser.add_argument(
        "--min-replicas", type=int, default=2, metavar="N", help="copies that a write must have reached (2)"
    )
    parser.add_argument("--chunk-size", default="16MiB", metavar="SIZE", help="of the plaintext (16MiB)")
    parser.add_argument(
        "--failure-domain",
        default="host",
        choices=("server", "host", "rack"),
        help="no two copies of a chunk share one (host)",
    )
    parser.add_argument(
        "--retention", default="24h", metavar="DURATION", help="what was removed is kept this long; 0s: not (24h)"
    )
    _add_upkeep_options(parser)

    group = add_group(commands, "chunkserver", "run a server that keeps chunks on one disk")
    parser = add_command(group, "run", _run_chunkserver, "serve chunks", _DESCRIPTION)
    _add_server_options(parser, "127.0.0.1:7071", "127.0.0.1:7171")
    parser.add_argument("--name", required=True, metavar="NAME", help="for people; unique in the cluster, as cs-1")
    parser.add_argument("--master", default="127.0.0.1:7070", metavar="HOST:PORT", help="(127.0.0.1:7070)")
    parser.add_argument("--advertise", metavar="HOST:PORT", help="how others reach it, if not by --listen")
    parser.add_argument("--host-label", metavar="HOST", help="its failure domain; this host's name unless given")
    parser.add_argument("--rack", default="", metavar="RACK", help="its failure domain above the host")
    parser.add_argument(
        "--local-reads",
        default="own",
        choices=("off", "own", "any"),
        help="whose clients on this machine may read the disk themselves: nobody's, those of its own user and of root, "
        "anybody's (own)",
    )


def _add_upkeep_options(parser: Parser) -> None:
    parser.add_argument(
        "--out-after",
        default="10min",
        metavar="DURATION",
        help="a chunkserver that is down for this long is out: others get its chunks (10min)",
    )
    parser.add_argument(
        "--scrub-period", default="14d", metavar="DURATION", help="every chunk is checked this often; 0s: never (14d)"
    )
    parser.add_argument(
        "--copy-rate", default="400MiB", metavar="SIZE", help="a second, what one server copies from others (400MiB)"
    )
    parser.add_argument(
        "--trash-delay", default="1h", metavar="DURATION", help="how long chunkservers keep what is deleted (1h)"
    )
    parser.add_argument(
        "--collection-grace",
        default="1min",
        metavar="DURATION",
        help="how long before that what is deleted, or is where it should not be, is left alone (1min)",
    )
    parser.add_argument(
        "--audit-period",
        default="1d",
        metavar="DURATION",
        help="what chunkservers hold is compared with the metadata this often (1d)",
    )


def _add_server_options(parser: Parser, listen: str, http_listen: str) -> None:
    parser.add_argument(
        "--dir", dest="directory", type=Path, required=True, metavar="DIRECTORY", help="its data; one server each"
    )
    parser.add_argument("--listen", default=listen, metavar="HOST:PORT", help=f"serves gRPC ({listen})")
    parser.add_argument(
        "--http-listen",
        default=http_listen,
        metavar="HOST:PORT",
        help=f"serves /metrics, /healthz and /readyz ({http_listen})",
    )
    add_log_options(parser)


def _run_master(given: argparse.Namespace) -> int:
    from dstore.cli import server_actions

    server_actions.run_master(
        directory=given.directory,
        listen=given.listen,
        http_listen=given.http_listen,
        replicas=given.replicas,
        min_replicas=given.min_replicas,
        chunk_size=given.chunk_size,
        failure_domain=given.failure_domain,
        retention=given.retention,
        out_after=given.out_after,
        scrub_period=given.scrub_period,
        copy_rate=given.copy_rate,
        trash_delay=given.trash_delay,
        collection_grace=given.collection_grace,
        audit_period=given.audit_period,
        log_level=given.log_level,
        log_format=given.log_format,
    )
    return ExitCode.OK


def _run_chunkserver(given: argparse.Namespace) -> int:
    from dstore.cli import server_actions

    server_actions.run_chunkserver(
        directory=given.directory,
        listen=given.listen,
        advertise=given.advertise,
        http_listen=given.http_listen,
        master=given.master,
        name=given.name,
        host_label=given.host_label,
        rack=given.rack,
        local_reads=given.local_reads,
        log_level=given.log_level,
        log_format=given.log_format,
    )
    return ExitCode.OK
