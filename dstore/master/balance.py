"""Decides which groups move to other servers so that disks fill evenly and everybody has a share; pure.

First fill: when a disk is further from the mean than the tolerance, memberships move from the fullest disks to the
emptiest ones until everybody is well within it. Each move takes the group that is just large enough, or else the
largest that helps, so that few are needed. Then memberships: a server with far fewer than its capacity asks for gets
groups with little data, so that a new server soon takes its part of the writes.

Nothing is done inside the tolerance; what is begun ends at a part of it (hysteresis). No move takes a disk out of the
tolerance or further from the mean on the wrong side, so that moves are never taken back. Only groups move that have
all their copies, and the copy at the source stays until the new one is whole.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dstore.core.files import Policy
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import BALANCE_TOLERANCE
from dstore.master.candidates import Burden
from dstore.master.ladder import Ladder
from dstore.master.scales import Scales
from dstore.master.triage import WHOLE, Scene
from dstore.master.views import ChangeReason, MemberChange, PlannedGroup, PlannedServer, PlannerLimits

#: A group this small, as a share of the tolerance on the disk that takes it, moves for the sake of memberships.
_SMALL = 0.2
#: Memberships are evened out when a server lacks the larger of one and this part of its share; down to the second.
_SHARE_TRIGGER = 0.25
_SHARE_AIM = 0.1
#: Failure domains that are looked at for the other end of a move.
_TRIES = 32


@dataclass(frozen=True, slots=True)
class Move:
    """One membership that goes from one server to another; ``epoch`` is that of the group when it was looked at."""

    group_id: GroupId
    epoch: int
    source: ServerId
    target: ServerId
    bytes: int


@dataclass(frozen=True, slots=True)
class BalancePlan:
    """All moves until the cluster is balanced, in order.

    Attributes:
        spread_before, spread_after: the largest distance of a disk's fill from the mean, as a share of a disk; counted
            are the groups that are to be on it.
        refusal: why disks stay out of the tolerance; None when they do not.
    """

    moves: tuple[Move, ...]
    spread_before: float
    spread_after: float
    refusal: str | None

    @property
    def bytes(self) -> int:
        """What is copied."""
        return sum(move.bytes for move in self.moves)


def plan_balance(
    servers: Iterable[PlannedServer],
    groups: Sequence[PlannedGroup],
    policy: Policy,
    *,
    tolerance: float = BALANCE_TOLERANCE,
    moves_max: int | None = None,
) -> BalancePlan:
    """Return the moves that even out fill and memberships; none when the cluster is balanced.

    With ``moves_max``, only the first so many are planned: a leader plans again once they are done.
    """
    assert tolerance > 0
    scene = Scene(servers, policy)
    if sum(server.takes_members for server in scene.servers.values()) < 2:
        return BalancePlan((), 0.0, 0.0, None)
    scales = Scales(scene, groups, tolerance)
    spread_before = scales.spread()
    if spread_before <= tolerance and not scales.lacking(_SHARE_TRIGGER):
        return BalancePlan((), spread_before, spread_before, None)
    floor = _Floor(scales, groups, moves_max)
    if spread_before > tolerance:
        floor.even_fill()
    if scales.lacking(_SHARE_TRIGGER):
        floor.even_shares()
    spread_after = scales.spread()
    is_complete = moves_max is None or len(floor.moves) < moves_max
    refusal = scales.refusal() if spread_after > tolerance and is_complete else None
    return BalancePlan(_in_turns(floor.moves), spread_before, spread_after, refusal)


def begin_moves(
    moves: Iterable[Move], servers: Iterable[PlannedServer], groups: Sequence[PlannedGroup], *, limits: PlannerLimits
) -> tuple[MemberChange, ...]:
    """Return the changes that begin the moves for which there is room now, at most one in each group.

    Moves to or from servers that were planned for and drain, are away or were removed meanwhile are not begun.
    """
    taking = {server.server_id for server in servers if server.takes_members}
    burden = Burden(groups)
    filling_count = burden.filling.total()
    epochs = {group.group_id: group.epoch for group in groups}
    seen: set[GroupId] = set()
    begun: list[MemberChange] = []
    for move in moves:
        if filling_count >= limits.moves_max or len(begun) >= limits.changes_max:
            break
        # Later moves of a group build on the first one, and so wait with it.
        is_first = move.group_id not in seen
        seen.add(move.group_id)
        if not is_first or epochs.get(move.group_id) != move.epoch or not {move.source, move.target} <= taking:
            continue
        if burden.filling[move.target] < limits.moves_per_server_max:
            burden.filling[move.target] += 1
            filling_count += 1
            begun.append(
                MemberChange(move.group_id, move.epoch, ChangeReason.BALANCE, add=(move.target,), leave=(move.source,))
            )
    return tuple(begun)


class _Floor:
    """The groups that may move, by server, while moves are being planned."""

    def __init__(self, scales: Scales, groups: Sequence[PlannedGroup], moves_max: int | None) -> None:
        self.moves: list[Move] = []
        self._moves_max = moves_max
        self._scales = scales
        self._domains = scales.scene.domains
        #: What each server could give, by size once it is looked at. What it gets meanwhile is not given on.
        self._stocks: dict[ServerId, list[PlannedGroup]] = {server_id: [] for server_id in scales.totals}
        self._sorted: set[ServerId] = set()
        #: The members of the groups that moves were planned for.
        self._members: dict[GroupId, tuple[ServerId, ...]] = {}
        for group in groups:
            if _is_quiet(group, scales.totals):
                for member in group.members:
                    self._stocks[member.server_id].append(group)

    def even_fill(self) -> None:
        """Move data until every disk that can be is within the aim: first off the fullest, then onto the emptiest."""
        scales = self._scales
        high, low = scales.high, scales.low
        emptiest = Ladder(self._domains, {each: scales.fill(each) for each in scales.totals})
        for source in sorted(scales.totals, key=lambda each: (-scales.fill(each), each)):
            while scales.fill(source) > high and self._has_time():
                wanted = scales.assigned_bytes[source] - high * scales.totals[source]
                move = self._find(((source, target) for target in _several(emptiest)), wanted)
                if move is None:
                    break
                self._make(move)
                emptiest.move(move.target, scales.fill(move.target))
            emptiest.move(source, scales.fill(source))
        fullest = Ladder(self._domains, {each: -scales.fill(each) for each in scales.totals})
        for target in sorted(scales.totals, key=lambda each: (scales.fill(each), each)):
            while scales.fill(target) < low and self._has_time():
                wanted = low * scales.totals[target] - scales.assigned_bytes[target]
                move = self._find(((source, target) for source in _several(fullest)), wanted)
                if move is None:
                    break
                self._make(move)
                fullest.move(move.source, -scales.fill(move.source))
            fullest.move(target, -scales.fill(target))

    def even_shares(self) -> None:
        """Move small groups to servers that have few."""
        scales = self._scales
        richest = Ladder(self._domains, {each: self._riches(each) for each in scales.totals})
        waiting = set(scales.lacking(_SHARE_AIM))
        while waiting and self._has_time():
            target = min(waiting, key=lambda each: (self._riches(each), each))
            small = _SMALL * scales.tolerance * scales.totals[target]
            found = [
                move
                for source in richest.lowest(lambda each: scales.lack(each) <= 0, count=_TRIES, tries=_TRIES)
                if (move := self._smallest(source, target, small)) is not None
            ]
            if not found:
                waiting.discard(target)
                continue
            move = min(found, key=lambda each: each.bytes)
            self._make(move)
            richest.move(move.source, self._riches(move.source))
            richest.move(target, self._riches(target))
            if scales.lack(target) <= max(1.0, _SHARE_AIM * scales.shares[target]):
                waiting.discard(target)

    def _has_time(self) -> bool:
        return self._moves_max is None or len(self.moves) < self._moves_max

    def _riches(self, server_id: ServerId) -> float:
        """Return the memberships per share, negative, so that the richest is the lowest of a ladder."""
        return -self._scales.memberships[server_id] / self._scales.shares[server_id]

    def _find(self, ends: Iterator[tuple[ServerId, ServerId]], wanted: float) -> Move | None:
        """Return the first move that brings about ``wanted`` bytes, or at least some."""
        for source, target in ends:
            room = self._scales.room_bytes(source, target)
            if source != target and room >= 1:
                move = self._fitting(source, target, wanted, room)
                if move is not None:
                    return move
        return None

    def _fitting(self, source: ServerId, target: ServerId, wanted: float, room: float) -> Move | None:
        """Return the move of the smallest group that has the wanted bytes, else of the largest; both within room."""
        stock = self._stock(source)
        start = bisect_left(stock, max(1, min(wanted, room)), key=_size)
        larger = range(start, bisect_right(stock, room, key=_size))
        smaller = range(start - 1, bisect_left(stock, 1, key=_size) - 1, -1)
        for indexes in (larger, smaller):
            for index in indexes:
                if self._may_move(stock[index], source, target):
                    return _move(stock[index], source, target)
        return None

    def _smallest(self, source: ServerId, target: ServerId, small: float) -> Move | None:
        """Return the move of the smallest group that is small, and leaves both disks as even as they are."""
        room = max(0.0, min(small, self._scales.room_bytes(source, target)))
        for group in self._stock(source):
            if group.chunk_bytes > room:
                return None
            if self._may_move(group, source, target):
                return _move(group, source, target)
        return None

    def _stock(self, server_id: ServerId) -> list[PlannedGroup]:
        stock = self._stocks[server_id]
        if server_id not in self._sorted:
            stock.sort(key=_size_and_id)
            self._sorted.add(server_id)
        return stock

    def _members_of(self, group: PlannedGroup) -> tuple[ServerId, ...]:
        return self._members.get(group.group_id) or tuple(member.server_id for member in group.members)

    def _may_move(self, group: PlannedGroup, source: ServerId, target: ServerId) -> bool:
        domain = self._domains[target]
        for member in self._members_of(group):
            if member == target or (member != source and self._domains[member] == domain):
                return False
        return True

    def _make(self, move: Move) -> None:
        self.moves.append(move)
        self._scales.shift(move.source, move.target, move.bytes)
        stock = self._stocks[move.source]
        group = stock.pop(bisect_left(stock, (move.bytes, move.group_id), key=_size_and_id))
        self._members[move.group_id] = tuple(
            move.target if member == move.source else member for member in self._members_of(group)
        )


def _is_quiet(group: PlannedGroup, taking: Container[ServerId]) -> bool:
    """Whether all copies of a group are there, and nothing about it is under way."""
    if group.missing:
        return False
    return all(member.state is WHOLE and member.server_id in taking for member in group.members)


def _in_turns(moves: Sequence[Move]) -> tuple[Move, ...]:
    """Order moves so that the sources take turns; those of one group stay in order, since they build on each other."""
    turns: Counter[ServerId] = Counter()
    of_group: Counter[GroupId] = Counter()
    keyed: list[tuple[int, int]] = []
    for index, move in enumerate(moves):
        turns[move.source] += 1
        of_group[move.group_id] = max(of_group[move.group_id], turns[move.source])
        keyed.append((of_group[move.group_id], index))
    return tuple(moves[index] for _, index in sorted(keyed))


def _several(ladder: Ladder) -> Iterator[ServerId]:
    """Yield the lowest servers; the first one usually does, and finding more costs more."""
    yield from ladder.lowest(_anyone)
    yield from ladder.lowest(_anyone, count=_TRIES)[1:]


def _anyone(_: ServerId) -> bool:
    return True


def _move(group: PlannedGroup, source: ServerId, target: ServerId) -> Move:
    return Move(group.group_id, group.epoch, source, target, group.chunk_bytes)


def _size(group: PlannedGroup) -> int:
    return group.chunk_bytes


def _size_and_id(group: PlannedGroup) -> tuple[int, GroupId]:
    return (group.chunk_bytes, group.group_id)
