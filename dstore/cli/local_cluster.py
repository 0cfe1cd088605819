"""``dstore up``, ``down``, ``node kill`` and ``node start``: a cluster of background processes on this machine."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dstore.cli import cluster_file, local_process
from dstore.cli.cluster_file import LocalCluster, LocalProcess
from dstore.cli.local_plan import UpRequest, find_process, plan_cluster, server_ports, with_pid
from dstore.cli.local_process import LOG_DIRECTORY, running_pid
from dstore.cli.ports import check_ports
from dstore.core.errors import NotFound
from dstore.system.lock import DirectoryLock


@dataclass(frozen=True, slots=True)
class Step:
    """One server that a command dealt with.

    Attributes:
        outcome: "ready", "running" (it already was), "stopped", "killed" or "not running" (it already was).
        pid: of the server; of the one that ended, when it ended; 0 when there was none.
        duration_s: how long it took.
    """

    name: str
    outcome: str
    pid: int
    endpoint: str
    duration_s: float


Tell = Callable[[Step], None]


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other commands from starting or stopping servers of the same cluster meanwhile.

    Raises:
        NotReady: with reason DIRECTORY_LOCKED.
    """
    lock = DirectoryLock(directory, what="command")
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def existing_cluster(directory: Path) -> LocalCluster:
    """Return the cluster in ``directory``.

    Raises:
        NotFound: with reason NO_LOCAL_CLUSTER.
    """
    cluster = cluster_file.read(directory)
    if cluster is None:
        raise NotFound(
            f"There is no cluster in {directory}. Start one with `dstore up`, or name its directory with --dir.",
            reason="NO_LOCAL_CLUSTER",
            metadata={"directory": str(directory)},
        )
    return cluster


@dataclass(frozen=True, slots=True)
class Start:
    """A start that was checked and can go ahead.

    Attributes:
        cluster: as it is to be.
        running: pids of the servers that run already, by name.
    """

    cluster: LocalCluster
    running: dict[str, int]

    @property
    def missing(self) -> tuple[LocalProcess, ...]:
        """Master and chunkservers that are to be started."""
        return tuple(process for process in self.cluster.processes if process.name not in self.running)


def prepare_start(request: UpRequest) -> Start:
    """Decide what is to be started, and check that the ports for it are free. Changes nothing.

    Raises:
        DstoreError: what ``plan_cluster`` and ``check_ports`` raise.
    """
    existing = cluster_file.read(request.directory)
    running = {} if existing is None else running_servers(existing)
    start = Start(plan_cluster(request, existing, running), running)
    gateway = start.cluster.gateway
    missing = start.missing if gateway is None or gateway.name in running else (*start.missing, gateway)
    check_ports(server_ports(process) for process in missing)
    return start


def start_cluster(directory: Path, start: Start, tell: Tell) -> LocalCluster:
    """Start every server that is missing; return the cluster once each has said that it is ready.

    A start that failed can simply be repeated: what runs by then is kept.

    Raises:
        DstoreError: what ``wait_ready`` raises.
    """
    cluster = start.cluster
    for process in cluster.processes:
        if process.name in start.running:
            tell(Step(process.name, "running", start.running[process.name], _endpoint(process), 0.0))
    cluster_file.write(directory, cluster)
    # The master first, because chunkservers join it; they start side by side.
    for role in ("master", "chunkserver"):
        waiting = [process for process in start.missing if process.role == role]
        cluster = _start_servers(directory, cluster, waiting, tell)
    return cluster


def start_gateway(directory: Path, cluster: LocalCluster, tell: Tell) -> LocalCluster:
    """Start the gateway of a cluster unless it runs; it needs the profile, with its key.

    Raises:
        DstoreError: what ``wait_ready`` raises.
    """
    gateway = cluster.gateway
    if gateway is None:
        return cluster
    pid = running_pid(gateway)
    if pid is not None:
        tell(Step(gateway.name, "running", pid, _endpoint(gateway), 0.0))
        return cluster
    return _start_servers(directory, cluster, [gateway], tell)


def _start_servers(
    directory: Path, cluster: LocalCluster, processes: Sequence[LocalProcess], tell: Tell
) -> LocalCluster:
    """Start servers side by side; when one fails, end those that were started with it."""
    started: list[local_process.Started] = []
    try:
        for process in processes:
            child = local_process.start(cluster, process, directory / LOG_DIRECTORY)
            started.append(child)
        for each in started:
            duration_s = local_process.wait_ready(each)
            cluster = with_pid(cluster, each.process.name, each.child.pid)
            cluster_file.write(directory, cluster)
            tell(Step(each.process.name, "ready", each.child.pid, _endpoint(each.process), duration_s))
    except BaseException:
        for each in started:
            local_process.end(each)
        raise
    return cluster


def start_server(directory: Path, name: str) -> Step:
    """Start one server of a cluster again, with the flags that it had.

    Raises:
        NotFound: with reason NO_LOCAL_CLUSTER or NODE_UNKNOWN.
        DstoreError: what ``check_ports`` and ``wait_ready`` raise.
    """
    cluster = existing_cluster(directory)
    process = find_process(cluster, name)
    pid = running_pid(process)
    if pid is not None:
        return Step(name, "running", pid, _endpoint(process), 0.0)
    check_ports([server_ports(process)])
    steps: list[Step] = []
    _start_servers(directory, cluster, [process], steps.append)
    return steps[0]


def kill_server(directory: Path, name: str) -> Step:
    """Send SIGKILL to one server: what a crash of it does. Its data stays.

    Raises:
        NotFound: with reason NO_LOCAL_CLUSTER or NODE_UNKNOWN.
    """
    process = find_process(existing_cluster(directory), name)
    started_s = time.monotonic()
    pid = running_pid(process)
    if pid is None:
        return Step(name, "not running", 0, _endpoint(process), 0.0)
    local_process.stop(process, pid, signal.SIGKILL)
    local_process.wait_stopped(process)
    return Step(name, "killed", pid, _endpoint(process), time.monotonic() - started_s)


def stop_cluster(directory: Path, tell: Tell) -> LocalCluster:
    """Stop every server; the data stays.

    Raises:
        NotFound: with reason NO_LOCAL_CLUSTER.
    """
    cluster = existing_cluster(directory)
    if cluster.gateway is not None:
        stop_servers((cluster.gateway,), tell)
    # The master last, so that chunkservers can take their leave.
    stop_servers(cluster.chunkservers, tell)
    stop_servers((cluster.master,), tell)
    return cluster


def stop_servers(processes: Sequence[LocalProcess], tell: Tell) -> None:
    """Send SIGTERM to each and wait; a server that does not end in time is killed, which its format survives."""
    started_s = time.monotonic()
    pids = {process.name: running_pid(process) for process in processes}
    for process in processes:
        pid = pids[process.name]
        if pid is not None:
            local_process.stop(process, pid, signal.SIGTERM)
    for process in processes:
        pid = pids[process.name]
        if pid is None:
            tell(Step(process.name, "not running", 0, _endpoint(process), 0.0))
            continue
        outcome = "stopped"
        if not local_process.wait_stopped(process):
            local_process.stop(process, pid, signal.SIGKILL)
            local_process.wait_stopped(process)
            outcome = "killed"
        tell(Step(process.name, outcome, pid, _endpoint(process), time.monotonic() - started_s))


def running_servers(cluster: LocalCluster) -> dict[str, int]:
    """Return the pids of the servers that run now, by name."""
    gateway = () if cluster.gateway is None else (cluster.gateway,)
    pids = ((process.name, running_pid(process)) for process in (*cluster.processes, *gateway))
    return {name: pid for name, pid in pids if pid is not None}


def _endpoint(process: LocalProcess) -> str:
    scheme = "http://" if process.role == "gateway" else ""
    return f"{scheme}127.0.0.1:{process.port}"
