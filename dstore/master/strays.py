"""Which copies of groups may be dropped: those on servers that are no members, once the members have everything.

A copy is stray while its server reports the group and is no member of it. It is dropped when it was stray for the whole
grace, under the eyes of the present leader, and the group lacks nothing: it has as many members as the policy wants,
each of them whole and up and reporting at least as many chunks as the rows say, and no replica is missing. The writes
must have ended, too, that were in progress when the grace was over: their chunks are in no row that says who lacks
them, and this copy may be one of those that were acknowledged (Invariant 8). All that may be true of members that lack
a chunk which nobody has missed yet; so in the end somebody looks at what they list (``sightings``), every time. A group
that the metadata does not know is never dropped, nor is a copy with chunks that no row names (Invariant 9).
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from dstore.core.groups import GroupEpoch, MemberState
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import DROPS_PER_ORDER_MAX


@dataclass(frozen=True, slots=True)
class Holding:
    """A server reports a group."""

    server_id: ServerId
    group_id: GroupId


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group as the rows have it.

    Attributes:
        chunk_count: chunks of files.
        missing_chunk_count: of these, chunks that some member lacks.
    """

    epoch: int
    chunk_count: int
    missing_chunk_count: int
    members: Mapping[ServerId, MemberState]


@dataclass(frozen=True, slots=True)
class Writing:
    """How far writes have come.

    Attributes:
        newest_sequence: the last that was given out.
        settled_sequence: no chunk below it has a live intent.
    """

    newest_sequence: int
    settled_sequence: int


#: By server that is up, what it reports: the number of chunks by group.
Reports = Mapping[ServerId, Mapping[GroupId, int]]


def find_strays(
    reports: Reports, memberships: Mapping[ServerId, Container[GroupId]], known: Container[GroupId]
) -> frozenset[Holding]:
    """Return the copies on servers that are no members, of groups that are known."""
    return frozenset(
        Holding(server_id, group_id)
        for server_id, groups in reports.items()
        for group_id in groups
        if group_id in known and group_id not in memberships.get(server_id, ())
    )


def lacks_nothing(group_id: GroupId, facts: GroupFacts, reports: Reports, replicas: int) -> bool:
    """Whether no copy beyond those of the members is of any use, as far as counts tell."""
    return (
        len(facts.members) >= replicas
        and facts.missing_chunk_count == 0
        and all(
            state is MemberState.WHOLE and reports.get(member, {}).get(group_id, -1) >= facts.chunk_count
            for member, state in facts.members.items()
        )
    )


class StrayWatch:
    """How long each copy has been stray, and which are ordered to be dropped."""

    def __init__(self) -> None:
        self._since_s: dict[Holding, float] = {}
        #: The newest sequence that had been given out when the grace was over.
        self._newest: dict[Holding, int] = {}
        self._orders: dict[ServerId, tuple[GroupEpoch, ...]] = {}

    @property
    def stray_count(self) -> int:
        """Copies that are stray now."""
        return len(self._since_s)

    def withdraw(self) -> None:
        """Order nothing any more; watching begins anew."""
        self._since_s, self._newest, self._orders = {}, {}, {}

    def see(self, strays: frozenset[Holding], now_s: float, grace_s: float) -> frozenset[GroupId]:
        """Take note of what is stray now; return the groups with copies that were it for the whole grace."""
        self._since_s = {each: self._since_s.get(each, now_s) for each in strays}
        self._newest = {each: newest for each, newest in self._newest.items() if each in strays}
        return frozenset(each.group_id for each, since_s in self._since_s.items() if now_s - since_s >= grace_s)

    def plan(
        self,
        groups: Mapping[GroupId, GroupFacts],
        reports: Reports,
        writing: Writing,
        *,
        replicas: int,
        now_s: float,
        grace_s: float,
        may_go: Callable[[Holding, int, int], bool],
    ) -> None:
        """Order the drops.

        Args:
            groups: those that ``see`` returned, as the rows have them now.
            may_go: tells of a copy, an epoch and a sequence whether all members were seen at this epoch to hold
                everything, when the writes of all chunks up to this sequence were over.
        """
        orders: dict[ServerId, list[GroupEpoch]] = {}
        for each, since_s in sorted(self._since_s.items(), key=lambda item: (item[1], item[0].group_id)):
            facts = groups.get(each.group_id)
            if facts is None or now_s - since_s < grace_s or each.server_id in facts.members:
                continue
            newest = self._newest.setdefault(each, writing.newest_sequence)
            of_server = orders.setdefault(each.server_id, [])
            if (
                newest < writing.settled_sequence
                and len(of_server) < DROPS_PER_ORDER_MAX
                and lacks_nothing(each.group_id, facts, reports, replicas)
                and may_go(each, facts.epoch, newest)
            ):
                of_server.append(GroupEpoch(each.group_id, facts.epoch))
        self._orders = {server_id: tuple(of_server) for server_id, of_server in orders.items()}

    def orders_for(self, server_id: ServerId) -> tuple[GroupEpoch, ...]:
        """Return what a server is to drop."""
        return self._orders.get(server_id, ())
