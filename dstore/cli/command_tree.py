"""All commands of ``dstore``, as one grammar."""

from dstore.cli.arguments import Parser
from dstore.cli.cluster_commands import add_cluster_commands, add_key_commands, add_node_commands
from dstore.cli.completion_commands import add_completion_commands
from dstore.cli.config_commands import add_config_commands
from dstore.cli.file_commands import add_file_commands
from dstore.cli.gateway_commands import add_gateway_commands
from dstore.cli.operator_commands import add_balance_commands
from dstore.cli.server_commands import add_server_commands
from dstore.cli.sync_commands import add_sync_commands
from dstore.cli.tree_commands import add_tree_commands
from dstore.cli.upkeep_commands import add_upkeep_commands


def command_tree() -> Parser:
    """Return the parser. What it reads has ``run``, which does the work and returns the exit code."""
    parser = Parser(
        prog="dstore",
        description="A distributed block store that encrypts on your side of the wire.",
        epilog="`dstore COMMAND --help` shows the arguments of a command; docs/cli.md lists the exit codes.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    add_cluster_commands(commands)
    add_file_commands(commands)
    add_sync_commands(commands)
    add_tree_commands(commands)
    add_node_commands(commands)
    add_balance_commands(commands)
    add_upkeep_commands(commands)
    add_key_commands(commands)
    add_config_commands(commands)
    add_completion_commands(commands)
    add_server_commands(commands)
    add_gateway_commands(commands)
    return parser
