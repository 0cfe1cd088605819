"""``dstore gateway run`` and ``dstore gateway token``: their arguments."""

import argparse
from pathlib import Path

from dstore.cli.arguments import Parser, add_cluster_options, add_command, add_group, add_key_option, add_log_options
from dstore.cli.exit_codes import ExitCode


def add_gateway_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add gateway run and gateway token."""
    group = add_group(commands, "gateway", "serve files over HTTP")
    parser = add_command(
        group,
        "run",
        _run,
        "serve the files of a cluster over HTTP, decrypted",
        "It holds keys: whoever reaches it without needing a token reads and removes everything. In the foreground, "
        "until SIGTERM. Prints one line of JSON when it is ready, and logs to stderr; docs/gateway.md shows its use.",
    )
    parser.add_argument("--listen", default="127.0.0.1:8070", metavar="HOST:PORT", help="serves HTTP (127.0.0.1:8070)")
    parser.add_argument(
        "--dir",
        type=Path,
        dest="directory",
        metavar="DIR",
        help="keeps its lock there, so that one runs; for `dstore up`",
    )
    add_cluster_options(parser)
    add_key_option(parser)
    parser.add_argument("--tokens", type=Path, metavar="FILE", help="who may do what; without, everybody everything")
    parser.add_argument("--tls-certificate", type=Path, metavar="FILE", help="PEM; serves HTTPS instead")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key; PEM")
    parser.add_argument("--max-size", metavar="SIZE", help="of one request; any size unless given")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which it may be called, for a proxy in front of a gateway without tokens",
    )
    add_log_options(parser)
    parser = add_command(
        group,
        "token",
        _make_token,
        "make a token, and the lines for the file of --tokens",
        "The token is shown once and kept nowhere; the file holds its digest.",
    )
    parser.add_argument("name", metavar="NAME", help="whose it is, for the log")
    narrower = parser.add_mutually_exclusive_group()
    narrower.add_argument("--read-only", action="store_true", help="no right to write")
    narrower.add_argument("--metrics-only", action="store_true", help="for Prometheus: /metrics, and no file")


def _run(given: argparse.Namespace) -> int:
    from dstore.cli import gateway_actions

    gateway_actions.run_gateway(
        listen=given.listen,
        directory=given.directory,
        endpoint=given.endpoint,
        profile=given.profile,
        key_file=given.key_file,
        tokens=given.tokens,
        tls_certificate=given.tls_certificate,
        tls_key=given.tls_key,
        max_size=given.max_size,
        allowed_hosts=given.allow_host,
        log_level=given.log_level,
        log_format=given.log_format,
    )
    return ExitCode.OK


def _make_token(given: argparse.Namespace) -> int:
    from dstore.cli import gateway_actions

    rights = ["metrics"] if given.metrics_only else ["read"] if given.read_only else ["read", "write"]
    gateway_actions.make_token(given.name, rights, as_json=given.as_json)
    return ExitCode.OK
