"""The commands of shell completion: their arguments. The work is imported when a command runs."""

import argparse

from dstore.cli.arguments import Parser, add_command, add_group, target_of


def add_completion_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add completion bash, zsh and words."""
    group = add_group(commands, "completion", "make bash or zsh complete commands, options and paths in the cluster")
    for shell, run in (("bash", _bash), ("zsh", _zsh)):
        add_command(
            group,
            shell,
            run,
            f"print the script for {shell}",
            f'It takes effect with: eval "$(dstore completion {shell})"',
        )
    parser = add_command(
        group,
        "words",
        _words,
        "print what may come next, as these scripts ask",
        "One candidate a line, quoted for the shell, with a space at the end when the word is whole.",
    )
    parser.add_argument("line", metavar="LINE", help="what was typed up to the cursor, with the name of the program")
    parser.add_argument(
        "--breaks", default="", metavar="LETTERS", help="after these, the shell replaces only the rest of a word"
    )


def _bash(given: argparse.Namespace) -> int:
    from dstore.cli import completing

    return completing.script(target_of(given), "bash")


def _zsh(given: argparse.Namespace) -> int:
    from dstore.cli import completing

    return completing.script(target_of(given), "zsh")


def _words(given: argparse.Namespace) -> int:
    from dstore.cli import completing

    return completing.words(target_of(given), given.line, given.breaks)
