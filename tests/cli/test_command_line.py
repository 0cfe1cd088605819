"""The command line itself: every command explains itself and speaks JSON, and nothing heavy is loaded for that."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_leaves import leaves

import dstore
from dstore.cli.app import main
from dstore.cli.arguments import Parser
from dstore.cli.command_tree import command_tree

COMMANDS = {
    "up",
    "down",
    "status",
    "top",
    "put",
    "get",
    "cat",
    "ls",
    "stat",
    "mv",
    "rm",
    "mkdir",
    "restore",
    "trash",
    "cp",
    "sync",
    "du",
    "tree",
    "find",
    "head",
    "tail",
    "node list",
    "node kill",
    "node start",
    "node drain",
    "node maintenance",
    "node activate",
    "node remove",
    "balance",
    "scrub",
    "fsck",
    "collection status",
    "collection approve",
    "safe-mode status",
    "safe-mode leave",
    "doctor",
    "config show",
    "completion bash",
    "completion zsh",
    "completion words",
    "key init",
    "key show",
    "master run",
    "chunkserver run",
    "gateway run",
    "gateway token",
}


LEAVES = dict(leaves(command_tree()))


def test_the_commands() -> None:
    assert set(LEAVES) == COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_json_help_and_a_description(name: str) -> None:
    parser = LEAVES[name]
    options = {option for action in parser._actions for option in action.option_strings}
    assert {"--json", "--help"} <= options
    assert parser.description
    assert all(action.help for action in parser._actions)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    assert f"usage: dstore {name}" in capsys.readouterr().out


def test_long_options_are_never_guessed() -> None:
    with pytest.raises(Exception, match="unrecognized"):
        command_tree().parse_args(["status", "--endp", "x:1"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["node"],
        ["node", "nonsense"],
        ["put"],
        ["put", "only-one"],
        ["get"],
        ["ls", "--bogus"],
        ["up", "--port", "seven"],
        ["master", "run"],
        ["master", "run", "--dir", "x", "--failure-domain", "moon"],
        ["chunkserver", "run", "--dir", "x"],
    ],
)
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: dstore")
    assert captured.err.rstrip().endswith("[USAGE]")
    assert main([*arguments, "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["reason"], error["exit_code"]) == ("USAGE", 2)


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


def test_options_and_arguments() -> None:
    given = command_tree().parse_args(["put", "a", "b", "/c/", "--key-file", "k", "--endpoint", "h:1", "--json"])
    assert (given.sources, given.target, given.key_file) == (["a", "b"], "/c/", Path("k"))
    given = command_tree().parse_args(["get", "/a"])
    assert (given.source, given.target, given.as_json) == ("/a", ".", False)


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["put", "--help"], ["up", "--help"], ["ls", "--bogus"], ["master", "run", "--help"]],
)
def test_what_answers_at_once_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from dstore.cli.app import main\n"
        f"main({arguments!r})\n"
        "heavy = ('grpc', 'google', 'cryptography', 'rich', 'asyncio', 'uvloop', 'apsw', 'logging')\n"
        "print('LOADED', [name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(dstore.__file__).parent.parent)},
    )
    assert finished.stderr.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("module", ["dstore", "dstore.cli.app"])
def test_python_m(module: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", module, "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(dstore.__file__).parent.parent)},
    )
    assert finished.stdout == f"dstore {dstore.__version__}\n"


def test_errors_of_this_machine_are_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: Parser, arguments: list[str]) -> argparse.Namespace:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(Parser, "parse_args", fail)
    assert main(["status"]) == 13
    assert "LOCAL_PERMISSION_DENIED" in capsys.readouterr().err


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(self: Parser, arguments: list[str]) -> argparse.Namespace:
        raise KeyboardInterrupt

    monkeypatch.setattr(Parser, "parse_args", interrupt)
    assert main(["status"]) == 130
    assert capsys.readouterr().err == "dstore: interrupted\n"
