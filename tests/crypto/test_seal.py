"""Sealed manifests and descriptors: nothing altered, moved or too long gets through."""

import dataclasses

import independent
import pytest

from dstore.core.errors import Corrupt, InvalidRequest, LimitExceeded
from dstore.core.files import WrappedKey
from dstore.core.ids import ClusterId, FileId, Version
from dstore.core.limits import DESCRIPTOR_SIZE_BYTES_MAX, SEALED_MANIFEST_SIZE_BYTES_MAX
from dstore.core.manifest import MANIFEST_SIZE_BYTES_MAX, Manifest, decode
from dstore.crypto.seal import (
    Descriptor,
    open_descriptor,
    open_manifest,
    read_descriptor_front,
    seal_descriptor,
    seal_manifest,
)

CLUSTER = ClusterId(independent.CLUSTER)
OTHER_CLUSTER = ClusterId("00000000-0c3d-4e9f-8a7b-112233445566")
FILE = FileId(42)
DEK = independent.DEK
NONCE = independent.NONCE
MANIFEST: Manifest = decode(independent.manifest())
SEALED = seal_manifest(DEK, MANIFEST, NONCE)
WRAPPED = WrappedKey(1, bytes(8), bytes(60))
DESCRIPTOR = Descriptor(FILE, Version(9), 3, 0, "/a/b")


def seal_path(path: str, keys: int = 1, key_size: int = 60) -> bytes:
    wrapped = [WrappedKey(1, bytes(8), bytes(key_size))] * keys
    return seal_descriptor(DEK, CLUSTER, wrapped, dataclasses.replace(DESCRIPTOR, path=path), NONCE)


def test_manifest_round_trip() -> None:
    assert open_manifest(DEK, CLUSTER, FILE, SEALED) == MANIFEST


def test_every_flipped_byte_of_a_sealed_manifest_is_detected() -> None:
    for position in range(len(SEALED)):
        with pytest.raises(Corrupt) as caught:
            open_manifest(DEK, CLUSTER, FILE, independent.flip(SEALED, position))
        assert caught.value.reason == "MANIFEST_CORRUPT"


def test_every_truncation_of_a_sealed_manifest_is_detected() -> None:
    for length in range(len(SEALED)):
        with pytest.raises(Corrupt) as caught:
            open_manifest(DEK, CLUSTER, FILE, SEALED[:length])
        assert caught.value.reason == "MANIFEST_CORRUPT"


def test_a_sealed_manifest_opens_only_in_its_place() -> None:
    for cluster, file_id in ((OTHER_CLUSTER, FILE), (CLUSTER, FileId(43))):
        with pytest.raises(Corrupt) as caught:
            open_manifest(DEK, cluster, file_id, SEALED)
        assert caught.value.reason == "MANIFEST_CORRUPT"
        assert caught.value.metadata == {"file_id": str(file_id)}


def test_manifest_content_is_not_visible() -> None:
    assert MANIFEST.name.encode() not in SEALED
    assert b"ada" not in SEALED


def test_largest_manifest_is_exactly_the_limit() -> None:
    rest = MANIFEST_SIZE_BYTES_MAX - len(dataclasses.replace(MANIFEST, attributes=(("a", b""),)).encode())
    largest = dataclasses.replace(MANIFEST, attributes=(("a", bytes(rest)),))
    sealed = seal_manifest(DEK, largest, NONCE)
    assert len(sealed) == SEALED_MANIFEST_SIZE_BYTES_MAX
    assert open_manifest(DEK, CLUSTER, FILE, sealed) == largest
    with pytest.raises(LimitExceeded):
        seal_manifest(DEK, dataclasses.replace(MANIFEST, attributes=(("a", bytes(rest + 1)),)), NONCE)
    with pytest.raises(Corrupt) as caught:
        open_manifest(DEK, CLUSTER, FILE, sealed + b"\0")
    assert caught.value.reason == "MANIFEST_CORRUPT"


def test_descriptor_round_trip() -> None:
    for count in (0, 4):
        descriptor = dataclasses.replace(DESCRIPTOR, chunk_count=count)
        encoded = seal_descriptor(DEK, CLUSTER, [WRAPPED, WRAPPED], descriptor, NONCE)
        assert open_descriptor(DEK, CLUSTER, encoded) == descriptor
        front = read_descriptor_front(encoded)
        assert (front.file_id, front.wrapped_keys) == (FILE, (WRAPPED, WRAPPED))


def test_every_flipped_byte_of_a_descriptor_is_detected() -> None:
    encoded = seal_path("/a/b")
    for position in range(len(encoded)):
        with pytest.raises(Corrupt) as caught:
            open_descriptor(DEK, CLUSTER, independent.flip(encoded, position))
        assert caught.value.reason in {"DESCRIPTOR_INVALID", "DESCRIPTOR_CORRUPT"}


def test_every_truncation_and_extension_of_a_descriptor_is_detected() -> None:
    encoded = seal_path("/a/b")
    for wrong in [encoded[:length] for length in range(len(encoded))] + [encoded + b"\0"]:
        with pytest.raises(Corrupt) as caught:
            open_descriptor(DEK, CLUSTER, wrong)
        assert caught.value.reason in {"DESCRIPTOR_INVALID", "DESCRIPTOR_CORRUPT"}


def test_a_descriptor_of_another_cluster_is_refused() -> None:
    with pytest.raises(Corrupt) as caught:
        open_descriptor(DEK, OTHER_CLUSTER, seal_path("/a/b"))
    assert caught.value.reason == "DESCRIPTOR_CORRUPT"


ROOM = DESCRIPTOR_SIZE_BYTES_MAX - len(seal_path("/"))


@pytest.mark.parametrize(("extra", "truncated"), [(-1, False), (0, False), (1, True), (1000, True)])
def test_a_path_that_does_not_fit_loses_its_beginning(extra: int, truncated: bool) -> None:
    path = "/" + "x" * (ROOM + extra)
    encoded = seal_path(path)
    opened = open_descriptor(DEK, CLUSTER, encoded)
    assert opened.path_is_truncated is truncated
    assert len(encoded) == DESCRIPTOR_SIZE_BYTES_MAX + min(extra, 0)
    assert path.endswith(opened.path)


@pytest.mark.parametrize("extra", range(5))
def test_a_truncated_path_starts_at_a_character(extra: int) -> None:
    path = "/" + "𝄞" * 1000 + "y" * extra
    encoded = seal_path(path)
    opened = open_descriptor(DEK, CLUSTER, encoded)
    assert opened.path_is_truncated
    assert path.endswith(opened.path)
    assert DESCRIPTOR_SIZE_BYTES_MAX - 3 <= len(encoded) <= DESCRIPTOR_SIZE_BYTES_MAX


@pytest.mark.parametrize(
    ("keys", "key_size", "included"), [(0, 60, 0), (1, 2048, 1), (2, 2048, 1), (28, 60, 28), (64, 60, 28), (64, 0, 64)]
)
def test_the_first_wrapped_keys_that_fit_are_included(keys: int, key_size: int, included: int) -> None:
    encoded = seal_path("/" + "x" * 4000, keys, key_size)
    assert len(encoded) == DESCRIPTOR_SIZE_BYTES_MAX
    assert len(read_descriptor_front(encoded).wrapped_keys) == included
    assert len(open_descriptor(DEK, CLUSTER, encoded).path) >= 900


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "a"},
        {"path": ""},
        {"path": "/\udcff"},
        {"path_is_truncated": True},
        {"chunk_index": -1},
        {"version": 1 << 64},
    ],
    ids=str,
)
def test_invalid_descriptors_are_not_sealed(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        seal_descriptor(DEK, CLUSTER, [WRAPPED], dataclasses.replace(DESCRIPTOR, **changes), NONCE)  # type: ignore[arg-type]
    assert caught.value.reason == "DESCRIPTOR_INVALID"


@pytest.mark.parametrize(
    "wrapped", [WrappedKey(0, bytes(8), b""), WrappedKey(1, bytes(7), b""), WrappedKey(1, bytes(8), bytes(2049))]
)
def test_wrapped_keys_that_do_not_fit_are_refused(wrapped: WrappedKey) -> None:
    with pytest.raises(InvalidRequest) as caught:
        seal_descriptor(DEK, CLUSTER, [wrapped], DESCRIPTOR, NONCE)
    assert caught.value.reason == "DESCRIPTOR_INVALID"


@pytest.mark.parametrize("size", [0, 11, 13])
def test_other_nonce_sizes_are_refused(size: int) -> None:
    nonce = bytes(size)
    with pytest.raises(InvalidRequest) as caught:
        seal_manifest(DEK, MANIFEST, nonce)
    assert caught.value.reason == "NONCE_SIZE_INVALID"
    with pytest.raises(InvalidRequest) as caught:
        seal_descriptor(DEK, CLUSTER, [WRAPPED], DESCRIPTOR, nonce)
    assert caught.value.reason == "NONCE_SIZE_INVALID"
