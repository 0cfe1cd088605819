"""The manifest has one encoding, and the digest of the chunk list notices every edit."""

import dataclasses
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstore.core.errors import Corrupt, InvalidRequest, LimitExceeded
from dstore.core.files import ChunkRecord
from dstore.core.ids import ChunkId, ClusterId, FileId, GroupId, Version
from dstore.core.limits import CHUNK_SIZE_BYTES_MAX, CHUNK_SIZE_BYTES_MIN, INLINE_SIZE_BYTES_MAX
from dstore.core.manifest import (
    FORMAT_VERSION,
    FORMAT_VERSION_WITH_CONTENT,
    MANIFEST_SIZE_BYTES_MAX,
    NO_CHUNKS_DIGEST,
    ChunkListDigest,
    Manifest,
    decode,
    digest_chunks,
)

CLUSTER = ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445566")


def make_manifest(**changes: object) -> Manifest:
    manifest = Manifest(
        cluster_id=CLUSTER,
        file_id=FileId(42),
        version=Version(1001),
        size_bytes=3 * CHUNK_SIZE_BYTES_MIN - 1,
        chunk_size_bytes=CHUNK_SIZE_BYTES_MIN,
        chunk_count=3,
        chunks_digest=bytes(range(32)),
        parent_id=FileId(7),
        name="über.bin",
        created_ns=1_700_000_000_000_000_000,
        modified_ns=-1,
        attributes=(("a", b""), ("owner", b"ada"), ("ö", b"\x00\xff")),
    )
    return dataclasses.replace(manifest, **changes)  # type: ignore[arg-type]


def make_manifest_with(content: bytes, **changes: object) -> Manifest:
    fields: dict[str, object] = {
        "content": content,
        "size_bytes": len(content),
        "chunk_count": 0,
        "chunks_digest": NO_CHUNKS_DIGEST,
    }
    return make_manifest(**(fields | changes))


def make_record(number: int, **changes: object) -> ChunkRecord:
    record = ChunkRecord(
        index=number,
        chunk_id=ChunkId(GroupId(5), 1000 + number),
        length_bytes=16_472,
        crc32c=0xDEADBEEF,
        header=bytes([number]) * 56,
    )
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def test_round_trip() -> None:
    manifest = make_manifest()
    assert decode(manifest.encode()) == manifest


@pytest.mark.parametrize(
    ("size_bytes", "chunk_count"),
    [
        (0, 0),
        (1, 1),
        (CHUNK_SIZE_BYTES_MIN - 1, 1),
        (CHUNK_SIZE_BYTES_MIN, 1),
        (CHUNK_SIZE_BYTES_MIN + 1, 2),
        ((1 << 64) - 1, 1 << 50),
    ],
)
def test_chunk_count_follows_from_the_size(size_bytes: int, chunk_count: int) -> None:
    manifest = make_manifest(size_bytes=size_bytes, chunk_count=chunk_count)
    assert decode(manifest.encode()) == manifest
    for wrong in (chunk_count - 1, chunk_count + 1):
        with pytest.raises(InvalidRequest) as caught:
            make_manifest(size_bytes=size_bytes, chunk_count=wrong).encode()
        assert caught.value.reason == "MANIFEST_INVALID"


@pytest.mark.parametrize("size_bytes", [1, 2, INLINE_SIZE_BYTES_MAX - 1, INLINE_SIZE_BYTES_MAX])
def test_content_travels_in_the_manifest(size_bytes: int) -> None:
    manifest = make_manifest_with(bytes(range(256)) * 64)
    manifest = make_manifest_with(manifest.content[:size_bytes])
    encoded = manifest.encode()
    assert encoded[4] == FORMAT_VERSION_WITH_CONTENT
    assert encoded.endswith(struct.pack(">I", size_bytes) + manifest.content)
    assert decode(encoded) == manifest


def test_without_content_it_is_a_manifest_of_chunks() -> None:
    encoded = make_manifest_with(b"").encode()
    assert encoded[4] == FORMAT_VERSION
    assert decode(encoded).content == b""
    # One valid encoding: the other format version needs content.
    with pytest.raises(Corrupt, match="empty") as caught:
        decode(encoded[:4] + bytes([FORMAT_VERSION_WITH_CONTENT]) + encoded[5:] + bytes(4))
    assert caught.value.reason == "MANIFEST_INVALID"


@pytest.mark.parametrize(
    "manifest",
    [
        make_manifest_with(bytes(INLINE_SIZE_BYTES_MAX + 1)),
        make_manifest_with(b"abc", size_bytes=2),
        make_manifest_with(b"abc", size_bytes=4),
        make_manifest_with(b"abc", chunk_count=1),
        make_manifest_with(b"abc", chunks_digest=bytes(32)),
        make_manifest_with(b"abc", chunks_digest=b""),
        # Content that is missing is no content: neither chunks nor anything else holds the bytes.
        make_manifest_with(b"", size_bytes=1),
    ],
    ids=["too long", "size too small", "size too large", "a chunk too", "digest of chunks", "no digest", "missing"],
)
def test_content_that_does_not_fit_is_not_encoded_and_not_decoded(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        manifest.encode()
    assert caught.value.reason == "MANIFEST_INVALID"
    if len(manifest.chunks_digest) != 32:
        return
    with monkeypatch.context() as patch:
        patch.setattr("dstore.core.manifest._problem", lambda _: None)
        encoded = manifest.encode()
    with pytest.raises(Corrupt) as refused:
        decode(encoded)
    assert refused.value.reason == "MANIFEST_INVALID"


INVALID_FIELDS = [
    {"file_id": -1},
    {"file_id": 1 << 64},
    {"version": 1 << 64},
    {"parent_id": 1 << 64},
    {"created_ns": 1 << 63},
    {"modified_ns": -(1 << 63) - 1},
    {"chunk_size_bytes": CHUNK_SIZE_BYTES_MIN - 1},
    {"chunk_size_bytes": CHUNK_SIZE_BYTES_MAX + 1, "size_bytes": 1, "chunk_count": 1},
    {"chunks_digest": bytes(31)},
    {"cluster_id": CLUSTER.upper()},
    {"cluster_id": ""},
    {"name": ""},
    {"name": "."},
    {"name": ".."},
    {"name": "a/b"},
    {"name": "a/"},
    {"name": "a\0b"},
    {"name": "x" * 256},
    {"name": "\udcff"},
    {"attributes": (("", b""),)},
    {"attributes": (("b", b""), ("a", b""))},
    {"attributes": (("a", b""), ("a", b"1"))},
    {"attributes": (("x" * 256, b""),)},
    {"attributes": (("\udcff", b""),)},
]


@pytest.mark.parametrize("changes", INVALID_FIELDS, ids=str)
def test_invalid_fields_are_not_encoded(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        make_manifest(**changes).encode()
    assert caught.value.reason == "MANIFEST_INVALID"


def test_size_limit_is_exact() -> None:
    empty = len(make_manifest(attributes=(("a", b""),)).encode())
    fits = make_manifest(attributes=(("a", bytes(MANIFEST_SIZE_BYTES_MAX - empty)),))
    assert decode(fits.encode()) == fits
    with pytest.raises(LimitExceeded) as caught:
        make_manifest(attributes=(("a", bytes(MANIFEST_SIZE_BYTES_MAX - empty + 1)),)).encode()
    assert caught.value.reason == "MANIFEST_TOO_LARGE"


@pytest.mark.parametrize("manifest", [make_manifest(), make_manifest_with(b"content")], ids=["chunks", "content"])
def test_every_truncation_and_extension_is_refused(manifest: Manifest) -> None:
    encoded = manifest.encode()
    for wrong in [encoded[:length] for length in range(len(encoded))] + [encoded + b"\0"]:
        with pytest.raises(Corrupt) as caught:
            decode(wrong)
        assert caught.value.reason == "MANIFEST_INVALID"


@given(st.data())
def test_what_decodes_is_the_one_encoding(data: st.DataObject) -> None:
    encoded = bytearray(data.draw(st.sampled_from([make_manifest(), make_manifest_with(b"abc")])).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        manifest = decode(bytes(encoded))
    except Corrupt as error:
        assert error.reason == "MANIFEST_INVALID"
    else:
        assert manifest.encode() == encoded


def test_too_long_input_is_refused_before_it_is_read() -> None:
    with pytest.raises(Corrupt, match="limit"):
        decode(bytes(MANIFEST_SIZE_BYTES_MAX + 1))


def test_attributes_and_content_stay_out_of_repr() -> None:
    assert "ada" not in repr(make_manifest())
    assert "secret" not in repr(make_manifest_with(b"secret"))
    assert "über.bin" in repr(make_manifest())


def test_digest_is_sha256_over_the_written_layout() -> None:
    records = [make_record(index) for index in range(3)]
    expected = hashlib.sha256(b"dstore/chunks/v1")
    for record in records:
        expected.update(struct.pack(">QIQQI", record.index, 5, 1000 + record.index, 16_472, 0xDEADBEEF))
        expected.update(record.header)
    assert digest_chunks(records) == expected.digest()


def test_digest_can_be_fed_and_read_step_by_step() -> None:
    digest = ChunkListDigest()
    assert digest.digest() == digest_chunks([])
    for count in (1, 2, 3):
        digest.add(make_record(count - 1))
        assert digest.chunk_count == count
        assert digest.digest() == digest_chunks(make_record(index) for index in range(count))


EDITS = {
    "truncated": lambda records: records[:-1],
    "beginning cut": lambda records: records[1:],
    "emptied": lambda records: [],
    "extended": lambda records: [*records, make_record(4)],
    "last repeated": lambda records: [*records, records[-1]],
    "reordered": lambda records: [records[1], records[0], *records[2:]],
    "index": lambda records: [make_record(0, index=9), *records[1:]],
    "group": lambda records: [make_record(0, chunk_id=ChunkId(GroupId(6), 1000)), *records[1:]],
    "sequence": lambda records: [make_record(0, chunk_id=ChunkId(GroupId(5), 999)), *records[1:]],
    "length": lambda records: [make_record(0, length_bytes=16_473), *records[1:]],
    "crc32c": lambda records: [make_record(0, crc32c=0xDEADBEEE), *records[1:]],
    "header": lambda records: [make_record(0, header=bytes(55) + b"\1"), *records[1:]],
}


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_of_the_chunk_list_changes_the_digest(edit: str) -> None:
    records = [make_record(index) for index in range(4)]
    assert digest_chunks(EDITS[edit](records)) != digest_chunks(records)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "changes",
    [
        {"header": bytes(55)},
        {"header": bytes(57)},
        {"index": -1},
        {"crc32c": 1 << 32},
        {"length_bytes": 1 << 64},
    ],
    ids=str,
)
def test_records_that_do_not_fit_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Corrupt) as caught:
        digest_chunks([make_record(3, **changes)])
    assert caught.value.reason == "CHUNK_RECORD_INVALID"


def test_other_format_versions_are_named() -> None:
    encoded = bytearray(make_manifest().encode())
    encoded[4] = 3
    with pytest.raises(Corrupt, match="version 3, this program reads 1 and 2"):
        decode(bytes(encoded))
