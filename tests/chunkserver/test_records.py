"""Record files: one encoding, and no byte that may change unnoticed."""

import pytest

from dstore.chunkserver.records import decode_record, encode_record
from dstore.core.errors import Corrupt

FIELDS = {"format": 1, "group_id": 42, "epoch": 7, "cluster_id": None, "name": "cs-ü"}


def test_the_encoding_is_part_of_the_format() -> None:
    raw = encode_record({"format": 1, "group_id": 42, "epoch": 7})
    assert raw == b'{"epoch":7,"format":1,"group_id":42,"crc32c":"ce5dc3c5"}\n'


def test_what_is_written_is_read() -> None:
    assert decode_record(encode_record(FIELDS), what="EPOCH") == FIELDS


def test_every_flipped_byte_and_every_other_length_is_detected() -> None:
    raw = encode_record(FIELDS)
    for index in range(len(raw)):
        for mask in (0x01, 0x20, 0x80, 0xFF):
            damaged = bytearray(raw)
            damaged[index] ^= mask
            with pytest.raises(Corrupt):
                decode_record(bytes(damaged), what="EPOCH")
        with pytest.raises(Corrupt):
            decode_record(raw[:index], what="EPOCH")
    with pytest.raises(Corrupt):
        decode_record(raw + b"\n", what="EPOCH")


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b"{}", b'{"crc32c":"00000000"}\n', b'{"a":[1]}', b"\xff"])
def test_other_content_is_refused(raw: bytes) -> None:
    with pytest.raises(Corrupt, match="EPOCH is damaged"):
        decode_record(raw, what="EPOCH")
