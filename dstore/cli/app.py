"""The ``dstore`` command: reads the command line, runs one command, and turns errors into exit codes.

Nothing heavy is imported here or by the modules with the commands' arguments: ``--version`` and ``--help`` must answer
at once, so gRPC, cryptography and the servers are loaded by the command that needs them.
"""

import os
import sys
from collections.abc import Sequence

from dstore import __version__
from dstore.cli.exit_codes import ExitCode, exit_code, local_error
from dstore.core.errors import DstoreError
from dstore.core.request_ids import RequestContext, bind, bound, chosen_request


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dstore`` and return its exit code; docs/cli.md lists them.

    ``arguments`` are those of the process unless given.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # gRPC tells people about every connection that ends; it is read when gRPC is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show must not end a command half-way.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # One command is one operation to those who look for it in a log.
    with bound(RequestContext(f"cli-{os.urandom(6).hex()}", is_chosen=True)):
        return _end_of(given)


def _end_of(given: list[str]) -> int:
    """Run a command, and turn what it raises into an exit code."""
    try:
        return _run(given or ["--help"])
    except DstoreError as error:
        failure = error
    except KeyboardInterrupt:
        print("dstore: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on, as in `dstore cat … | head`; Python would complain about it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.BROKEN_PIPE
    except OSError as error:
        failure = local_error(error)
    return _fail(failure, as_json="--json" in given)


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"dstore {__version__}")
        return ExitCode.OK
    from dstore.cli.command_tree import command_tree

    try:
        given = command_tree().parse_args(arguments)
    except SystemExit:
        # This is how --help ends; errors are raised as UsageError.
        return ExitCode.OK
    if getattr(given, "request_id", None) is not None:
        bind(chosen_request(given.request_id))
    code = int(given.run(given))
    sys.stdout.flush()
    return code


def _fail(failure: DstoreError, *, as_json: bool) -> int:
    from dstore.cli.arguments import UsageError
    from dstore.cli.output import show_error

    if isinstance(failure, UsageError) and not as_json:
        print(failure.usage, file=sys.stderr)
    show_error(failure, as_json=as_json)
    return exit_code(failure)


if __name__ == "__main__":
    sys.exit(main())
