"""What a cluster on this machine should consist of: decided here, from what is there and what was asked for."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from dstore.cli.cluster_file import LocalCluster, LocalProcess
from dstore.cli.ports import PORT_DEFAULT, ServerPorts, plan_gateway_port, plan_ports
from dstore.core.errors import AlreadyExists, Conflict, InvalidRequest, NotFound
from dstore.core.limits import (
    CHUNK_SIZE_BYTES_DEFAULT,
    CHUNK_SIZE_BYTES_MAX,
    CHUNK_SIZE_BYTES_MIN,
    MIN_REPLICAS_DEFAULT,
    REPLICAS_DEFAULT,
    RETENTION_DEFAULT_S,
    RETENTION_MAX_S,
    SEGMENT_SIZE_BYTES,
    TRASH_DELAY_MIN_S,
)

CHUNKSERVERS_DEFAULT = 3
GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class UpRequest:
    """What ``dstore up`` was asked for; None where the user left the choice open."""

    directory: Path
    profile: str
    chunkservers: int | None = None
    port: int | None = None
    chunk_size_bytes: int | None = None
    retention_s: int | None = None
    out_after_s: int | None = None
    trash_delay_s: int | None = None
    gateway: bool | None = None


def plan_cluster(request: UpRequest, existing: LocalCluster | None, running: Collection[str]) -> LocalCluster:
    """Return the cluster that is to run. One that exists keeps its servers, its policy and its ports.

    ``running`` names the servers that run now.

    Raises:
        AlreadyExists: with reason CLUSTER_OF_OTHER_PROFILE.
        Conflict: with reason CLUSTER_RUNNING, when a change needs a stopped cluster.
        InvalidRequest: when numbers do not fit.
    """
    if request.chunk_size_bytes is not None:
        _check_chunk_size(request.chunk_size_bytes)
    if request.retention_s is not None and not 0 <= request.retention_s <= RETENTION_MAX_S:
        raise InvalidRequest(
            f"Nothing can be retained for {request.retention_s} s; --retention takes 0 to {RETENTION_MAX_S} s, such as "
            "24h or 7d.",
            reason="RETENTION_INVALID",
        )
    if request.trash_delay_s is not None and request.trash_delay_s < TRASH_DELAY_MIN_S:
        raise InvalidRequest(
            f"The trash cannot be emptied after {request.trash_delay_s} s; --trash-delay takes {TRASH_DELAY_MIN_S:g}s "
            "or more, such as 1h.",
            reason="TRASH_DELAY_INVALID",
        )
    if existing is None:
        return _new_cluster(request)
    return _changed_cluster(request, existing, running)


def _changed_cluster(request: UpRequest, existing: LocalCluster, running: Collection[str]) -> LocalCluster:
    if existing.profile != request.profile:
        raise AlreadyExists(
            f"The cluster in {request.directory} belongs to the profile {existing.profile!r}. Start it with "
            f"--profile {existing.profile}, or make another one with another --dir and --port.",
            reason="CLUSTER_OF_OTHER_PROFILE",
            metadata={"directory": str(request.directory), "profile": existing.profile},
        )
    if request.retention_s not in (None, existing.retention_s):
        raise Conflict(
            f"The cluster in {request.directory} was made to retain what is removed for {existing.retention_s} s, and "
            "stays so. Leave out --retention, or make another cluster with another --dir and --port.",
            reason="RETENTION_FIXED",
            metadata={"directory": str(request.directory), "retention_s": str(existing.retention_s)},
        )
    number = len(existing.chunkservers) if request.chunkservers is None else request.chunkservers
    if number < len(existing.chunkservers):
        raise InvalidRequest(
            f"The cluster in {request.directory} has {len(existing.chunkservers)} chunkservers with data on "
            f"them; starting only {number} would hide it. Leave out --chunkservers, or give a larger number.",
            reason="CHUNKSERVERS_FEWER",
            metadata={"chunkservers": str(len(existing.chunkservers))},
        )
    port = existing.port if request.port is None else request.port
    chunk_size_bytes = request.chunk_size_bytes or existing.chunk_size_bytes
    if running and port != existing.port:
        raise _running(request, f"its master listens on port {existing.port}, not on {port}")
    if "master" in running and chunk_size_bytes != existing.chunk_size_bytes:
        raise _running(request, f"its chunks have {existing.chunk_size_bytes} bytes, not {chunk_size_bytes}")
    if "gateway" in running and request.gateway is False:
        raise _running(request, "its gateway would go on serving files")
    changed = _with_upkeep(replace(existing, chunk_size_bytes=chunk_size_bytes), request)
    if "master" in running and changed != existing:
        raise _running(
            request,
            f"its master puts servers out after {existing.out_after_s} s and keeps trash for {existing.trash_delay_s} "
            "s, which change only when it starts",
        )
    has_gateway = existing.gateway is not None if request.gateway is None else request.gateway
    return _place(changed, request.directory, port, number, has_gateway=has_gateway)


def _with_upkeep(cluster: LocalCluster, request: UpRequest) -> LocalCluster:
    return replace(
        cluster,
        out_after_s=cluster.out_after_s if request.out_after_s is None else request.out_after_s,
        trash_delay_s=cluster.trash_delay_s if request.trash_delay_s is None else request.trash_delay_s,
    )


def without(cluster: LocalCluster, name: str) -> LocalCluster:
    """Return the cluster without one chunkserver, whose name no other one gets."""
    processes = tuple(process for process in cluster.processes if process.name != name)
    return replace(cluster, processes=processes, removed=(*cluster.removed, name))


def find_process(cluster: LocalCluster, name: str) -> LocalProcess:
    """Return the server of that name.

    Raises:
        NotFound: with reason NODE_UNKNOWN, listing the names that there are.
    """
    process = cluster.process(name)
    if process is None:
        names = ", ".join(each.name for each in cluster.processes)
        raise NotFound(
            f"There is no server {name!r} in this cluster; it has {names}.",
            reason="NODE_UNKNOWN",
            metadata={"name": name},
        )
    return process


def with_pid(cluster: LocalCluster, name: str, pid: int) -> LocalCluster:
    """Return the cluster with the pid of one server changed."""
    if cluster.gateway is not None and cluster.gateway.name == name:
        return replace(cluster, gateway=replace(cluster.gateway, pid=pid))
    return replace(
        cluster,
        processes=tuple(
            replace(process, pid=pid) if process.name == name else process for process in cluster.processes
        ),
    )


def server_ports(process: LocalProcess) -> ServerPorts:
    """Return the ports of one server."""
    return ServerPorts(process.name, process.port, process.http_port)


def _check_chunk_size(size_bytes: int) -> None:
    # The master would refuse it too, but only after the number was written into cluster.json.
    if not CHUNK_SIZE_BYTES_MIN <= size_bytes <= CHUNK_SIZE_BYTES_MAX or size_bytes % SEGMENT_SIZE_BYTES:
        raise InvalidRequest(
            f"A chunk cannot have {size_bytes} bytes; --chunk-size takes multiples of {SEGMENT_SIZE_BYTES} from "
            f"{CHUNK_SIZE_BYTES_MIN} to {CHUNK_SIZE_BYTES_MAX}, such as 16MiB.",
            reason="CHUNK_SIZE_INVALID",
            metadata={"chunk_size_bytes": str(size_bytes)},
        )


def _new_cluster(request: UpRequest) -> LocalCluster:
    number = CHUNKSERVERS_DEFAULT if request.chunkservers is None else request.chunkservers
    cluster = LocalCluster(
        endpoint="",
        port=0,
        profile=request.profile,
        replicas=min(REPLICAS_DEFAULT, number),
        min_replicas=min(MIN_REPLICAS_DEFAULT, number),
        chunk_size_bytes=request.chunk_size_bytes or CHUNK_SIZE_BYTES_DEFAULT,
        processes=(),
        retention_s=RETENTION_DEFAULT_S if request.retention_s is None else request.retention_s,
    )
    cluster = _with_upkeep(cluster, request)
    port = PORT_DEFAULT if request.port is None else request.port
    return _place(cluster, request.directory, port, number, has_gateway=bool(request.gateway))


def _place(cluster: LocalCluster, directory: Path, port: int, number: int, *, has_gateway: bool) -> LocalCluster:
    """Give every server its ports and its directory; servers that are known stay, and further ones come behind."""
    pids = {process.name: process.pid for process in cluster.processes}
    # Whoever was removed leaves a gap in the numbers.
    gaps = set(cluster.removed)
    slots = plan_ports(port, number + len(gaps))
    processes = tuple(
        LocalProcess(
            name=ports.name,
            role="master" if ports.name == "master" else "chunkserver",
            pid=pids.get(ports.name, 0),
            port=ports.port,
            http_port=ports.http_port,
            directory=str(directory / ports.name),
        )
        for ports in slots
        if ports.name not in gaps
    )
    gateway = None
    if has_gateway:
        http_port = plan_gateway_port(port)
        pid = 0 if cluster.gateway is None else cluster.gateway.pid
        gateway = LocalProcess(GATEWAY, "gateway", pid, http_port, http_port, str(directory / GATEWAY))
    return replace(cluster, endpoint=f"127.0.0.1:{port}", port=port, processes=processes, gateway=gateway)


def _running(request: UpRequest, what: str) -> Conflict:
    return Conflict(
        f"The cluster in {request.directory} is running, and {what}. Run `dstore down` first, or leave the option out.",
        reason="CLUSTER_RUNNING",
        metadata={"directory": str(request.directory)},
    )
