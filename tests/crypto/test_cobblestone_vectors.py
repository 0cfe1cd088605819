"""The published vectors of Cobblestone-256 and AES-256-GCM-SIV; DSTORE_VECTORS names their directory."""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from dstore.core.errors import Corrupt, DstoreError, InvalidRequest
from dstore.core.limits import SEGMENT_SEALED_SIZE_BYTES, SEGMENT_SIZE_BYTES
from dstore.crypto import cobblestone

HEADER = 56
BESIDE_THE_PROJECT = Path(__file__).resolve().parents[3] / "shared" / "vectors"
DIRECTORY = Path(os.environ.get("DSTORE_VECTORS") or BESIDE_THE_PROJECT)


def load_groups(name: str) -> list[dict[str, Any]]:
    path = DIRECTORY / name
    if not path.is_file():
        pytest.fail(
            f"The test vectors {path} are missing. Put C2SP's Wycheproof vectors into {BESIDE_THE_PROJECT}, "
            "or name their directory with DSTORE_VECTORS.",
            pytrace=False,
        )
    groups: list[dict[str, Any]] = json.loads(path.read_text())["testGroups"]
    return groups


def load_vectors() -> list[dict[str, Any]]:
    groups = load_groups("c2sp_chunked_encryption_aes_256_gcm_test.json")
    vectors = [vector for group in groups for vector in group["tests"]]
    for vector in vectors:
        for name in ("key", "ctx"):
            vector[name] = bytes.fromhex(vector[name])
        vector["ct"] = zlib.decompress(bytes.fromhex(vector["ct"]))
    return vectors


def read_in_order(vector: dict[str, Any]) -> tuple[bytes, DstoreError | None]:
    """Read segment by segment, as from a stream; return what came out before the end or the failure."""
    sealed, plaintext = vector["ct"], b""
    try:
        opener = cobblestone.ChunkOpener(vector["key"], vector["ctx"], sealed[:HEADER])
        body = sealed[HEADER:]
        last = len(body) // SEGMENT_SEALED_SIZE_BYTES
        for index in range(last + 1):
            segment = body[index * SEGMENT_SEALED_SIZE_BYTES :][:SEGMENT_SEALED_SIZE_BYTES]
            out = bytearray(SEGMENT_SIZE_BYTES)
            length = opener.open_segments(segment, index, out, last_segment_index=last)
            plaintext += out[:length]
    except (Corrupt, InvalidRequest) as error:
        return plaintext, error
    return plaintext, None


def read_range(vector: dict[str, Any], offset: int, length: int | None) -> bytes:
    """Read a range (None: to the end) of the message by random access."""
    sealed = vector["ct"]
    opener = cobblestone.ChunkOpener(vector["key"], vector["ctx"], sealed[:HEADER])
    size = cobblestone.plaintext_length(len(sealed))
    wanted = size - offset if length is None else length
    start, count, first = cobblestone.sealed_range(offset, wanted, size)
    out = bytearray(count)
    got = opener.open_segments(
        sealed[start : start + count], first, out, last_segment_index=cobblestone.last_segment_index(size)
    )
    skip = offset - first * SEGMENT_SIZE_BYTES
    return bytes(out[:got][skip : skip + wanted])


def test_all_vectors_are_there() -> None:
    vectors = load_vectors()
    assert len(vectors) == 35
    assert sum(vector["result"] == "valid" for vector in vectors) == 10


def test_sequential() -> None:
    for vector in load_vectors():
        plaintext, error = read_in_order(vector)
        digest = hashlib.sha512(plaintext).hexdigest()
        if vector["result"] == "valid":
            assert error is None, vector["comment"]
            assert (len(plaintext), digest) == (vector["msgLength"], vector["msgSha512"]), vector["comment"]
        else:
            assert error is not None, vector["comment"]
            assert len(plaintext) <= vector.get("msgLength", 0), vector["comment"]
            if len(plaintext) == vector.get("msgLength"):
                assert digest == vector["msgSha512"], vector["comment"]
            assert read_in_order(vector)[1] is not None, "it must keep failing"


def test_whole_message() -> None:
    for vector in load_vectors():
        if vector["result"] == "valid":
            plaintext = cobblestone.open_sealed(vector["key"], vector["ctx"], vector["ct"])
            assert hashlib.sha512(plaintext).hexdigest() == vector["msgSha512"], vector["comment"]
            again = cobblestone.seal(vector["key"], vector["ctx"], vector["ct"][:24], plaintext)
            assert again == vector["ct"], vector["comment"]
        else:
            with pytest.raises((Corrupt, InvalidRequest)):
                cobblestone.open_sealed(vector["key"], vector["ctx"], vector["ct"])


def test_random_access() -> None:
    for vector in load_vectors():
        if vector["result"] == "valid":
            plaintext = cobblestone.open_sealed(vector["key"], vector["ctx"], vector["ct"])
            assert read_range(vector, 0, None) == plaintext
            middle = len(plaintext) // 2
            assert read_range(vector, middle, None) == plaintext[middle:]
            if plaintext:
                assert read_range(vector, middle, 1) == plaintext[middle : middle + 1]
            continue
        with pytest.raises((Corrupt, InvalidRequest)):
            read_range(vector, 0, None)
        if "ValidFinalChunk" not in vector["flags"]:
            with pytest.raises((Corrupt, InvalidRequest)):
                size = cobblestone.plaintext_length(len(vector["ct"]))
                read_range(vector, size, 0)


def test_header_failures_come_before_decryption() -> None:
    for vector in load_vectors():
        if "HeaderFailure" not in vector["flags"]:
            continue
        with pytest.raises((Corrupt, InvalidRequest)) as caught:
            cobblestone.ChunkOpener(vector["key"], vector["ctx"], vector["ct"][:HEADER])
        if "InvalidKeySize" in vector["flags"]:
            assert caught.value.reason == "KEY_SIZE_INVALID"
        elif "Truncation" in vector["flags"]:
            assert caught.value.reason == "CHUNK_HEADER_INVALID"
        else:
            assert caught.value.reason == "COMMITMENT_MISMATCH"


def test_aes_gcm_siv() -> None:
    checked = 0
    for group in load_groups("aes_gcm_siv_test.json"):
        if group["keySize"] != 256:
            continue
        for vector in group["tests"]:
            key, nonce, associated, message = (bytes.fromhex(vector[n]) for n in ("key", "iv", "aad", "msg"))
            sealed = bytes.fromhex(vector["ct"] + vector["tag"])
            cipher = AESGCMSIV(key)
            if vector["result"] == "valid":
                assert cipher.encrypt(nonce, message, associated) == sealed
                assert cipher.decrypt(nonce, sealed, associated) == message
            else:
                with pytest.raises((InvalidTag, ValueError)):
                    cipher.decrypt(nonce, sealed, associated)
            checked += 1
    assert checked > 50
