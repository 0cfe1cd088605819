"""The vectors that dstore publishes for its own formats, valid ones and broken ones with their reason."""

import json
from typing import Any

import independent
import pytest

from dstore.core.errors import Corrupt, DstoreError, WrongKey
from dstore.core.files import WrappedKey
from dstore.core.ids import ClusterId, FileId, Version
from dstore.core.manifest import decode
from dstore.crypto.keys import Kek, Keyring, unwrap_dek, wrap_dek
from dstore.crypto.seal import (
    Descriptor,
    open_descriptor,
    open_manifest,
    read_descriptor_front,
    seal_descriptor,
    seal_manifest,
)

CLUSTER = ClusterId(independent.CLUSTER)
FILE = FileId(independent.FILE_ID)


def load(name: str) -> list[Any]:
    content = json.loads((independent.VECTORS / name).read_text())
    return [pytest.param(vector, id=vector["comment"]) for vector in content["vectors"]]


def test_files_are_what_the_independent_implementation_makes() -> None:
    written = {path.name: path.read_text() for path in independent.VECTORS.iterdir()}
    assert written == independent.vector_files()


@pytest.mark.parametrize("vector", load("sealed_manifests.json"))
def test_sealed_manifests(vector: dict[str, Any]) -> None:
    sealed = bytes.fromhex(vector["bytes"])
    if vector["reason"] is None:
        manifest = open_manifest(independent.DEK, CLUSTER, FILE, sealed)
        assert seal_manifest(independent.DEK, manifest, sealed[5:17]) == sealed
        assert decode(manifest.encode()) == manifest
        return
    with pytest.raises(Corrupt) as caught:
        open_manifest(independent.DEK, CLUSTER, FILE, sealed)
    assert caught.value.reason == vector["reason"]


@pytest.mark.parametrize("vector", load("descriptors.json"))
def test_descriptors(vector: dict[str, Any]) -> None:
    encoded = bytes.fromhex(vector["bytes"])
    if vector["reason"] is None:
        descriptor = open_descriptor(independent.DEK, CLUSTER, encoded)
        front = read_descriptor_front(encoded)
        assert descriptor.file_id == front.file_id == FILE
        if not descriptor.path_is_truncated:
            again = seal_descriptor(independent.DEK, CLUSTER, front.wrapped_keys, descriptor, independent.NONCE)
            assert again == encoded
        return
    with pytest.raises(Corrupt) as caught:
        open_descriptor(independent.DEK, CLUSTER, encoded)
    assert caught.value.reason == vector["reason"]


def test_truncated_path_is_sealed_as_in_the_vector() -> None:
    vectors = {param.values[0]["comment"]: param.values[0]["bytes"] for param in load("descriptors.json")}
    keys = read_descriptor_front(bytes.fromhex(vectors["path truncated"])).wrapped_keys
    whole = Descriptor(FILE, Version(1001), 0, 0, "/" + "x" * 4000)
    sealed = seal_descriptor(independent.DEK, CLUSTER, keys, whole, independent.NONCE)
    assert sealed.hex() == vectors["path truncated"]
    opened = open_descriptor(independent.DEK, CLUSTER, sealed)
    assert opened.path_is_truncated
    assert whole.path.endswith(opened.path)


@pytest.mark.parametrize("vector", load("wrapped_keys.json"))
def test_wrapped_keys(vector: dict[str, Any]) -> None:
    kek = Kek(independent.KEK)
    wrapped = WrappedKey(vector["kind"], bytes.fromhex(vector["key_id"]), bytes.fromhex(vector["data"]))
    if vector["reason"] is None:
        assert unwrap_dek(Keyring([kek]), [wrapped], CLUSTER, FILE, "/x") == independent.DEK
        assert wrap_dek(kek, CLUSTER, FILE, independent.DEK, independent.NONCE) == wrapped
        return
    with pytest.raises(DstoreError) as caught:
        unwrap_dek(Keyring([kek]), [wrapped], CLUSTER, FILE, "/x")
    assert caught.value.reason == vector["reason"]
    assert isinstance(caught.value, WrongKey if vector["reason"] == "WRONG_KEY" else Corrupt)
