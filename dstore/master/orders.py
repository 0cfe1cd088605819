"""What the master orders a chunkserver: made of the group map and the live servers, without touching the store."""

import hashlib
from collections.abc import Mapping, Sequence

from dstore.core.ids import ServerId
from dstore.core.upkeep import Assignment, Source
from dstore.master.group_map import GroupMap
from dstore.master.membership import ServerState
from dstore.master.placement import PlacedGroup


def assignments_of(
    server_id: ServerId, groups: GroupMap, states: Mapping[ServerId, ServerState]
) -> tuple[Assignment, ...]:
    """Return the groups of a server, each with the other members as sources."""
    return tuple(_assignment(server_id, groups.by_id[each], states) for each in groups.of_server(server_id))


def assignments_digest(assignments: Sequence[Assignment]) -> bytes:
    """Return 16 bytes that differ when the assignments do."""
    return hashlib.blake2b(repr(assignments).encode(), digest_size=16).digest()


def _assignment(server_id: ServerId, group: PlacedGroup, states: Mapping[ServerId, ServerState]) -> Assignment:
    others = [member for member in group.members if member != server_id]
    return Assignment(
        group_id=group.group_id,
        epoch=group.epoch,
        state=group.state_of(server_id),
        urgency=len(others),
        sources=tuple(Source(other, states[other].record.address) for other in others if other in states),
    )
