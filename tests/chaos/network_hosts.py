"""Hosts on this machine: a network namespace for each, joined by a bridge, with packets dropped between any two.

This process must have a network and mount namespace of its own (``sandboxed``), so that nothing of it is seen outside,
and all of it is gone with the process. It is itself the host ``client``.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from injection import require

CLIENT = "client"
_INSIDE = "DSTORE_TEST_SANDBOX"
_NETWORK = "10.77.0"


def sandboxed(arguments: Sequence[str]) -> None:
    """Run this program again in namespaces of its own, unless it is in them; does not return in the first case."""
    if os.environ.get(_INSIDE):
        return
    command = [require("unshare"), "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        command.append("--map-root-user")
    os.environ[_INSIDE] = "entered"
    os.execv(command[0], [*command, sys.executable, *arguments])


class NetworkHosts:
    """The hosts of a cluster, and which packets are lost between them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._addresses = {CLIENT: f"{_NETWORK}.1"}
        self._addresses.update({name: f"{_NETWORK}.{number}" for number, name in enumerate(names, start=2)})
        self._cuts: set[tuple[str, str]] = set()
        self._ip, self._nft = require("ip"), require("nft")

    def set_up(self) -> None:
        """Make the hosts. What they keep below /run and /dev/shm is theirs alone, and gone with this process."""
        for directory in ("/run", "/dev/shm"):
            _run(require("mount"), "-t", "tmpfs", "tmpfs", directory)
        Path("/run/netns").mkdir()
        _run(self._ip, "link", "set", "lo", "up")
        _run(self._ip, "link", "add", "bridge", "type", "bridge")
        _run(self._ip, "addr", "add", f"{self._addresses[CLIENT]}/24", "dev", "bridge")
        _run(self._ip, "link", "set", "bridge", "up")
        for name, address in self._addresses.items():
            if name != CLIENT:
                _run(self._ip, "netns", "add", name)
                _run(self._ip, "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
                _run(self._ip, "link", "set", f"to-{name}", "master", "bridge", "up")
                _run(self._ip, "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
                _run(self._ip, "-n", name, "link", "set", "eth0", "up")
                _run(self._ip, "-n", name, "link", "set", "lo", "up")

    def address(self, name: str) -> str:
        """Return the address of a host."""
        return self._addresses[name]

    def command(self, name: str) -> list[str]:
        """Return what goes before a command that is to run on a host."""
        return [] if name == CLIENT else [self._ip, "netns", "exec", name]

    def cut(self, source: str, target: str) -> None:
        """Lose every packet from one host to another, in this direction alone."""
        self._cuts.add((source, target))
        self._apply(target)

    def mend(self, source: str, target: str) -> None:
        """Let them through again."""
        self._cuts.discard((source, target))
        self._apply(target)

    def mend_all(self) -> None:
        """Let everything through."""
        for source, target in tuple(self._cuts):
            self.mend(source, target)

    def _apply(self, target: str) -> None:
        lines = ["table ip chaos", "delete table ip chaos", "table ip chaos {", "chain input {"]
        lines.append("type filter hook input priority 0;")
        lines += [f"ip saddr {self._addresses[each]} drop" for each, cut_off in sorted(self._cuts) if cut_off == target]
        rules = "\n".join([*lines, "}", "}", ""])
        subprocess.run([*self.command(target), self._nft, "-f", "-"], input=rules.encode(), check=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"
