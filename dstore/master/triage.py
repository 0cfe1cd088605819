"""Sorts the members of a group by what is to become of them; every planner of upkeep starts from that."""

from collections.abc import Iterable
from dataclasses import dataclass

from dstore.core.files import Policy
from dstore.core.groups import Duty, MemberState, ServerPhase
from dstore.core.ids import ServerId
from dstore.master.placement import domain_of
from dstore.master.views import PlannedGroup, PlannedMember, PlannedServer

WHOLE, FILLING, LEAVING = MemberState.WHOLE, MemberState.FILLING, MemberState.LEAVING


@dataclass(frozen=True, slots=True)
class Triage:
    """The members of one group, each in one list, in the order of the group.

    Attributes:
        keepers: to stay.
        movers: to be replaced by others: their server drains, or they share a failure domain with a keeper.
        leavers: LEAVING already.
        lost: on servers that are out, or that nobody knows.
        good: the keepers and movers that hold everything and are up: what the others are copied from.
    """

    keepers: tuple[PlannedMember, ...]
    movers: tuple[PlannedMember, ...]
    leavers: tuple[PlannedMember, ...]
    lost: tuple[PlannedMember, ...]
    good: frozenset[ServerId]

    @property
    def staying_count(self) -> int:
        """How many members the group has, without those that are leaving."""
        return len(self.keepers) + len(self.movers) + sum(member.state is not LEAVING for member in self.lost)


class Scene:
    """All servers under one policy, looked up often.

    Attributes:
        servers: by id.
        domains: of each server, the failure domain.
        steady: servers whose memberships nothing has to be done about.
    """

    def __init__(self, servers: Iterable[PlannedServer], policy: Policy) -> None:
        self.policy = policy
        self.servers = {server.server_id: server for server in servers}
        self.domains = {
            server_id: domain_of(server_id, server.labels, policy.failure_domain)
            for server_id, server in self.servers.items()
        }
        self.steady = frozenset(
            server_id
            for server_id, server in self.servers.items()
            if server.phase is not ServerPhase.OUT and server.duty is not Duty.DRAINING
        )
        self._is_crowded = len(set(self.domains.values())) < len(self.domains)

    def is_lost(self, server_id: ServerId) -> bool:
        """Whether the server is out, or none that the cluster knows."""
        server = self.servers.get(server_id)
        return server is None or server.phase is ServerPhase.OUT

    def is_settled(self, group: PlannedGroup) -> bool:
        """Whether there is nothing to do about the members of a group."""
        members = group.members
        if len(members) != self.policy.replicas:
            return False
        steady = self.steady
        for member in members:
            if member.state is not WHOLE or member.server_id not in steady:
                return False
        return not self._is_crowded or len({self.domains[member.server_id] for member in members}) == len(members)

    def triage(self, group: PlannedGroup) -> Triage:
        """Sort the members of a group."""
        keepers: list[PlannedMember] = []
        movers: list[PlannedMember] = []
        leavers: list[PlannedMember] = []
        lost: list[PlannedMember] = []
        good = self.good_members(group)
        for member in group.members:
            if self.is_lost(member.server_id):
                lost.append(member)
            elif member.state is LEAVING:
                leavers.append(member)
            elif member.server_id in self.steady:
                keepers.append(member)
            else:
                movers.append(member)
        if self._is_crowded:
            kept: list[PlannedMember] = []
            domains: set[str] = set()
            for member in sorted(keepers, key=lambda each: each.server_id not in good):
                domain = self.domains[member.server_id]
                (movers if domain in domains else kept).append(member)
                domains.add(domain)
            keepers = [member for member in keepers if member in kept]
        return Triage(tuple(keepers), tuple(movers), tuple(leavers), tuple(lost), good)

    def good_members(self, group: PlannedGroup) -> frozenset[ServerId]:
        """Return the members that are WHOLE, up, and lack nothing (Invariant 10)."""
        return frozenset(
            member.server_id
            for member in group.members
            if member.state is WHOLE and member.server_id not in group.missing and self.is_up(member.server_id)
        )

    def is_up(self, server_id: ServerId) -> bool:
        """Whether the server is known and up."""
        server = self.servers.get(server_id)
        return server is not None and server.is_up
