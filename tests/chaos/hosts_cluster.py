"""A cluster whose servers each have a host of their own: a network namespace, a small disk in memory, and a clock."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from clocks import clock_environment, set_clock
from injection import require
from network_hosts import NetworkHosts
from server_processes import ClusterShape, ServerCluster, ServerProcess

_PORT = 7070


class HostsCluster(ServerCluster):
    """Servers on hosts.

    Args:
        disk_size_bytes: of each server.
        master_options: for ``dstore master run``, besides what every cluster has.
    """

    def __init__(
        self,
        home: Path,
        shape: ClusterShape,
        hosts: NetworkHosts,
        *,
        disk_size_bytes: int,
        master_options: Sequence[str] = (),
    ) -> None:
        self._hosts = hosts
        self._disk_size_bytes = disk_size_bytes
        self._master_options = master_options
        super().__init__(home, shape)

    @property
    def endpoint(self) -> str:
        """Host and port of the master."""
        return f"{self._hosts.address('master')}:{_PORT}"

    def make_server(self, name: str, index: int) -> ServerProcess:
        """Return a server on a host and a disk of its own."""
        disk = self.home / "disks" / name
        disk.mkdir(parents=True)
        mounting = [require("mount"), "-t", "tmpfs", "-o", f"size={self._disk_size_bytes}", "tmpfs", str(disk)]
        subprocess.run(mounting, check=True)
        arguments = self.arguments(name, disk / "data", self._hosts.address(name), _PORT)
        if name == "master":
            arguments += self._master_options
        log_path = self.log_path(name)
        set_clock(log_path, 0)
        environment = [f"{variable}={value}" for variable, value in clock_environment(log_path).items()]
        host = [*self._hosts.command(name), require("env"), *environment]
        return ServerProcess(name, disk / "data", log_path, arguments, host=host)
