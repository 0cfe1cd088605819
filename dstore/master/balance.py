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
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dstore.core.files import Policy
from dstore.core.ids import GroupId, ServerId
from dstore.core.limits import BALANCE_TOLERANCE, FILL_PLACEMENT_MAX
from dstore.master.candidates import Burden
from dstore.master.ladder import Ladder
from dstore.master.triage import WHOLE, Scene
from dstore.master.views import ChangeReason, MemberChange, PlannedGroup, PlannedServer, PlannerLimits

#: Part of the tolerance at which evening out ends.
_AIM = 0.8
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
        spread_before, spread_after: the largest distance of a disk's fill from the mean, as a share of a disk.
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
) -> BalancePlan:
    """Return the moves that even out fill and memberships; none when the cluster is balanced."""
    assert tolerance > 0
    scene = Scene(servers, policy)
    if sum(server.takes_members for server in scene.servers.values()) < 2:
        return BalancePlan((), 0.0, 0.0, None)
    scales = _Scales(scene, groups, tolerance)
    spread_before = scales.spread()
    if spread_before <= tolerance and not scales.lacking(_SHARE_TRIGGER):
        return BalancePlan((), spread_before, spread_before, None)
    floor = _Floor(scales, groups)
    if spread_before > tolerance:
        floor.even_fill()
    if scales.lacking(_SHARE_TRIGGER):
        floor.even_shares()
    spread_after = scales.spread()
    refusal = scales.refusal() if spread_after > tolerance else None
    return BalancePlan(tuple(floor.moves), spread_before, spread_after, refusal)


def begin_moves(
    moves: Iterable[Move], groups: Sequence[PlannedGroup], *, limits: PlannerLimits
) -> tuple[MemberChange, ...]:
    """Return the changes that begin the moves for which there is room now, at most one in each group."""
    burden = Burden(groups)
    filling_count = burden.filling.total()
    epochs = {group.group_id: group.epoch for group in groups}
    begun: dict[GroupId, MemberChange] = {}
    for move in moves:
        if filling_count >= limits.moves_max or len(begun) >= limits.changes_max:
            break
        if move.group_id in begun or epochs.get(move.group_id) != move.epoch:
            continue
        if burden.filling[move.target] >= limits.moves_per_server_max:
            continue
        burden.filling[move.target] += 1
        filling_count += 1
        begun[move.group_id] = MemberChange(
            move.group_id, move.epoch, ChangeReason.BALANCE, add=(move.target,), leave=(move.source,)
        )
    return tuple(begun.values())


class _Scales:
    """How full each disk is, and what its share of the memberships is.

    Of a group that is being filled, some is on the target's disk already, nobody knows how much. So a disk that gives
    is weighed without what comes in (``held_bytes``), one that takes is weighed with all of it (``expected_bytes``),
    and ``peak_bytes`` is what it holds before anything has left.
    """

    def __init__(self, scene: Scene, groups: Sequence[PlannedGroup], tolerance: float) -> None:
        burden = Burden(groups)
        self.scene = scene
        self.tolerance = tolerance
        taking = {server_id: server for server_id, server in scene.servers.items() if server.takes_members}
        self.totals = {server_id: server.capacity.total_bytes for server_id, server in taking.items()}
        self.held_bytes = {
            server_id: server.capacity.used_bytes - burden.outgoing_bytes[server_id]
            for server_id, server in taking.items()
        }
        self.expected_bytes = {
            server_id: held + burden.incoming_bytes[server_id] for server_id, held in self.held_bytes.items()
        }
        self.peak_bytes = {
            server_id: server.capacity.used_bytes + burden.incoming_bytes[server_id]
            for server_id, server in taking.items()
        }
        self.mean = sum(self.expected_bytes.values()) / sum(self.totals.values())
        self.memberships = Counter({server_id: burden.memberships[server_id] for server_id in taking})
        self.shares = _fair_shares(self.totals, self.memberships.total(), len(groups))

    def fill(self, server_id: ServerId) -> float:
        """Return how full the disk will be."""
        return self.expected_bytes[server_id] / self.totals[server_id]

    def spread(self) -> float:
        """Return the largest distance from the mean."""
        return max(abs(self.fill(server_id) - self.mean) for server_id in self.totals)

    def lack(self, server_id: ServerId) -> float:
        """Return how many memberships a server lacks for its share; negative when it has more."""
        return self.shares[server_id] - self.memberships[server_id]

    def lacking(self, slack: float) -> list[ServerId]:
        """Return the servers that lack more than that part of their share, and more than one membership."""
        return [server_id for server_id, share in self.shares.items() if self.lack(server_id) > max(1.0, slack * share)]

    def room_bytes(self, source: ServerId, target: ServerId) -> float:
        """Return the largest group that may move so that both disks stay, or come, within the aim."""
        high, low = self.mean + _AIM * self.tolerance, self.mean - _AIM * self.tolerance
        return min(
            self.held_bytes[source] - low * self.totals[source],
            high * self.totals[target] - self.expected_bytes[target],
            # Strictly below the watermark, as placement wants it.
            FILL_PLACEMENT_MAX * self.totals[target] - self.peak_bytes[target] - 1,
        )

    def count(self, move: Move) -> None:
        """Take note of a move."""
        self.held_bytes[move.source] -= move.bytes
        self.expected_bytes[move.source] -= move.bytes
        self.expected_bytes[move.target] += move.bytes
        self.peak_bytes[move.target] += move.bytes
        self.memberships[move.source] -= 1
        self.memberships[move.target] += 1

    def refusal(self) -> str:
        """Return why some disks stay further from the mean than they should."""
        names = {server_id: self.scene.servers[server_id].name for server_id in self.totals}
        room = [each for each in self.totals if self.peak_bytes[each] < FILL_PLACEMENT_MAX * self.totals[each]]
        worst = max(self.totals, key=lambda server_id: (abs(self.fill(server_id) - self.mean), server_id))
        state = f"{names[worst]} will be {self.fill(worst):.0%} full and the mean is {self.mean:.0%}"
        if self.mean + self.tolerance >= FILL_PLACEMENT_MAX or not room:
            return (
                f"Data cannot be spread evenly: {state}, but disks are filled to {FILL_PLACEMENT_MAX:.0%} at most; "
                "add chunkservers or remove files."
            )
        return (
            f"Data cannot be spread more evenly: {state}, but no group that could move fits; the other chunkservers "
            f"hold a copy of it, share a {self.scene.policy.failure_domain} with one, or would get too full; add "
            "chunkservers."
        )


class _Floor:
    """The groups that may move, by server, while moves are being planned."""

    def __init__(self, scales: _Scales, groups: Sequence[PlannedGroup]) -> None:
        self.moves: list[Move] = []
        self._scales = scales
        self._domains = scales.scene.domains
        taking = scales.totals
        self._groups = {group.group_id: group for group in groups if _is_quiet(group, taking)}
        self._members = {
            group_id: [member.server_id for member in group.members] for group_id, group in self._groups.items()
        }
        #: What each server could give, by size. What it gets meanwhile is not given on.
        self._stock: dict[ServerId, list[tuple[int, GroupId]]] = {server_id: [] for server_id in taking}
        for group_id, members in self._members.items():
            entry = (self._groups[group_id].chunk_bytes, group_id)
            for server_id in members:
                self._stock[server_id].append(entry)
        for stock in self._stock.values():
            stock.sort()

    def even_fill(self) -> None:
        """Move data until every disk that can be is within the aim."""
        scales = self._scales
        high, low = scales.mean + _AIM * scales.tolerance, scales.mean - _AIM * scales.tolerance
        emptiest = Ladder(self._domains, {each: scales.fill(each) for each in scales.totals})
        fullest = Ladder(self._domains, {each: -scales.fill(each) for each in scales.totals})
        givers = Ladder(self._domains, {each: -scales.fill(each) for each in scales.totals if scales.fill(each) > high})
        takers = Ladder(self._domains, {each: scales.fill(each) for each in scales.totals if scales.fill(each) < low})
        while givers or takers:
            if givers:
                (server_id,) = givers.lowest(_anyone)
                wanted = scales.held_bytes[server_id] - high * scales.totals[server_id]
                move = self._find(((server_id, target) for target in _several(emptiest)), wanted)
            else:
                (server_id,) = takers.lowest(_anyone)
                wanted = low * scales.totals[server_id] - scales.expected_bytes[server_id]
                move = self._find(((source, server_id) for source in _several(fullest)), wanted)
            if move is None:
                (givers or takers).discard(server_id)
                continue
            self._make(move)
            for each in (move.source, move.target):
                fill = scales.fill(each)
                emptiest.move(each, fill)
                fullest.move(each, -fill)
                for ladder, sign in ((givers, -1), (takers, 1)):
                    if each in ladder:
                        ladder.move(each, sign * fill)
                        if low <= fill <= high:
                            ladder.discard(each)

    def even_shares(self) -> None:
        """Move small groups to servers that have few."""
        scales = self._scales
        richest = Ladder(self._domains, {each: self._riches(each) for each in scales.totals})
        waiting = set(scales.lacking(_SHARE_AIM))
        while waiting:
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

    def _riches(self, server_id: ServerId) -> float:
        """Return the memberships per share, negative, so that the richest is the lowest of a ladder."""
        return -self._scales.memberships[server_id] / self._scales.shares[server_id]

    def _find(self, ends: Iterator[tuple[ServerId, ServerId]], wanted: float) -> Move | None:
        """Return the first move that brings about ``wanted`` bytes, or at least some."""
        if wanted <= 0:
            return None
        for source, target in ends:
            room = self._scales.room_bytes(source, target)
            if source != target and room >= 1:
                move = self._fitting(source, target, wanted, room)
                if move is not None:
                    return move
        return None

    def _fitting(self, source: ServerId, target: ServerId, wanted: float, room: float) -> Move | None:
        """Return the move of the smallest group that has the wanted bytes, else of the largest; both within room."""
        stock = self._stock[source]
        start = bisect_left(stock, max(1, min(wanted, room)), key=_size)
        larger = range(start, bisect_right(stock, room, key=_size))
        smaller = range(start - 1, bisect_left(stock, 1, key=_size) - 1, -1)
        for indexes in (larger, smaller):
            for index in indexes:
                if self._may_move(stock[index][1], source, target):
                    return self._move(stock[index][1], source, target)
        return None

    def _smallest(self, source: ServerId, target: ServerId, small: float) -> Move | None:
        """Return the move of the smallest group that is small, and leaves both disks as even as they are."""
        room = max(0.0, min(small, self._scales.room_bytes(source, target)))
        for size_bytes, group_id in self._stock[source]:
            if size_bytes > room:
                return None
            if self._may_move(group_id, source, target):
                return self._move(group_id, source, target)
        return None

    def _may_move(self, group_id: GroupId, source: ServerId, target: ServerId) -> bool:
        domain = self._domains[target]
        return all(
            member == source or (member != target and self._domains[member] != domain)
            for member in self._members[group_id]
        )

    def _move(self, group_id: GroupId, source: ServerId, target: ServerId) -> Move:
        group = self._groups[group_id]
        return Move(group_id, group.epoch, source, target, group.chunk_bytes)

    def _make(self, move: Move) -> None:
        self.moves.append(move)
        self._scales.count(move)
        self._stock[move.source].remove((move.bytes, move.group_id))
        members = self._members[move.group_id]
        members[members.index(move.source)] = move.target


def _fair_shares(totals: Mapping[ServerId, int], memberships: int, group_count: int) -> dict[ServerId, float]:
    """Return how many memberships each server should have: by capacity, but none more than there are groups."""
    shares: dict[ServerId, float] = {}
    left, left_bytes = float(memberships), sum(totals.values())
    for server_id, total_bytes in sorted(totals.items(), key=lambda each: -each[1]):
        shares[server_id] = min(float(group_count), left * total_bytes / left_bytes)
        left -= shares[server_id]
        left_bytes -= total_bytes
    return shares


def _is_quiet(group: PlannedGroup, taking: Container[ServerId]) -> bool:
    """Whether all copies of a group are there, and nothing about it is under way."""
    if group.missing:
        return False
    return all(member.state is WHOLE and member.server_id in taking for member in group.members)


def _several(ladder: Ladder) -> Iterator[ServerId]:
    """Yield the lowest servers; the first one usually does, and finding more costs more."""
    yield from ladder.lowest(_anyone)
    yield from ladder.lowest(_anyone, count=_TRIES)[1:]


def _anyone(_: ServerId) -> bool:
    return True


def _size(entry: tuple[int, GroupId]) -> int:
    return entry[0]
