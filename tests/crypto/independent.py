"""The formats of docs/format.md once more, written from the document alone: nothing here imports dstore.

It makes the vectors in ``vectors/`` and the worked examples in the document, so that they check the program and are
not merely its own output. Run it to write the vectors again.
"""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import crc32c
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

VECTORS = Path(__file__).parent / "vectors"

CLUSTER = "6b1f8a52-0c3d-4e9f-8a7b-112233445566"
CLUSTER_BYTES = bytes.fromhex(CLUSTER.replace("-", ""))
FILE_ID = 42
KEK = bytes(range(0x20))
OTHER_KEK = bytes(range(0x80, 0xA0))
DEK = bytes(range(0x20, 0x40))
NONCE = bytes(range(0xA0, 0xAC))
SALT = bytes(range(0xB0, 0xC8))
CHUNK_PLAINTEXT = b"Hello, dstore!\n"
PATH = "/reports/über.bin"


def join(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def expand(key: bytes, info: bytes, size: int = 32) -> bytes:
    return HKDFExpand(SHA512(), size, info).derive(key)


def u64(number: int) -> bytes:
    return struct.pack(">Q", number)


def key_id(kek: bytes) -> bytes:
    return expand(kek, join(b"dstore/kek-id/v1"), 8)


def wrapped_data(kek: bytes, file_id: int = FILE_ID, cluster: bytes = CLUSTER_BYTES, dek: bytes = DEK) -> bytes:
    associated = join(b"dstore/dek/v1", cluster, u64(file_id), key_id(kek))
    return NONCE + AESGCMSIV(expand(kek, join(b"dstore/wrap/v1"))).encrypt(NONCE, dek, associated)


def chunk(index: int = 0, file_id: int = FILE_ID) -> bytes:
    context = join(b"dstore/chunk/v1", CLUSTER_BYTES, u64(file_id), u64(index))
    derived = expand(DEK, b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + SALT + context, 76)
    return SALT + derived[44:] + AESGCM(derived[:32]).encrypt(derived[32:44], CHUNK_PLAINTEXT, None)


def chunks_digest() -> bytes:
    record = u64(0) + struct.pack(">I", 5) + u64(1000) + u64(len(chunk())) + struct.pack(">I", crc32c.crc32c(chunk()))
    return hashlib.sha256(b"dstore/chunks/v1" + record + chunk()[:56]).digest()


def manifest(**changes: Any) -> bytes:
    """The worked example, or a variation; ``name`` and ``attributes`` are bytes, so that they can be wrong."""
    field: dict[str, Any] = {
        "magic": b"DSMF", "format": 1, "cluster": CLUSTER_BYTES, "file_id": FILE_ID, "version": 1001,
        "size": len(CHUNK_PLAINTEXT), "chunk_size": 16 << 20, "chunk_count": 1, "parent_id": 7,
        "created": 1_700_000_000_000_000_000, "modified": 1_700_000_001_000_000_000, "name": "über.bin".encode(),
        "attributes": [(b"owner", b"ada")], "attribute_count": None, "digest": chunks_digest(),
        "content": None, "tail": b"",
    } | changes  # fmt: skip
    encoded: bytes = field["magic"] + bytes([field["format"]]) + field["cluster"]
    encoded += u64(field["file_id"]) + u64(field["version"]) + u64(field["size"])
    encoded += struct.pack(">I", field["chunk_size"]) + u64(field["chunk_count"]) + field["digest"]
    encoded += u64(field["parent_id"]) + struct.pack(">qq", field["created"], field["modified"])
    encoded += bytes([len(field["name"])]) + field["name"]
    count = field["attribute_count"]
    encoded += struct.pack(">H", len(field["attributes"]) if count is None else count)
    for name, value in field["attributes"]:
        encoded += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    if field["content"] is not None:
        encoded += struct.pack(">I", len(field["content"])) + field["content"]
    tail: bytes = field["tail"]
    return encoded + tail


def small_manifest(content: bytes = CHUNK_PLAINTEXT, **changes: Any) -> bytes:
    """The worked example of a manifest with the content in it, or a variation."""
    field = {"format": 2, "size": len(content), "chunk_count": 0, "attributes": [], "content": content}
    return manifest(**(field | {"digest": hashlib.sha256(b"dstore/chunks/v1").digest()} | changes))


def sealed_manifest(encoded: bytes, file_id: int = FILE_ID, prefix: bytes = b"DSSM\x01", dek: bytes = DEK) -> bytes:
    key = expand(dek, join(b"dstore/manifest/v1", CLUSTER_BYTES, u64(file_id)))
    return prefix + NONCE + AESGCMSIV(key).encrypt(NONCE, encoded, prefix)


def wrapped_entry(kind: int = 1, data: bytes | None = None, key: bytes | None = None) -> bytes:
    data = wrapped_data(KEK) if data is None else data
    return struct.pack(">H", kind) + (key or key_id(KEK)) + struct.pack(">H", len(data)) + data


def descriptor(**changes: Any) -> bytes:
    field: dict[str, Any] = {
        "magic": b"DSDC", "format": 1, "file_id": FILE_ID, "keys": [wrapped_entry()], "key_count": None,
        "version": 1001, "index": 0, "count": 0, "truncated": 0, "path": PATH.encode(), "body": None,
        "sealed_for": FILE_ID,
    } | changes  # fmt: skip
    count = len(field["keys"]) if field["key_count"] is None else field["key_count"]
    front: bytes = field["magic"] + bytes([field["format"]]) + u64(field["file_id"]) + bytes([count])
    front += b"".join(field["keys"])
    body = u64(field["version"]) + u64(field["index"]) + u64(field["count"])
    body += bytes([field["truncated"]]) + field["path"]
    body = body if field["body"] is None else field["body"]
    key = expand(DEK, join(b"dstore/descriptor/v1", CLUSTER_BYTES, u64(field["sealed_for"])))
    return front + NONCE + AESGCMSIV(key).encrypt(NONCE, body, front)


def flip(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def manifest_vectors() -> list[dict[str, Any]]:
    """Sealed manifests; ``reason`` is None for the valid ones, else that of the error."""
    good = manifest()
    invalid = {
        "another magic inside": manifest(magic=b"DSMG"),
        "format version 2 without content": manifest(format=2),
        "format version 3 inside": manifest(format=3),
        "format version 1 with content": small_manifest(format=1),
        "content empty": small_manifest(b""),
        "content empty, size 1": small_manifest(b"", size=1),
        "content shorter than the size": small_manifest(size=16),
        "content longer than the size": small_manifest(size=14),
        "content of 16 KiB and a byte": small_manifest(bytes(16_385)),
        "content and a chunk": small_manifest(chunk_count=1),
        "content and the digest of a chunk": small_manifest(digest=chunks_digest()),
        "content cut": small_manifest()[:-1],
        "size of the content cut": manifest(format=2, size=0, chunk_count=0, tail=bytes(3)),
        "bytes after the content": small_manifest(tail=b"\0"),
        "no chunks and no content": manifest(chunk_count=0, digest=hashlib.sha256(b"dstore/chunks/v1").digest()),
        "chunk count too large": manifest(chunk_count=2),
        "chunk count too small": manifest(chunk_count=0),
        "chunk size zero": manifest(chunk_size=0),
        "name empty": manifest(name=b""),
        "name with a slash": manifest(name=b"a/b"),
        "name ..": manifest(name=b".."),
        "name not UTF-8": manifest(name=b"\xff"),
        "name in overlong UTF-8": manifest(name=b"\xc1\xa1"),
        "attributes not sorted": manifest(attributes=[(b"b", b""), (b"a", b"")]),
        "attribute twice": manifest(attributes=[(b"a", b""), (b"a", b"")]),
        "attribute without a name": manifest(attributes=[(b"", b"")]),
        "attribute missing": manifest(attribute_count=2),
        "bytes after the end": manifest(tail=b"\0"),
        "cut inside": good[:-1],
        "nothing inside": b"",
    }
    sealed = sealed_manifest(good)
    corrupt = {
        "sealed for another file": sealed_manifest(good, file_id=43),
        "sealed with another DEK": sealed_manifest(good, dek=KEK),
        "names another file inside": sealed_manifest(manifest(file_id=43)),
        "names another cluster inside": sealed_manifest(manifest(cluster=CLUSTER_BYTES[::-1])),
        "another magic": sealed_manifest(good, prefix=b"DSSN\x01"),
        "format version 2": sealed_manifest(good, prefix=b"DSSM\x02"),
        "magic flipped": flip(sealed, 0),
        "nonce flipped": flip(sealed, 5),
        "ciphertext flipped": flip(sealed, 17),
        "tag flipped": flip(sealed, -1),
        "cut": sealed[:-1],
        "cut to less than its overhead": sealed[:32],
        "extended": sealed + b"\0",
        "empty": b"",
    }
    valid = {
        "the worked example": sealed,
        "empty file without attributes": sealed_manifest(manifest(size=0, chunk_count=0, attributes=[])),
        "content of 15 bytes": sealed_manifest(small_manifest()),
        "content of 1 byte": sealed_manifest(small_manifest(b"x")),
        "content of 16 KiB, and attributes": sealed_manifest(small_manifest(bytes(16_384), attributes=[(b"a", b"b")])),
        "times before 1970": sealed_manifest(manifest(created=-1, modified=-(1 << 63))),
        "longest name": sealed_manifest(manifest(name=b"x" * 255)),
        "several attributes": sealed_manifest(manifest(attributes=[(b"a", b""), (b"b", b"\0"), ("ö".encode(), b"")])),
    }
    return [
        *_vectors(valid, None),
        *_vectors({name: sealed_manifest(encoded) for name, encoded in invalid.items()}, "MANIFEST_INVALID"),
        *_vectors(corrupt, "MANIFEST_CORRUPT"),
    ]


def descriptor_vectors() -> list[dict[str, Any]]:
    good = descriptor()
    unknown = wrapped_entry(kind=9, data=b"not for us")
    long_path = b"/" + b"x" * 4000
    room = 3072 - (len(good) - len(PATH.encode()))
    valid = {
        "the worked example": good,
        "chunk count known, no wrapped key": descriptor(count=3, index=2, keys=[]),
        "unknown kind of recipient first": descriptor(keys=[unknown, wrapped_entry()]),
        "path that fits exactly": descriptor(path=long_path[:room]),
        "path truncated": descriptor(path=long_path[-room:], truncated=1),
    }
    invalid = {
        "another magic": descriptor(magic=b"DSDD"),
        "format version 2": descriptor(format=2),
        "kind 0": descriptor(keys=[wrapped_entry(kind=0)]),
        "wrapped key missing": descriptor(key_count=2)[: len(good) - 20],
        "65 wrapped keys": descriptor(keys=[wrapped_entry(data=b"")] * 65),
        "wrapped keys beyond their share": descriptor(keys=[wrapped_entry()] * 29),
        "relative path": descriptor(path=b"a"),
        "empty path": descriptor(path=b""),
        "path not UTF-8": descriptor(path=b"/\xff"),
        "truncated although it would fit": descriptor(truncated=1),
        "truncated is 2": descriptor(truncated=2),
        "body cut": descriptor(body=bytes(24)),
        "longer than the limit": descriptor(path=b"/" * (room + 1)),
        "cut inside the tag": good[: 14 + 72 + 12 + 15],
        "empty": b"",
    }
    corrupt = {
        "sealed for another file": descriptor(sealed_for=43),
        "file id replaced": good[:5] + u64(43) + good[13:],
        "wrapped key replaced": good[:26] + bytes(60) + good[86:],
        "nonce flipped": flip(good, 86),
        "ciphertext flipped": flip(good, 98),
        "tag flipped": flip(good, -1),
        "cut": good[:-1],
        "extended": good + b"\0",
    }
    return [
        *_vectors(valid, None),
        *_vectors(invalid, "DESCRIPTOR_INVALID"),
        *_vectors(corrupt, "DESCRIPTOR_CORRUPT"),
    ]


def wrapped_key_vectors() -> list[dict[str, Any]]:
    """Opened with a keyring that holds ``KEK`` alone, for file 42."""
    mine, data = key_id(KEK), wrapped_data(KEK)
    cases: list[tuple[str, int, bytes, bytes, str | None]] = [
        ("the worked example", 1, mine, data, None),
        ("for another key", 1, key_id(OTHER_KEK), wrapped_data(OTHER_KEK), "WRONG_KEY"),
        ("unknown kind", 2, mine, data, "WRONG_KEY"),
        ("key id flipped", 1, flip(mine, 0), data, "WRONG_KEY"),
        ("of another file", 1, mine, wrapped_data(KEK, file_id=43), "WRAPPED_KEY_CORRUPT"),
        ("of another cluster", 1, mine, wrapped_data(KEK, cluster=CLUSTER_BYTES[::-1]), "WRAPPED_KEY_CORRUPT"),
        ("key id of another key replaced", 1, mine, wrapped_data(OTHER_KEK), "WRAPPED_KEY_CORRUPT"),
        ("DEK of 31 bytes", 1, mine, wrapped_data(KEK, dek=DEK[:31]), "WRAPPED_KEY_CORRUPT"),
        ("nonce flipped", 1, mine, flip(data, 0), "WRAPPED_KEY_CORRUPT"),
        ("ciphertext flipped", 1, mine, flip(data, 12), "WRAPPED_KEY_CORRUPT"),
        ("tag flipped", 1, mine, flip(data, -1), "WRAPPED_KEY_CORRUPT"),
        ("cut", 1, mine, data[:-1], "WRAPPED_KEY_CORRUPT"),
        ("extended", 1, mine, data + b"\0", "WRAPPED_KEY_CORRUPT"),
        ("empty", 1, mine, b"", "WRAPPED_KEY_CORRUPT"),
    ]
    return [
        {"comment": comment, "kind": kind, "key_id": key.hex(), "data": raw.hex(), "reason": reason}
        for comment, kind, key, raw, reason in cases
    ]


def vector_files() -> dict[str, str]:
    """The content of every file in ``vectors/``."""
    shared = {"cluster_id": CLUSTER, "file_id": FILE_ID, "dek": DEK.hex()}
    files = {
        "sealed_manifests.json": shared | {"vectors": manifest_vectors()},
        "descriptors.json": shared | {"vectors": descriptor_vectors()},
        "wrapped_keys.json": shared | {"kek": KEK.hex(), "vectors": wrapped_key_vectors()},
    }
    return {name: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for name, content in files.items()}


def _vectors(cases: dict[str, bytes], reason: str | None) -> list[dict[str, Any]]:
    return [{"comment": name, "bytes": data.hex(), "reason": reason} for name, data in cases.items()]


if __name__ == "__main__":
    for file_name, text in vector_files().items():
        (VECTORS / file_name).write_text(text)
