"""Reports of chunkservers and the master's orders."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from dstore.core.groups import Capacity
from dstore.core.ids import BootId, ChunkId, GroupId, ServerId, parse_uuid
from dstore.core.upkeep import (
    Assignment,
    CopyReport,
    DiskProbe,
    Filled,
    GroupDoubt,
    GroupSummary,
    Heartbeat,
    Orders,
    Outcomes,
    Registration,
    ScrubReport,
    Source,
    Standing,
    UnsyncedReport,
    UpkeepSettings,
)
from dstore.rpc.convert.files import chunk_id_from_proto, chunk_id_to_proto, time_from_proto, time_to_proto
from dstore.rpc.convert.groups import (
    cluster_id_from_text,
    duration_from_proto,
    duration_to_proto,
    group_epochs_from_proto,
    group_epochs_to_proto,
    server_id_from_text,
    state_from_proto,
    state_to_proto,
)
from dstore.v1 import cluster_service_pb2 as cluster_v1
from dstore.v1 import types_pb2 as v1


def registration_to_proto(registration: Registration) -> cluster_v1.RegisterResponse:
    """Convert the answer to a join."""
    return cluster_v1.RegisterResponse(
        cluster_id=registration.cluster_id,
        heartbeat_interval=duration_to_proto(registration.heartbeat_interval_s),
        incarnation=registration.incarnation,
        orders=orders_to_proto(registration.orders),
    )


def registration_from_proto(response: cluster_v1.RegisterResponse) -> Registration:
    """Convert the answer to a join."""
    return Registration(
        cluster_id=cluster_id_from_text(response.cluster_id),
        heartbeat_interval_s=duration_from_proto(response.heartbeat_interval),
        incarnation=response.incarnation,
        orders=orders_from_proto(response.orders),
    )


def heartbeat_to_proto(heartbeat: Heartbeat) -> cluster_v1.HeartbeatRequest:
    """Convert a report."""
    return cluster_v1.HeartbeatRequest(
        server_id=heartbeat.server_id,
        boot_id=heartbeat.boot_id,
        total_bytes=heartbeat.capacity.total_bytes,
        used_bytes=heartbeat.capacity.used_bytes,
        chunk_count=heartbeat.chunk_count,
        corrupt_chunk_count=heartbeat.corrupt_chunk_count,
        write_streams=heartbeat.write_streams,
        read_streams=heartbeat.read_streams,
        incarnation=heartbeat.incarnation,
        trash_count=heartbeat.trash_count,
        probe_latency=duration_to_proto(heartbeat.probe.latency_s),
        probe_pending=duration_to_proto(heartbeat.probe.pending_s),
        queue_depth=heartbeat.queue_depth,
        suspicion=heartbeat.suspicion,
        standing=_standing_to_proto(heartbeat.standing) if heartbeat.standing is not None else None,
        settled_sequence=heartbeat.settled_sequence,
        newest_sequence=heartbeat.newest_sequence,
        assignments_digest=heartbeat.assignments_digest,
        groups=[
            cluster_v1.GroupSummary(
                group_id=group.group_id,
                epoch=group.epoch,
                chunk_count=group.chunk_count,
                chunk_bytes=group.chunk_bytes,
                digest=group.digest,
            )
            for group in heartbeat.groups
        ],
        outcomes=_outcomes_to_proto(heartbeat.outcomes),
        scrub=_scrub_to_proto(heartbeat.scrub),
        copying=cluster_v1.CopyReport(
            pending_groups=heartbeat.copying.pending_groups,
            pending_chunks=heartbeat.copying.pending_chunks,
            copied_chunks=heartbeat.copying.copied_chunks,
            copied_bytes=heartbeat.copying.copied_bytes,
            failure=heartbeat.copying.failure,
        ),
        send_time=time_to_proto(heartbeat.sent_ns) if heartbeat.sent_ns else None,
        unsynced_chunk_count=heartbeat.unsynced.chunk_count,
        unsynced_bytes=heartbeat.unsynced.size_bytes,
        unsynced_age=duration_to_proto(heartbeat.unsynced.age_s) if heartbeat.unsynced.chunk_count else None,
        doubts=_doubts_to_proto(heartbeat.doubts),
        read_bytes=heartbeat.read_bytes,
        write_bytes=heartbeat.write_bytes,
    )


def heartbeat_from_proto(request: cluster_v1.HeartbeatRequest) -> Heartbeat:
    """Convert a report."""
    return Heartbeat(
        server_id=server_id_from_text(request.server_id),
        boot_id=BootId(parse_uuid(request.boot_id, what="boot id")),
        capacity=Capacity(total_bytes=request.total_bytes, used_bytes=request.used_bytes),
        chunk_count=request.chunk_count,
        corrupt_chunk_count=request.corrupt_chunk_count,
        write_streams=request.write_streams,
        read_streams=request.read_streams,
        incarnation=request.incarnation,
        trash_count=request.trash_count,
        probe=DiskProbe(duration_from_proto(request.probe_latency), duration_from_proto(request.probe_pending)),
        queue_depth=request.queue_depth,
        suspicion=request.suspicion,
        standing=_standing_from_proto(request.standing) if request.HasField("standing") else None,
        settled_sequence=request.settled_sequence,
        newest_sequence=request.newest_sequence,
        assignments_digest=request.assignments_digest,
        groups=tuple(
            GroupSummary(GroupId(group.group_id), group.epoch, group.chunk_count, group.chunk_bytes, group.digest)
            for group in request.groups
        ),
        outcomes=_outcomes_from_proto(request.outcomes),
        scrub=_scrub_from_proto(request.scrub),
        copying=CopyReport(
            pending_groups=request.copying.pending_groups,
            pending_chunks=request.copying.pending_chunks,
            copied_chunks=request.copying.copied_chunks,
            copied_bytes=request.copying.copied_bytes,
            failure=request.copying.failure,
        ),
        sent_ns=time_from_proto(request.send_time),
        unsynced=UnsyncedReport(
            request.unsynced_chunk_count, request.unsynced_bytes, duration_from_proto(request.unsynced_age)
        ),
        doubts=_doubts_from_proto(request.doubts),
        read_bytes=request.read_bytes,
        write_bytes=request.write_bytes,
    )


def orders_to_proto(orders: Orders) -> cluster_v1.Orders:
    """Convert the master's orders."""
    return cluster_v1.Orders(
        standing=_standing_to_proto(orders.standing),
        settled_sequence=orders.settled_sequence,
        assignments_unchanged=orders.assignments is None,
        assignments=[_assignment_to_proto(assignment) for assignment in orders.assignments or ()],
        assignments_digest=orders.assignments_digest,
        missing=[chunk_id_to_proto(chunk_id) for chunk_id in orders.missing],
        discards=[chunk_id_to_proto(chunk_id) for chunk_id in orders.discards],
        drops=group_epochs_to_proto(orders.drops),
        settings=cluster_v1.UpkeepSettings(
            scrub_period=duration_to_proto(orders.settings.scrub_period_s),
            scrub_paused=orders.settings.scrub_is_paused,
            copy_bytes_per_second=orders.settings.copy_bytes_per_s,
            trash_delay=duration_to_proto(orders.settings.trash_delay_s),
        ),
        examined=_doubts_to_proto(orders.examined),
    )


def orders_from_proto(orders: cluster_v1.Orders) -> Orders:
    """Convert the master's orders."""
    assignments = None
    if not orders.assignments_unchanged:
        assignments = tuple(_assignment_from_proto(assignment) for assignment in orders.assignments)
    return Orders(
        standing=_standing_from_proto(orders.standing),
        settled_sequence=orders.settled_sequence,
        assignments=assignments,
        assignments_digest=orders.assignments_digest,
        missing=_chunk_ids(orders.missing),
        discards=_chunk_ids(orders.discards),
        drops=group_epochs_from_proto(orders.drops),
        settings=UpkeepSettings(
            scrub_period_s=duration_from_proto(orders.settings.scrub_period),
            scrub_is_paused=orders.settings.scrub_paused,
            copy_bytes_per_s=orders.settings.copy_bytes_per_second,
            trash_delay_s=duration_from_proto(orders.settings.trash_delay),
        ),
        examined=_doubts_from_proto(orders.examined),
    )


def _doubts_to_proto(doubts: Iterable[GroupDoubt]) -> list[cluster_v1.GroupDoubt]:
    return [cluster_v1.GroupDoubt(group_id=doubt.group_id, number=doubt.number) for doubt in doubts]


def _doubts_from_proto(doubts: Iterable[cluster_v1.GroupDoubt]) -> tuple[GroupDoubt, ...]:
    return tuple(GroupDoubt(GroupId(doubt.group_id), doubt.number) for doubt in doubts)


def _assignment_to_proto(assignment: Assignment) -> cluster_v1.Assignment:
    return cluster_v1.Assignment(
        group_id=assignment.group_id,
        epoch=assignment.epoch,
        state=state_to_proto(assignment.state),
        urgency=assignment.urgency,
        sources=[
            cluster_v1.CopySource(server_id=source.server_id, address=source.address, member=source.is_member)
            for source in assignment.sources
        ],
    )


def _assignment_from_proto(assignment: cluster_v1.Assignment) -> Assignment:
    return Assignment(
        group_id=GroupId(assignment.group_id),
        epoch=assignment.epoch,
        state=state_from_proto(assignment.state),
        urgency=assignment.urgency,
        sources=tuple(
            Source(server_id_from_text(source.server_id), source.address, source.member)
            for source in assignment.sources
        ),
    )


def _standing_to_proto(standing: Standing) -> cluster_v1.Standing:
    return cluster_v1.Standing(
        leader_epoch=standing.leader_epoch, history_id=standing.history_id, transaction=standing.transaction
    )


def _standing_from_proto(standing: cluster_v1.Standing) -> Standing:
    history_id = parse_uuid(standing.history_id, what="history id")
    return Standing(standing.leader_epoch, history_id, standing.transaction)


def _outcomes_to_proto(outcomes: Outcomes) -> cluster_v1.Outcomes:
    return cluster_v1.Outcomes(
        filled=[
            cluster_v1.Filled(group_id=filled.group_id, epoch=filled.epoch, compared=filled.compared)
            for filled in outcomes.filled
        ],
        held=[chunk_id_to_proto(chunk_id) for chunk_id in outcomes.held],
        corrupt=[chunk_id_to_proto(chunk_id) for chunk_id in outcomes.corrupt],
        discarded=[chunk_id_to_proto(chunk_id) for chunk_id in outcomes.discarded],
        dropped=outcomes.dropped,
    )


def _outcomes_from_proto(outcomes: cluster_v1.Outcomes) -> Outcomes:
    return Outcomes(
        filled=tuple(
            Filled(GroupId(filled.group_id), filled.epoch, _server_ids(filled.compared)) for filled in outcomes.filled
        ),
        held=_chunk_ids(outcomes.held),
        corrupt=_chunk_ids(outcomes.corrupt),
        discarded=_chunk_ids(outcomes.discarded),
        dropped=tuple(GroupId(group_id) for group_id in outcomes.dropped),
    )


def _scrub_to_proto(scrub: ScrubReport) -> cluster_v1.ScrubReport:
    age: Duration | None = None
    if scrub.last_pass_age_s is not None:
        age = duration_to_proto(scrub.last_pass_age_s)
    return cluster_v1.ScrubReport(
        passes=scrub.passes, position=scrub.position, checked_bytes=scrub.checked_bytes, last_pass_age=age
    )


def _scrub_from_proto(scrub: cluster_v1.ScrubReport) -> ScrubReport:
    age_s = duration_from_proto(scrub.last_pass_age) if scrub.HasField("last_pass_age") else None
    return ScrubReport(scrub.passes, scrub.position, scrub.checked_bytes, age_s)


def _chunk_ids(chunk_ids: Iterable[v1.ChunkId]) -> tuple[ChunkId, ...]:
    return tuple(chunk_id_from_proto(chunk_id) for chunk_id in chunk_ids)


def _server_ids(texts: Iterable[str]) -> tuple[ServerId, ...]:
    return tuple(server_id_from_text(text) for text in texts)
