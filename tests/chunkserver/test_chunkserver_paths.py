"""Names in a chunkserver's directory."""

import pytest

from dstore.chunkserver.paths import (
    chunk_path,
    discarded_path,
    dropped_path,
    epoch_path,
    is_temporary,
    parse_chunk,
    parse_fan_out,
    parse_group,
    parse_trash,
    temporary_path,
)
from dstore.core.ids import ChunkId, GroupId

CHUNK = ChunkId(GroupId(0x2A), 0x1F3)


def test_the_layout_is_part_of_the_format() -> None:
    assert chunk_path(CHUNK) == "groups/0000002a/f3/0000002a-00000000000001f3"
    assert epoch_path(GroupId(0x2A)) == "groups/0000002a/EPOCH"
    assert discarded_path(CHUNK) == "trash/0000002a-00000000000001f3"
    assert dropped_path(CHUNK) == "trash/0000002a-00000000000001f3.dropped"
    assert temporary_path(str(CHUNK), 7) == "tmp/0000002a-00000000000001f3.7"


def test_names_are_parsed_back() -> None:
    _, group, fan_out, name = chunk_path(CHUNK).split("/")
    group_id, number = parse_group(group), parse_fan_out(fan_out)
    assert group_id is not None
    assert number is not None
    assert parse_chunk(group_id, number, name) == CHUNK
    assert parse_trash(discarded_path(CHUNK).split("/")[1]) == (CHUNK, False)
    assert parse_trash(dropped_path(CHUNK).split("/")[1]) == (CHUNK, True)


@pytest.mark.parametrize("name", ["", ".dropped", f"{CHUNK}.1", f"{CHUNK}.dropped.dropped", f"{CHUNK}\n", "notes.txt"])
def test_other_names_are_not_in_the_trash(name: str) -> None:
    assert parse_trash(name) is None


@pytest.mark.parametrize("name", ["", "2a", "0000002A", "0000002a0", "0000002a\n", "EPOCH", "lost+found"])
def test_other_names_are_no_groups(name: str) -> None:
    assert parse_group(name) is None


@pytest.mark.parametrize("name", ["", "f", "F3", "f33", "EPOCH", "f3\n"])
def test_other_names_are_no_fan_out(name: str) -> None:
    assert parse_fan_out(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "0000002b-00000000000001f3",
        "0000002a-00000000000001f4",
        "0000002a-00000000000001F3",
        "0000002a-00000000000001f3.1",
        "notes.txt",
    ],
)
def test_a_chunk_in_the_wrong_place_is_unknown(name: str) -> None:
    assert parse_chunk(GroupId(0x2A), 0xF3, name) is None


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("0000002a-00000000000001f3.1", True),
        ("IDENTITY.1", True),
        ("EPOCH-0000002a.12", True),
        ("STANDING.3", True),
        ("PROBE.4", True),
        ("STANDING", False),
        ("0000002a-00000000000001f3", False),
        ("IDENTITY", False),
        ("notes.txt", False),
        ("x0000002a-00000000000001f3.1", False),
    ],
)
def test_only_our_own_temporary_names_may_be_removed(name: str, ours: bool) -> None:
    assert is_temporary(name) is ours
