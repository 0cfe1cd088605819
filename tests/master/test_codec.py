"""Stored values come back as they were, and nothing else is read."""

from dataclasses import dataclass

import pytest
from master_harness import KEYS, POLICY

from dstore.core.files import ChunkPlacement, FileInfo, FileKind, Policy, WrappedKey, WriteIntent
from dstore.core.groups import Group, Replica, ServerPhase
from dstore.core.ids import ChunkId, ClusterId, FileId, GroupId, IntentId, ServerId, Version
from dstore.master import codec


@dataclass(frozen=True, slots=True)
class Sample:
    number: int | None
    flags: tuple[bool, ...]
    share: float


GROUP = Group(GroupId(1), 2, (Replica(ServerId("s"), "cs-1", "h:1", ServerPhase.UP),))
INTENT = WriteIntent(
    IntentId("i"),
    ClusterId("c"),
    FileId(1),
    Version(2),
    FileId(3),
    "n\u00e4me\n\"'",
    POLICY,
    60.0,
    (ChunkPlacement(ChunkId(GroupId(1), 1 << 62), GROUP, (ServerId("s"),)),),
)
INFO = FileInfo("/x", FileKind.FILE, FileId(1), 5, Version(2), -1, 1 << 62, 1)


@pytest.mark.parametrize(
    "value", [INTENT, INFO, POLICY, Sample(None, (), 0.5), Sample(0, (True, False), 1.0), Sample(-1, (), 0.0), GROUP]
)
def test_values_come_back_as_they_were(value: object) -> None:
    assert codec.decode(type(value), codec.encode(value)) == value


def test_tuples_and_nothing() -> None:
    assert codec.decode(tuple[WrappedKey, ...], codec.encode(KEYS)) == KEYS
    assert codec.decode(type(None), codec.encode(None)) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Policy, "{}"),
        (Policy, "null"),
        (Policy, '["default",3,2,16384]'),
        (Policy, '["default",3,2,16384,"server",86400,1]'),
        (Policy, '["default","3",2,16384,"server",86400]'),
        (Policy, '["default",true,2,16384,"server",86400]'),
        (Policy, '["default",3.0,2,16384,"server",86400]'),
        (WrappedKey, '[1,"not base64!",""]'),
        (FileInfo, codec.encode(INFO).replace('"file"', '"socket"')),
        (Sample, "[1,[1],0.5]"),
        (Sample, "[1,[],0.5"),
        (type(None), "0"),
    ],
)
def test_other_text_is_refused(kind: type[object], text: str) -> None:
    with pytest.raises(ValueError):
        codec.decode(kind, text)


def test_a_value_that_has_no_form_is_a_defect() -> None:
    with pytest.raises(AssertionError):
        codec.encode(object())
