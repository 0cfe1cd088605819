"""The worked examples in docs/format.md are what the program and the independent implementation make."""

import re
from pathlib import Path

import crc32c
import independent

from dstore.core.files import ChunkRecord
from dstore.core.ids import ChunkId, ClusterId, FileId, GroupId
from dstore.core.limits import DESCRIPTOR_SIZE_BYTES_MAX, INLINE_SIZE_BYTES_MAX, SEALED_MANIFEST_SIZE_BYTES_MAX
from dstore.core.manifest import MANIFEST_SIZE_BYTES_MAX, decode, digest_chunks
from dstore.crypto.cobblestone import chunk_context, open_sealed
from dstore.crypto.keyring import decode_keyring, encode_keyring
from dstore.crypto.keyring_format import ITERATIONS, ITERATIONS_MAX, LANES_MAX, MEMORY_KIB, MEMORY_KIB_MAX
from dstore.crypto.keys import unwrap_dek
from dstore.crypto.seal import (
    DESCRIPTOR_KEYS_SIZE_BYTES_MAX,
    open_descriptor,
    open_manifest,
    read_descriptor_front,
)

CLUSTER = ClusterId(independent.CLUSTER)
FILE = FileId(independent.FILE_ID)
DOCUMENT = (Path(__file__).parents[2] / "docs" / "format.md").read_text()


def read_examples() -> dict[str, bytes]:
    blocks = re.findall(r"^```hex (\S+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return {name: bytes.fromhex(re.sub(r"#.*", "", block)) for name, block in blocks}


EXAMPLES = read_examples()


def read_keyring_example() -> str:
    match = re.search(r"^```toml keyring\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def test_examples_are_those_of_the_independent_implementation() -> None:
    assert {
        "key-id": independent.key_id(independent.KEK),
        "wrapped-key": independent.wrapped_data(independent.KEK),
        "chunk": independent.chunk(),
        "manifest": independent.manifest(),
        "small-manifest": independent.small_manifest(),
        "sealed-manifest": independent.sealed_manifest(independent.manifest()),
        "descriptor": independent.descriptor(),
    } == {name: EXAMPLES[name] for name in EXAMPLES if not name.startswith("chunk-file")}


def test_values_of_the_examples_are_in_the_document() -> None:
    for value in (independent.KEK, independent.DEK, independent.NONCE, independent.SALT):
        assert f"| `{value.hex()}` |" in DOCUMENT
    assert f"| cluster | `{independent.CLUSTER}` |" in DOCUMENT


def test_the_examples_open_from_the_key_file_to_the_plaintext() -> None:
    keyring = decode_keyring(read_keyring_example().encode())
    assert encode_keyring(keyring).decode() == read_keyring_example()
    assert keyring.active.key_id == EXAMPLES["key-id"]
    descriptor_keys = read_descriptor_front(EXAMPLES["descriptor"]).wrapped_keys
    assert descriptor_keys[0].data == EXAMPLES["wrapped-key"]
    dek = unwrap_dek(keyring, descriptor_keys, CLUSTER, FILE, independent.PATH)
    manifest = open_manifest(dek, CLUSTER, FILE, EXAMPLES["sealed-manifest"])
    assert manifest == decode(EXAMPLES["manifest"])
    chunk = EXAMPLES["chunk"]
    record = ChunkRecord(0, ChunkId(GroupId(5), 1000), len(chunk), crc32c.crc32c(chunk), chunk[:56])
    assert manifest.chunks_digest == digest_chunks([record])
    assert open_sealed(dek, chunk_context(CLUSTER, FILE, 0), chunk) == b"Hello, dstore!\n"
    assert open_descriptor(dek, CLUSTER, EXAMPLES["descriptor"]).path == independent.PATH


def test_the_example_of_a_small_file_holds_it() -> None:
    manifest = decode(EXAMPLES["small-manifest"])
    assert manifest.content == b"Hello, dstore!\n"
    assert manifest.encode() == EXAMPLES["small-manifest"]
    assert f"{INLINE_SIZE_BYTES_MAX:,} bytes" in DOCUMENT


def test_limits_in_the_document_are_those_of_the_program() -> None:
    text = " ".join(DOCUMENT.split())
    assert f"The whole is at most {MANIFEST_SIZE_BYTES_MAX:,} bytes long" in text
    assert f"At most {SEALED_MANIFEST_SIZE_BYTES_MAX:,} bytes." in text
    assert f"At most {DESCRIPTOR_SIZE_BYTES_MAX:,} bytes." in text
    assert f"at most {DESCRIPTOR_KEYS_SIZE_BYTES_MAX:,} bytes, which is room for one" in text
    assert f"of Argon2id (RFC 9106), {ITERATIONS} to {ITERATIONS_MAX} |" in text
    assert f"of Argon2id, 1 to {LANES_MAX} |" in text
    assert f"of Argon2id, {MEMORY_KIB:,} to {MEMORY_KIB_MAX:,} |" in text
