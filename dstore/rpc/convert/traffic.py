"""What moves in a cluster, as operators read it."""

from dstore.core.sizes import format_size
from dstore.core.status import GroupStates, RepairProgress
from dstore.core.traffic import ByteCounts, Traffic
from dstore.rpc.convert.groups import duration_from_proto, duration_to_proto
from dstore.v1 import admin_service_pb2 as v1


def traffic_to_proto(traffic: Traffic) -> v1.Traffic:
    """Convert what servers move."""
    per_s = traffic.per_s
    return v1.Traffic(
        summary=f"{format_size(per_s.read_bytes)}/s read, {format_size(per_s.write_bytes)}/s written, "
        f"{format_size(per_s.copied_bytes)}/s copied, {format_size(per_s.scrubbed_bytes)}/s scrubbed",
        total=_counts_to_proto(traffic.total),
        per_second=_counts_to_proto(per_s),
    )


def traffic_from_proto(traffic: v1.Traffic) -> Traffic:
    """Convert what servers move; an older master says nothing of it."""
    return Traffic(_counts_from_proto(traffic.total), _counts_from_proto(traffic.per_second))


def _counts_to_proto(counts: ByteCounts) -> v1.ByteCounts:
    return v1.ByteCounts(
        read_bytes=counts.read_bytes,
        write_bytes=counts.write_bytes,
        copied_bytes=counts.copied_bytes,
        scrubbed_bytes=counts.scrubbed_bytes,
    )


def _counts_from_proto(counts: v1.ByteCounts) -> ByteCounts:
    return ByteCounts(counts.read_bytes, counts.write_bytes, counts.copied_bytes, counts.scrubbed_bytes)


def repair_to_proto(repair: RepairProgress) -> v1.RepairProgress:
    """Convert how far the copying is."""
    return v1.RepairProgress(
        filling_copies=repair.filling_copies,
        left=format_size(repair.left_bytes),
        left_bytes=repair.left_bytes,
        bytes_per_second=repair.bytes_per_s,
        left_time=None if repair.left_s is None else duration_to_proto(repair.left_s),
    )


def repair_from_proto(repair: v1.RepairProgress) -> RepairProgress:
    """Convert how far the copying is."""
    left_s = duration_from_proto(repair.left_time) if repair.HasField("left_time") else None
    return RepairProgress(repair.filling_copies, repair.left_bytes, repair.bytes_per_second, left_s)


def group_states_to_proto(states: GroupStates) -> v1.GroupStates:
    """Convert how many groups are in which state."""
    return v1.GroupStates(
        whole=states.whole, filling=states.filling, degraded=states.degraded, unavailable=states.unavailable
    )


def group_states_from_proto(states: v1.GroupStates) -> GroupStates:
    """Convert how many groups are in which state."""
    return GroupStates(states.whole, states.filling, states.degraded, states.unavailable)
