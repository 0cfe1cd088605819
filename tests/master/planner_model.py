"""A tiny cluster for the planners: which server physically holds which chunks, and what their changes do to that."""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from master_harness import server_id

from dstore.core.files import Policy
from dstore.core.groups import Capacity, Duty, MemberState, ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.master.placement import domain_of
from dstore.master.views import MemberChange, PlannedGroup, PlannedMember, PlannedServer

WHOLE, FILLING, LEAVING = MemberState.WHOLE, MemberState.FILLING, MemberState.LEAVING
STATES = {"W": WHOLE, "F": FILLING, "L": LEAVING}
GIB = 1 << 30


def policy(replicas: int = 3, failure_domain: str = "server") -> Policy:
    return Policy("default", replicas, min(2, replicas), 16384, failure_domain)


def server(
    number: int,
    *,
    phase: ServerPhase = ServerPhase.UP,
    duty: Duty = Duty.ACTIVE,
    host: str = "",
    rack: str = "",
    total: int = 1000 * GIB,
    used: int = 100 * GIB,
) -> PlannedServer:
    labels = ServerLabels(host or f"host-{number}", rack)
    return PlannedServer(server_id(number), f"cs-{number}", labels, phase, duty, Capacity(total, used))


def servers(text: str) -> list[PlannedServer]:
    """Read ``"1 2:out 3:draining 4@h1 5:full"``: numbers, then what is special about them."""
    found = []
    for number, flag, host in re.findall(r"(\d+)(?::(\w+))?(?:@(\w+))?", text):
        phase = ServerPhase(flag) if flag in {each.value for each in ServerPhase} else ServerPhase.UP
        duty = Duty(flag) if flag in {each.value for each in Duty} else Duty.ACTIVE
        total = 0 if flag == "silent" else 1000 * GIB
        used = {"full": 900 * GIB, "silent": 0}.get(flag, 100 * GIB)
        found.append(server(int(number), phase=phase, duty=duty, host=host, total=total, used=used))
    return found


def group(text: str, *, number: int = 1, size: int = GIB, missing: Iterable[int] = (), epoch: int = 7) -> PlannedGroup:
    """Read ``"1W 2F 3L"``: the members in order with their states."""
    members = tuple(PlannedMember(server_id(int(each[:-1])), STATES[each[-1]]) for each in text.split())
    return PlannedGroup(GroupId(number), epoch, members, 1 if size else 0, size, frozenset(map(server_id, missing)))


def numbers(server_ids: Iterable[ServerId]) -> list[int]:
    return [int(each[-12:], 16) for each in server_ids]


def shown(change: MemberChange) -> str:
    """Return a change as ``"repair 1: +4 -3"``: + added, - removed, > leaving, < back."""
    parts = [
        *(f"+{number}" for number in numbers(change.add)),
        *(f"<{number}" for number in numbers(change.return_)),
        *(f">{number}" for number in numbers(change.leave)),
        *(f"-{number}" for number in numbers(change.remove)),
    ]
    return f"{change.reason.value} {change.group_id}: {' '.join(parts)}"


class Cluster:
    """Servers, groups and what is on the disks. Changes are applied as the master would, and checked."""

    def __init__(self, known: Sequence[PlannedServer], groups: Iterable[PlannedGroup], rules: Policy) -> None:
        self.rules = rules
        self.known = {each.server_id: each for each in known}
        self.groups = {each.group_id: each for each in groups}
        self.committed: dict[GroupId, set[int]] = {group_id: set() for group_id in self.groups}
        self.disks: dict[tuple[GroupId, ServerId], set[int]] = {}
        self.domains = {each.server_id: domain_of(each.server_id, each.labels, rules.failure_domain) for each in known}
        self._sequence = 0

    @property
    def servers(self) -> list[PlannedServer]:
        return list(self.known.values())

    @property
    def view(self) -> list[PlannedGroup]:
        """The groups as the master would show them to the planners."""
        return [
            replace(
                each,
                chunk_count=len(self.committed[each.group_id]),
                missing=frozenset(
                    member.server_id
                    for member in each.members
                    if member.state is WHOLE and self.lacks(each.group_id, member.server_id)
                ),
            )
            for each in self.groups.values()
        ]

    def make(self, number: int, *, phase: ServerPhase | None = None, duty: Duty | None = None) -> None:
        old = self.known[server_id(number)]
        self.known[old.server_id] = replace(old, phase=phase or old.phase, duty=duty or old.duty)

    def is_up(self, each: ServerId) -> bool:
        return self.known[each].phase is ServerPhase.UP

    def held(self, group_id: GroupId, each: ServerId) -> set[int]:
        return self.disks.setdefault((group_id, each), set())

    def lacks(self, group_id: GroupId, each: ServerId) -> set[int]:
        return self.committed[group_id] - self.held(group_id, each)

    def write(self) -> None:
        """Commit one chunk in each group that enough members can take it for."""
        for each in self.groups.values():
            takers = [m.server_id for m in each.members if m.state is not LEAVING and self.is_up(m.server_id)]
            if len(takers) >= self.rules.min_replicas:
                self._sequence += 1
                self.committed[each.group_id].add(self._sequence)
                for taker in takers:
                    self.held(each.group_id, taker).add(self._sequence)

    def copies(self, group_id: GroupId) -> dict[int, int]:
        """Return, by chunk, how many members that are up hold it."""
        up = [member.server_id for member in self.groups[group_id].members if self.is_up(member.server_id)]
        return {chunk: sum(chunk in self.held(group_id, each) for each in up) for chunk in self.committed[group_id]}

    def listed(self, group_id: GroupId) -> set[int]:
        """Return the chunks that some member has on its disk, be it up or not."""
        return set().union(*(self.held(group_id, member.server_id) for member in self.groups[group_id].members))

    def apply(self, change: MemberChange) -> None:
        """Change members; no chunk may lose a copy that it needs, and no member may appear from nowhere."""
        old = self.groups[change.group_id]
        assert change.epoch == old.epoch
        states = {member.server_id: member.state for member in old.members}
        assert len(states) == len(old.members)
        assert change.add or change.leave or change.remove or change.return_
        before, listed = self.copies(change.group_id), self.listed(change.group_id)
        for each in change.leave:
            assert states[each] is WHOLE
            states[each] = LEAVING
        for each in change.return_:
            assert states[each] is LEAVING
            states[each] = FILLING
        for each in change.remove:
            del states[each]
        for each in change.add:
            assert each not in states and self.known[each].takes_members
            states[each] = FILLING
        members = tuple(PlannedMember(each, state) for each, state in states.items())
        self.groups[change.group_id] = replace(old, epoch=old.epoch + 1, members=members)
        assert self.listed(change.group_id) >= listed, change
        after = self.copies(change.group_id)
        for chunk, count in before.items():
            assert after[chunk] >= min(count, self.rules.replicas), (change, chunk)
        assert self.conflicts(self.groups[change.group_id]) <= self.conflicts(old), change

    def conflicts(self, each: PlannedGroup) -> int:
        """Count members, without those that are out or leaving, beside another in their failure domain."""
        domains = [
            self.domains[member.server_id]
            for member in each.members
            if member.state is not LEAVING and self.known[member.server_id].phase is not ServerPhase.OUT
        ]
        return len(domains) - len(set(domains))

    def copy(self, rng: random.Random, chance: float = 1.0) -> None:
        """Let members that are up copy what they lack from any disk of the cluster that is up."""
        for each in list(self.groups.values()):
            states = {}
            for member in each.members:
                states[member.server_id] = member.state
                if not self.is_up(member.server_id) or rng.random() > chance or member.state is LEAVING:
                    continue
                for other in self.known:
                    if self.is_up(other):
                        reachable = self.held(each.group_id, other) & self.committed[each.group_id]
                        self.held(each.group_id, member.server_id).update(reachable)
                states[member.server_id] = WHOLE
            if any(states[member.server_id] is not member.state for member in each.members):
                members = tuple(PlannedMember(found, state) for found, state in states.items())
                self.groups[each.group_id] = replace(each, members=members, epoch=each.epoch + 1)

    def is_settled(self, each: PlannedGroup) -> bool:
        """Whether a group has all its members, whole, on servers that are to stay, with all chunks."""
        return (
            len(each.members) == self.rules.replicas
            and all(
                member.state is WHOLE
                and self.known[member.server_id].phase is not ServerPhase.OUT
                and self.known[member.server_id].duty is not Duty.DRAINING
                and not self.lacks(each.group_id, member.server_id)
                for member in each.members
            )
            and not self.conflicts(each)
        )


def placed(plan: Sequence[tuple[ServerId, ...]], size: int = GIB) -> list[PlannedGroup]:
    """Return groups with these members, all whole."""
    return [
        PlannedGroup(GroupId(index + 1), 1, tuple(PlannedMember(each, WHOLE) for each in members), 1, size)
        for index, members in enumerate(plan)
    ]
