"""The processes of one test cluster, from their start to their end. Every call here blocks."""

import contextlib
import http.client
import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path

from dstore.cli import cluster_file, local_process
from dstore.cli.cluster_file import LocalProcess
from dstore.cli.local_process import LOG_DIRECTORY, START_TIMEOUT_S, Started
from dstore.core.errors import Unavailable

_LAUNCHER = "dstore.testing.launcher"
_PROBE_TIMEOUT_S = 5.0
_PROBE_INTERVAL_S = 0.02


class ClusterProcesses:
    """Servers that end with this process, whatever becomes of it.

    Attributes:
        plan: what the cluster consists of, with the ports that are reserved for it.
    """

    def __init__(self, plan: cluster_file.LocalCluster, directory: Path, *, is_temporary: bool) -> None:
        """Reserve ports; ``directory`` exists, and is removed at the end when it is temporary."""
        self._directory = directory
        self._is_temporary = is_temporary
        self._servers: dict[str, Started] = {}
        self._resources = contextlib.ExitStack()
        ports = [self._reserve_port() for _ in plan.processes]
        self.plan = replace(
            plan,
            endpoint=f"127.0.0.1:{ports[0]}",
            port=ports[0],
            processes=tuple(
                replace(process, port=port, http_port=0) for process, port in zip(plan.processes, ports, strict=True)
            ),
        )
        # Servers read the one end, and see its end when nobody has the other one any more.
        self._read_end, write_end = os.pipe()
        self._resources.callback(os.close, self._read_end)
        self._resources.callback(os.close, write_end)

    def start(self) -> None:
        """Start every server; return once the master counts on all of them. Whoever calls this calls ``end`` as well.

        Raises:
            DstoreError: what ``wait_ready`` and ``wait_up`` raise.
        """
        master = self._launch(self.plan.master)
        # Here, while the master starts on another core: it takes as long as the imports of that.
        from dstore.cli.master_calls import SETTLE_TIMEOUT_S, wait_up

        # The master first, because chunkservers join it.
        local_process.wait_ready(master)
        for started in [self._launch(process) for process in self.plan.chunkservers]:
            local_process.wait_ready(started)
        names = [process.name for process in self.plan.chunkservers]
        wait_up(self.plan.endpoint, names, timeout_s=START_TIMEOUT_S, settle_timeout_s=SETTLE_TIMEOUT_S)

    def is_running(self, process: LocalProcess) -> bool:
        """Return whether a server runs now."""
        started = self._servers.get(process.name)
        return started is not None and started.child.poll() is None

    def kill(self, process: LocalProcess) -> None:
        """Send SIGKILL and wait for the end; a server that does not run is fine."""
        started = self._servers.pop(process.name, None)
        if started is not None:
            started.child.kill()
            started.child.wait()

    def start_again(self, process: LocalProcess) -> None:
        """Start a chunkserver, unless it runs, with what is on its disk; return once the master counts on it.

        Raises:
            DstoreError: as ``start``; the server does not run then.
        """
        from dstore.cli.master_calls import wait_up

        if self.is_running(process):
            return
        try:
            started = self._launch(process)
            local_process.wait_ready(started)
            # For some seconds the master still counts on the run that was killed, so this one is asked first.
            _wait_joined(started)
            wait_up(self.plan.endpoint, [process.name], timeout_s=START_TIMEOUT_S)
        except BaseException:
            self.kill(process)
            raise

    def end(self) -> None:
        """Kill every server, and remove the directory when it is temporary. Ending twice is fine."""
        for started in self._servers.values():
            started.child.kill()
        for started in self._servers.values():
            started.child.wait()
        self._servers.clear()
        self._resources.close()
        if self._is_temporary:
            # A client that was left open may still write to it; the system clears its temporary files some day.
            shutil.rmtree(self._directory, ignore_errors=True)

    def _launch(self, process: LocalProcess) -> Started:
        removed = str(self._directory) if self._is_temporary and process.role == "master" else ""
        started = local_process.start(
            self.plan,
            process,
            self._directory / LOG_DIRECTORY,
            program=(_LAUNCHER, removed),
            stdin=self._read_end,
        )
        self._servers[process.name] = started
        return started

    def _reserve_port(self) -> int:
        """Return a port that nobody else gets before the end, also while the server that uses it does not run.

        A socket that is bound and does not listen keeps the system from giving the port away, to listeners and to
        outgoing connections, but lets a server bind it that asks for ``SO_REUSEADDR``, as all of ours do.
        """
        reserved = self._resources.enter_context(socket.socket())
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


def _wait_joined(started: Started) -> None:
    address = local_process.http_address(started)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _has_joined(address):
        if started.child.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(
                f"{started.process.name} started and did not join the cluster within {START_TIMEOUT_S:.0f} s; "
                f"{started.log} says why.",
                reason="SERVER_START_FAILED",
                metadata={"server": started.process.name, "log": str(started.log)},
            )
        time.sleep(_PROBE_INTERVAL_S)


def _has_joined(address: str) -> bool:
    """Ask a chunkserver whether it is ready: it has joined the cluster and obeys its orders."""
    connection = http.client.HTTPConnection(address, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        # It ended meanwhile, or is too busy to answer; whoever waits looks at the process and at the time.
        return False
    finally:
        connection.close()
