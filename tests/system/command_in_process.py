"""``dstore`` in the process of the tests."""

import json
import os
from typing import Any

import pytest
from cluster import LocalTestCluster

from dstore.cli.app import main


def use_cluster(cluster: LocalTestCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the environment of this process that of programs which use a cluster."""
    for name in [name for name in os.environ if name.startswith("DSTORE_")]:
        monkeypatch.delenv(name)
    for name, value in cluster.environ.items():
        monkeypatch.setenv(name, value)


class Command:
    """Runs ``dstore`` in this process, which takes less than starting one, against one cluster."""

    def __init__(self, capfd: pytest.CaptureFixture[str]):
        self._capfd = capfd

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Return stdout and stderr of a command that must end with ``code``."""
        self._capfd.readouterr()
        ended = main(arguments)
        captured = self._capfd.readouterr()
        assert ended == code, f"dstore {' '.join(arguments)} ended with {ended}:\n{captured.out}\n{captured.err}"
        return captured.out, captured.err

    def lines(self, *arguments: str, code: int = 0) -> list[str]:
        """Return the lines that a command prints for people."""
        return self.run(*arguments, code=code)[0].splitlines()

    def json(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Return the objects that a command prints with ``--json``, one on each line."""
        return [json.loads(line) for line in self.lines(*arguments, "--json", code=code)]

    def reason(self, *arguments: str, code: int) -> str:
        """Return the reason why a command fails, which it says on stderr; it prints nothing else."""
        out, err = self.run(*arguments, "--json", code=code)
        assert out == ""
        return str(json.loads(err)["error"]["reason"])
