"""``cluster.json``: what a cluster on this machine consists of, so that later commands find its processes.

The file says what was started and how. Whether a process runs now is asked of its lock file, never read here.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from dstore.core.errors import Corrupt
from dstore.core.limits import RETENTION_DEFAULT_S, SERVER_OUT_AFTER_DEFAULT_S, TRASH_DELAY_DEFAULT_S

FILE_NAME = "cluster.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """One server of a cluster on this machine.

    Attributes:
        role: "master", "chunkserver" or "gateway".
        pid: of the last start; 0 before the first.
        http_port: of its side port; a gateway has none, and names its port again.
        directory: its data directory, absolute; that of a gateway holds its lock only.
    """

    name: str
    role: str
    pid: int
    port: int
    http_port: int
    directory: str


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """A cluster on this machine, as ``dstore up`` made it.

    Attributes:
        endpoint: of the master.
        port: the number from which all ports follow.
        profile: whose key and endpoint belong to this cluster.
        processes: the master first, then the chunkservers in order.
        out_after_s, trash_delay_s: how the master looks after the cluster; may differ from start to start.
        removed: names of chunkservers that were removed for good; no other one gets such a name.
        gateway: serves the files over HTTP, if that was asked for.
    """

    endpoint: str
    port: int
    profile: str
    replicas: int
    min_replicas: int
    chunk_size_bytes: int
    processes: tuple[LocalProcess, ...]
    retention_s: int = RETENTION_DEFAULT_S
    out_after_s: int = int(SERVER_OUT_AFTER_DEFAULT_S)
    trash_delay_s: int = int(TRASH_DELAY_DEFAULT_S)
    removed: tuple[str, ...] = ()
    gateway: LocalProcess | None = None

    @property
    def master(self) -> LocalProcess:
        """The process that keeps the namespace."""
        return self.processes[0]

    @property
    def chunkservers(self) -> tuple[LocalProcess, ...]:
        """The processes that keep chunks."""
        return self.processes[1:]

    def process(self, name: str) -> LocalProcess | None:
        """Return the process of that name, if there is one."""
        return next((process for process in self.processes if process.name == name), None)


def encode(cluster: LocalCluster) -> str:
    """Return the text of ``cluster.json``."""
    return json.dumps({"format": FORMAT, **asdict(cluster)}, indent=2) + "\n"


def decode(text: str, *, path: str) -> LocalCluster:
    """Read the text of ``cluster.json``; ``path`` names the file in the error.

    Raises:
        Corrupt: with reason CLUSTER_FILE_INVALID when it is not what ``encode`` writes.
    """
    try:
        value = json.loads(text)
        if value.pop("format") != FORMAT:
            raise ValueError("another format")
        processes = tuple(_checked(LocalProcess(**process)) for process in value.pop("processes"))
        removed = tuple(value.pop("removed", ()))
        gateway = value.pop("gateway", None)
        if gateway is not None:
            gateway = _checked(LocalProcess(**gateway))
        cluster = LocalCluster(processes=processes, removed=removed, gateway=gateway, **value)
        if [process.role for process in processes] != ["master"] + ["chunkserver"] * (len(processes) - 1):
            raise ValueError("the processes are not a master and chunkservers")
        if gateway is not None and gateway.role != "gateway":
            raise ValueError("the gateway is none")
        if not isinstance(cluster.endpoint, str) or not isinstance(cluster.profile, str):
            raise TypeError("endpoint and profile are text")
        if not all(isinstance(name, str) for name in removed):
            raise TypeError("names of removed servers are text")
        _check_numbers(
            cluster.port, cluster.replicas, cluster.min_replicas, cluster.chunk_size_bytes, cluster.retention_s
        )
        _check_numbers(cluster.out_after_s, cluster.trash_delay_s)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Corrupt(
            f"{path} does not describe a cluster ({error}). Restore the file; the data beside it is untouched.",
            reason="CLUSTER_FILE_INVALID",
            metadata={"path": path},
        ) from None
    return cluster


def _checked(process: LocalProcess) -> LocalProcess:
    _check_numbers(process.pid, process.port, process.http_port)
    if not all(isinstance(text, str) for text in (process.name, process.role, process.directory)):
        raise TypeError("name, role and directory of a process are text")
    return process


def _check_numbers(*values: object) -> None:
    if not all(type(value) is int for value in values):
        raise TypeError("a number is missing")


def read(directory: Path) -> LocalCluster | None:
    """Return the cluster whose directory this is; None when there is none.

    Raises:
        Corrupt: with reason CLUSTER_FILE_INVALID.
        OSError: when the file cannot be read.
    """
    path = directory / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    return decode(text, path=str(path))


def write(directory: Path, cluster: LocalCluster) -> None:
    """Replace ``cluster.json`` in one step, so that a command that is stopped half-way leaves the old one.

    Raises:
        OSError: when the directory cannot be written.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(encode(cluster))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, directory / FILE_NAME)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
