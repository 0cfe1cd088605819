"""Health, nodes and descriptions, as operators read them."""

from collections.abc import Iterable

from dstore.core.files import ChunkRecord
from dstore.core.groups import Capacity, Group, Replica, ServerLabels
from dstore.core.ids import GroupId, ServerId
from dstore.core.sizes import format_size
from dstore.core.status import (
    ChunkDescription,
    ClusterStatus,
    FileDescription,
    Health,
    HealthCheck,
    ServerStatus,
)
from dstore.core.text import printable
from dstore.rpc.convert.duties import duty_from_proto, duty_to_proto
from dstore.rpc.convert.files import (
    chunk_id_from_proto,
    chunk_id_to_proto,
    info_from_proto,
    info_to_proto,
    policy_from_proto,
    policy_to_proto,
    time_from_proto,
    time_to_proto,
)
from dstore.rpc.convert.groups import (
    cluster_id_from_text,
    duration_from_proto,
    duration_to_proto,
    phase_from_proto,
    phase_to_proto,
    server_id_from_text,
)
from dstore.rpc.convert.traffic import (
    group_states_from_proto,
    group_states_to_proto,
    repair_from_proto,
    repair_to_proto,
    traffic_from_proto,
    traffic_to_proto,
)
from dstore.v1 import admin_service_pb2 as v1

_HEALTHS = {Health.OK: v1.HEALTH_OK, Health.WARN: v1.HEALTH_WARN, Health.ERROR: v1.HEALTH_ERR}
_HEALTHS_BACK = {number: health for health, number in _HEALTHS.items()}


def _health_from_proto(health: v1.Health) -> Health:
    # A health that a newer master invented is surely not OK.
    return _HEALTHS_BACK.get(health, Health.ERROR)


def check_to_proto(check: HealthCheck) -> v1.HealthCheck:
    """Convert one reason."""
    return v1.HealthCheck(code=check.code, severity=_HEALTHS[check.severity], message=check.message, hint=check.hint)


def status_to_proto(status: ClusterStatus) -> v1.GetClusterStatusResponse:
    """Convert the screen about a cluster; its servers travel with ``ListNodes``."""
    return v1.GetClusterStatusResponse(
        health=_HEALTHS[status.health],
        summary=status.summary,
        checks=[check_to_proto(check) for check in status.checks],
        servers_up=status.servers_up,
        servers_total=status.servers_total,
        under_replicated_chunks=status.under_replicated_chunks,
        unavailable_chunks=status.unavailable_chunks,
        chunks=status.chunk_count,
        files=status.file_count,
        directories=status.directory_count,
        logical=format_size(status.logical_bytes),
        logical_bytes=status.logical_bytes,
        stored=format_size(status.stored_bytes),
        stored_bytes=status.stored_bytes,
        free=format_size(status.capacity.free_bytes),
        free_bytes=status.capacity.free_bytes,
        deleted_chunks=status.deleted_chunks,
        writes_in_progress=status.writes_in_progress,
        groups=status.group_count,
        cluster_id=status.cluster_id,
        version=status.version,
        policy=policy_to_proto(status.policy),
        retained_files=status.retained_file_count,
        retained=format_size(status.retained_bytes),
        retained_bytes=status.retained_bytes,
        trashed_copies=status.trashed_copies,
        unsynced_copies=status.unsynced_copies,
        unsynced=format_size(status.unsynced_bytes),
        unsynced_bytes=status.unsynced_bytes,
        unsynced_age=duration_to_proto(status.unsynced_age_s) if status.unsynced_copies else None,
        time=time_to_proto(status.time_ns) if status.time_ns else None,
        traffic=traffic_to_proto(status.traffic),
        repair=repair_to_proto(status.repair),
        group_states=group_states_to_proto(status.group_states),
        leading=status.is_leading,
        leader_epoch=status.leader_epoch,
    )


def status_from_proto(response: v1.GetClusterStatusResponse, nodes: Iterable[v1.Node]) -> ClusterStatus:
    """Convert the screen about a cluster with its servers; its sentences cannot steer the terminal they end on."""
    servers = tuple(node_from_proto(node) for node in nodes)
    total_bytes = sum(server.capacity.total_bytes for server in servers)
    return ClusterStatus(
        health=_health_from_proto(response.health),
        summary=printable(response.summary),
        checks=tuple(
            HealthCheck(
                printable(check.code),
                _health_from_proto(check.severity),
                printable(check.message),
                printable(check.hint),
            )
            for check in response.checks
        ),
        cluster_id=cluster_id_from_text(response.cluster_id),
        version=printable(response.version),
        policy=policy_from_proto(response.policy),
        servers_up=response.servers_up,
        servers_total=response.servers_total,
        group_count=response.groups,
        file_count=response.files,
        directory_count=response.directories,
        chunk_count=response.chunks,
        logical_bytes=response.logical_bytes,
        stored_bytes=response.stored_bytes,
        under_replicated_chunks=response.under_replicated_chunks,
        unavailable_chunks=response.unavailable_chunks,
        deleted_chunks=response.deleted_chunks,
        writes_in_progress=response.writes_in_progress,
        capacity=Capacity(total_bytes, max(0, total_bytes - response.free_bytes)),
        servers=servers,
        retained_file_count=response.retained_files,
        retained_bytes=response.retained_bytes,
        trashed_copies=response.trashed_copies,
        unsynced_copies=response.unsynced_copies,
        unsynced_bytes=response.unsynced_bytes,
        unsynced_age_s=duration_from_proto(response.unsynced_age),
        time_ns=time_from_proto(response.time),
        traffic=traffic_from_proto(response.traffic),
        repair=repair_from_proto(response.repair),
        group_states=group_states_from_proto(response.group_states),
        is_leading=response.leading,
        leader_epoch=response.leader_epoch,
    )


def node_to_proto(server: ServerStatus) -> v1.Node:
    """Convert a chunkserver."""
    age_s = server.last_heartbeat_age_s
    return v1.Node(
        name=server.name,
        phase=phase_to_proto(server.phase),
        address=server.address,
        last_heartbeat_age=None if age_s is None else duration_to_proto(age_s),
        chunks=server.chunk_count,
        missing_chunks=server.missing_chunk_count,
        groups=server.group_count,
        groups_led=server.lead_count,
        fill_percent=round(100 * server.capacity.fill),
        total=format_size(server.capacity.total_bytes),
        total_bytes=server.capacity.total_bytes,
        used_bytes=server.capacity.used_bytes,
        host=server.labels.host,
        rack=server.labels.rack,
        http_address=server.http_address,
        server_id=server.server_id,
        version=server.version,
        duty=duty_to_proto(server.duty),
        filling_groups=server.filling_count,
        corrupt_chunks=server.corrupt_chunk_count,
        probe_latency=duration_to_proto(server.probe_latency_s),
        scrub_position=server.scrub_position,
        scrub_age=None if server.scrub_age_s is None else duration_to_proto(server.scrub_age_s),
        unsynced_chunks=server.unsynced_chunk_count,
        clock_ahead_seconds=server.clock_ahead_s,
        traffic=traffic_to_proto(server.traffic),
    )


def node_from_proto(node: v1.Node) -> ServerStatus:
    """Convert a chunkserver."""
    age_s = duration_from_proto(node.last_heartbeat_age) if node.HasField("last_heartbeat_age") else None
    return ServerStatus(
        server_id=server_id_from_text(node.server_id),
        name=node.name,
        address=node.address,
        http_address=node.http_address,
        labels=ServerLabels(host=node.host, rack=node.rack),
        phase=phase_from_proto(node.phase),
        last_heartbeat_age_s=age_s,
        capacity=Capacity(node.total_bytes, node.used_bytes),
        chunk_count=node.chunks,
        group_count=node.groups,
        lead_count=node.groups_led,
        missing_chunk_count=node.missing_chunks,
        version=node.version,
        duty=duty_from_proto(node.duty),
        filling_count=node.filling_groups,
        corrupt_chunk_count=node.corrupt_chunks,
        probe_latency_s=duration_from_proto(node.probe_latency),
        scrub_position=node.scrub_position,
        scrub_age_s=duration_from_proto(node.scrub_age) if node.HasField("scrub_age") else None,
        unsynced_chunk_count=node.unsynced_chunks,
        clock_ahead_s=node.clock_ahead_seconds,
        traffic=traffic_from_proto(node.traffic),
    )


def description_to_proto(description: FileDescription) -> v1.DescribeFileResponse:
    """Convert where a file is."""
    return v1.DescribeFileResponse(
        info=info_to_proto(description.info),
        policy=policy_to_proto(description.policy),
        key_ids=[key_id.hex() for key_id in description.key_ids],
        chunks=[_chunk_to_proto(chunk) for chunk in description.chunks],
        next_index=description.next_chunk_index,
    )


def _chunk_to_proto(chunk: ChunkDescription) -> v1.ChunkDescription:
    record = chunk.record
    return v1.ChunkDescription(
        index=record.index,
        chunk=str(record.chunk_id),
        length_bytes=record.length_bytes,
        crc32c=f"{record.crc32c:08x}",
        group_id=chunk.group.group_id,
        group_epoch=chunk.group.epoch,
        replicas=[
            v1.ReplicaDescription(
                server=member.name,
                phase=phase_to_proto(member.phase),
                missing=member.server_id in chunk.missing,
                address=member.address,
                server_id=member.server_id,
            )
            for member in chunk.group.members
        ],
        chunk_id=chunk_id_to_proto(record.chunk_id),
    )


def description_from_proto(response: v1.DescribeFileResponse) -> FileDescription:
    """Convert where a file is; the headers of its chunks do not travel with a description."""
    return FileDescription(
        info=info_from_proto(response.info),
        policy=policy_from_proto(response.policy),
        key_ids=tuple(bytes.fromhex(key_id) for key_id in response.key_ids),
        chunks=tuple(_chunk_from_proto(chunk) for chunk in response.chunks),
        next_chunk_index=response.next_index if response.HasField("next_index") else None,
    )


def _chunk_from_proto(chunk: v1.ChunkDescription) -> ChunkDescription:
    members = tuple(
        Replica(
            server_id=server_id_from_text(replica.server_id),
            name=replica.server,
            address=replica.address,
            phase=phase_from_proto(replica.phase),
        )
        for replica in chunk.replicas
    )
    return ChunkDescription(
        record=ChunkRecord(
            index=chunk.index,
            chunk_id=chunk_id_from_proto(chunk.chunk_id),
            length_bytes=chunk.length_bytes,
            crc32c=int(chunk.crc32c, 16),
            header=b"",
        ),
        group=Group(GroupId(chunk.group_id), chunk.group_epoch, members),
        missing=tuple(ServerId(replica.server_id) for replica in chunk.replicas if replica.missing),
    )
