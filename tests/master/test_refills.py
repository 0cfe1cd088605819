"""Who is filled again, and which groups are looked at instead: a member is never filled from nobody knows what."""

from dataclasses import dataclass, field
from typing import cast

import pytest
from master_harness import boot_id, server_id

from dstore.core.groups import ServerLabels, ServerPhase
from dstore.core.ids import GroupId, ServerId
from dstore.master.group_map import GroupMap
from dstore.master.holdings import Holdings
from dstore.master.membership import ServerState
from dstore.master.placement import PlacedGroup
from dstore.master.refills import PATIENCE_S, Refills
from dstore.master.server_rows import ServerRecord

A, B, C = (server_id(number) for number in (1, 2, 3))
GROUP = PlacedGroup(GroupId(7), (A, B, C), epoch=5)


@dataclass
class Judged:
    """Judgements that the test makes up."""

    sound: set[ServerId] = field(default_factory=set)

    def is_sound(self, each: ServerId, group: PlacedGroup) -> bool:
        return each in self.sound


@dataclass
class Round:
    """One set of refills, asked again and again."""

    refills: Refills = field(default_factory=Refills)
    sound: set[ServerId] = field(default_factory=set)
    down: set[ServerId] = field(default_factory=set)
    group: PlacedGroup = GROUP

    def choose(self, *lacking: ServerId, now_s: float = 0.0) -> set[ServerId]:
        """Return who is to be filled."""
        chosen = self.refills.choose(
            {each: {GROUP.group_id} for each in lacking},
            GroupMap([self.group]),
            {each: state(each, is_down=each in self.down) for each in (A, B, C)},
            cast("Holdings", Judged(self.sound)),
            now_s,
        )
        assert all(each == {GROUP.group_id: self.group.epoch} for each in chosen.values())
        return set(chosen)

    def looked_at(self) -> bool:
        """Whether the audit is to look at the group; it does so at once."""
        wanted = bool(self.refills.wanted)
        self.refills.wanted.clear()
        return wanted


def state(each: ServerId, *, is_down: bool) -> ServerState:
    record = ServerRecord(each, "cs", boot_id(1), "127.0.0.1:7701", "", ServerLabels("host"), "0.1.0")
    return ServerState(record, ServerPhase.DOWN if is_down else ServerPhase.UP, 0.0, None)


@pytest.fixture
def asked() -> Round:
    return Round()


def test_a_member_is_filled_from_one_that_has_everything(asked: Round) -> None:
    asked.sound = {B}
    assert asked.choose(A) == {A}
    assert not asked.looked_at()


def test_nobody_is_filled_when_all_lack_something(asked: Round) -> None:
    assert asked.choose(A, B, C) == set()
    assert asked.looked_at(), "there is nobody to be waited for"
    assert asked.choose(A, B, C, now_s=PATIENCE_S - 1) == set()
    assert not asked.looked_at()
    asked.choose(A, B, C, now_s=PATIENCE_S)
    assert asked.looked_at(), "it may be about chunks that were not settled before"


def test_reports_of_others_are_waited_for_but_not_for_ever(asked: Round) -> None:
    assert asked.choose(A) == set()
    assert not asked.looked_at()
    assert asked.choose(A, B, now_s=PATIENCE_S / 2) == set()
    assert not asked.looked_at()
    asked.sound = {C}
    assert asked.choose(A, B, now_s=PATIENCE_S - 1) == {A, B}
    asked.sound = set()
    assert asked.choose(A, B, now_s=PATIENCE_S) == set()
    assert not asked.looked_at(), "that is another time"
    asked.choose(A, B, now_s=2 * PATIENCE_S)
    assert asked.looked_at()


def test_members_that_are_away_are_not_waited_for(asked: Round) -> None:
    asked.down = {C}
    assert asked.choose(A, B) == set()
    assert asked.looked_at()


def test_who_lacks_chunks_after_it_was_filled_is_not_filled_again(asked: Round) -> None:
    asked.sound = {B, C}
    assert asked.choose(A) == {A}
    filling = PlacedGroup(GROUP.group_id, GROUP.members, epoch=6, filling=frozenset({A}))
    asked.refills.filled([filling], {A: {GROUP.group_id: 5}})
    asked.group = PlacedGroup(GROUP.group_id, GROUP.members, epoch=6)
    assert asked.choose(A) == set()
    assert asked.looked_at()
    assert asked.choose(B) == {B}, "for the others it is the first time"


def test_an_only_member_is_filled_from_nobody_and_finds_out_chunk_by_chunk(asked: Round) -> None:
    asked.group = PlacedGroup(GROUP.group_id, (A,), epoch=2)
    assert asked.choose(A) == {A}
    assert not asked.looked_at()
