"""Ids, sizes, checksums and backoff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstore.core.backoff import Backoff
from dstore.core.checksum import crc32c
from dstore.core.errors import InvalidRequest
from dstore.core.ids import ChunkId, GroupId, parse_uuid, uuid_bytes, uuid_from_bytes
from dstore.core.sizes import format_size, parse_size


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_a_chunk_id_has_one_text_form(group_id: int, sequence: int) -> None:
    chunk_id = ChunkId(GroupId(group_id), sequence)
    assert ChunkId.parse(str(chunk_id)) == chunk_id
    assert len(str(chunk_id)) == 25


@pytest.mark.parametrize("text", ["", "1-2", "0000002A-00000000000001f3", "0000002a-00000000000001f3/..", "x" * 25])
def test_other_texts_are_no_chunk_ids(text: str) -> None:
    with pytest.raises(InvalidRequest):
        ChunkId.parse(text)


@given(st.binary(min_size=16, max_size=16))
def test_uuids_round_trip(raw: bytes) -> None:
    text = uuid_from_bytes(raw)
    assert parse_uuid(text, what="test") == text
    assert uuid_bytes(text) == raw


@pytest.mark.parametrize("text", ["", "1", "11111111-2222-3333-4444-55555555555G", "A" * 36])
def test_other_texts_are_no_uuids(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_uuid(text, what="server id")
    assert "server id" in caught.value.message


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (64 << 20, "64.0 MiB"),
        (2**63, "8.0 EiB"),
        (2**80, "1048576.0 EiB"),
    ],
)
def test_sizes_for_people(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("0", 0), ("65536", 65536), ("64KiB", 65536), ("64 k", 65536), ("16MiB", 16 << 20)]
)
def test_sizes_from_people(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5G", "1 XB", "٣"])
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_size(text)


def test_crc32c_is_castagnoli_and_incremental() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(memoryview(b"6789"), crc32c(bytearray(b"12345"))) == 0xE3069283


def test_backoff_grows_to_its_bound_and_keeps_half() -> None:
    backoff = Backoff(initial_s=0.1, max_s=1.0)
    assert [round(backoff.delay_s(index, 1.0), 3) for index in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.delay_s(0, 0.0) == pytest.approx(0.05)
    assert backoff.delay_s(10_000, 0.5) == pytest.approx(0.75)
