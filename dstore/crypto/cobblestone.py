"""Cobblestone-256: the encryption of chunks, as in c2sp.org/chunked-encryption, without I/O.

A message is a header (salt and key commitment) and segments of 16 KiB, each authenticated by itself under
its number. The last segment is always shorter, possibly empty, so a message that was cut or extended never
verifies. dstore makes one message of each chunk; docs/format.md, section "Chunk encryption", has the layout.

Sealing and opening write straight into the caller's buffer, release the GIL, and may run in several threads
on one object at once.
"""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from dstore.core.environment import Buffer
from dstore.core.errors import Corrupt, InvalidRequest
from dstore.core.ids import ClusterId, FileId
from dstore.core.limits import (
    CHUNK_HEADER_SIZE_BYTES,
    SEGMENT_SEALED_SIZE_BYTES,
    SEGMENT_SIZE_BYTES,
    SEGMENT_TAG_SIZE_BYTES,
)
from dstore.crypto.derivation import check_key_size, file_identity, length_prefixed

SALT_SIZE_BYTES = 24
#: 4 PiB, the limit of c2sp.org/chunked-encryption.
PLAINTEXT_SIZE_BYTES_MAX = 1 << 52

_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"
_NONCE_SIZE_BYTES = 12
_DERIVED_SIZE_BYTES = 32 + _NONCE_SIZE_BYTES + 32


def chunk_context(cluster_id: ClusterId, file_id: FileId, chunk_index: int) -> bytes:
    """Return what a chunk is bound to: this position in this file of this cluster."""
    return length_prefixed(b"dstore/chunk/v1", *file_identity(cluster_id, file_id), chunk_index.to_bytes(8, "big"))


def sealed_length(plaintext_length: int) -> int:
    """Return the size of the message that a plaintext of this size makes.

    Raises:
        InvalidRequest: reason ``PLAINTEXT_LENGTH_INVALID``, when it is negative or above 4 PiB.
    """
    if not 0 <= plaintext_length <= PLAINTEXT_SIZE_BYTES_MAX:
        raise InvalidRequest(
            f"{plaintext_length} bytes cannot be one message; the limit is {PLAINTEXT_SIZE_BYTES_MAX}.",
            reason="PLAINTEXT_LENGTH_INVALID",
        )
    segment_count = last_segment_index(plaintext_length) + 1
    return CHUNK_HEADER_SIZE_BYTES + plaintext_length + segment_count * SEGMENT_TAG_SIZE_BYTES


def plaintext_length(sealed_length: int) -> int:
    """Return the size of the plaintext in a message of this size.

    Raises:
        Corrupt: reason ``SEALED_LENGTH_INVALID``, when no plaintext makes a message of this size.
    """
    full_count, rest = divmod(sealed_length - CHUNK_HEADER_SIZE_BYTES, SEGMENT_SEALED_SIZE_BYTES)
    length = full_count * SEGMENT_SIZE_BYTES + rest - SEGMENT_TAG_SIZE_BYTES
    if full_count < 0 or rest < SEGMENT_TAG_SIZE_BYTES or length > PLAINTEXT_SIZE_BYTES_MAX:
        raise Corrupt(
            f"No chunk has {sealed_length} bytes of ciphertext: it was cut or extended. Use another replica.",
            reason="SEALED_LENGTH_INVALID",
            metadata={"sealed_length": str(sealed_length)},
        )
    return length


def last_segment_index(plaintext_length: int) -> int:
    """Return the number of the last segment, which is shorter than the others and may be empty."""
    return plaintext_length // SEGMENT_SIZE_BYTES


def sealed_range(offset: int, length: int, plaintext_length: int) -> tuple[int, int, int]:
    """Return (offset in the message, size there, first segment) of the whole segments that hold a range.

    A range that reaches the end includes the last segment, even an empty one, so that the end is
    authenticated as well. An empty range before the end needs no segments: its size is 0.

    Raises:
        InvalidRequest: reason ``RANGE_INVALID``, when the range is not inside the plaintext.
    """
    if offset < 0 or length < 0 or offset + length > plaintext_length:
        raise InvalidRequest(
            f"{length} bytes from {offset} are not inside a plaintext of {plaintext_length}; ask for less.",
            reason="RANGE_INVALID",
        )
    first = offset // SEGMENT_SIZE_BYTES
    start = CHUNK_HEADER_SIZE_BYTES + first * SEGMENT_SEALED_SIZE_BYTES
    if offset + length == plaintext_length:
        return start, sealed_length(plaintext_length) - start, first
    end_segment = -(-(offset + length) // SEGMENT_SIZE_BYTES) if length else first
    # The last segment is shorter than the others.
    end = min(CHUNK_HEADER_SIZE_BYTES + end_segment * SEGMENT_SEALED_SIZE_BYTES, sealed_length(plaintext_length))
    return start, end - start, first


class ChunkSealer:
    """Encrypts one message.

    A salt belongs to one plaintext: under the same key, context and salt, seal the same bytes again if need
    be, but never different ones, which would disclose both.
    """

    __slots__ = ("_base_nonce", "_cipher", "header")

    #: Salt and commitment, the first 56 bytes of the message.
    header: bytes

    def __init__(self, key: bytes, context: bytes, salt: bytes) -> None:
        """Derive the keys of the message; ``salt`` is 24 fresh random bytes.

        Raises:
            InvalidRequest: reason ``KEY_SIZE_INVALID`` or ``SALT_SIZE_INVALID``.
        """
        if len(salt) != SALT_SIZE_BYTES:
            raise InvalidRequest(
                f"A salt must have {SALT_SIZE_BYTES} bytes, this one has {len(salt)}.",
                reason="SALT_SIZE_INVALID",
            )
        self._cipher, self._base_nonce, commitment = _derive(key, context, salt)
        self.header = salt + commitment

    def __repr__(self) -> str:
        return f"ChunkSealer(salt={self.header[:4].hex()}…)"

    def seal_segments(self, plaintext: Buffer, first_segment: int, out: bytearray | memoryview, *, last: bool) -> int:
        """Encrypt consecutive segments into ``out`` and return how many bytes were written.

        With ``last``, the plaintext is the end of the message, and its last segment is what is left after the
        full ones, possibly nothing. Without, it must be a whole number of full segments.

        Raises:
            InvalidRequest: reason ``SEGMENTS_MISALIGNED`` or ``BUFFER_TOO_SMALL``; nothing was written.
        """
        source = memoryview(plaintext).cast("B")
        full_count, rest = divmod(len(source), SEGMENT_SIZE_BYTES)
        if (rest and not last) or first_segment < 0:
            raise InvalidRequest(
                f"{len(source)} bytes from segment {first_segment} are not whole segments; only the last "
                "one may be shorter.",
                reason="SEGMENTS_MISALIGNED",
            )
        segment_count = full_count + 1 if last else full_count
        written = len(source) + segment_count * SEGMENT_TAG_SIZE_BYTES
        target = memoryview(out).cast("B")
        _check_room(target, written)
        encrypt_into, base_nonce = self._cipher.encrypt_into, self._base_nonce
        for position in range(segment_count):
            start = position * SEGMENT_SIZE_BYTES
            segment = source[start : start + SEGMENT_SIZE_BYTES]
            sealed_start = position * SEGMENT_SEALED_SIZE_BYTES
            encrypt_into(
                (base_nonce ^ (first_segment + position)).to_bytes(_NONCE_SIZE_BYTES, "big"),
                segment,
                None,
                target[sealed_start : sealed_start + len(segment) + SEGMENT_TAG_SIZE_BYTES],
            )
        return written


class ChunkOpener:
    """Decrypts ranges of one message."""

    __slots__ = ("_base_nonce", "_cipher")

    def __init__(self, key: bytes, context: bytes, header: bytes) -> None:
        """Derive the keys of the message and compare the commitment, before anything is decrypted.

        Raises:
            InvalidRequest: reason ``KEY_SIZE_INVALID``.
            Corrupt: reason ``CHUNK_HEADER_INVALID`` when it has not 56 bytes, ``COMMITMENT_MISMATCH`` when it
                was made with another key or for another place.
        """
        check_key_size(key)
        if len(header) != CHUNK_HEADER_SIZE_BYTES:
            raise Corrupt(
                f"A chunk starts with {CHUNK_HEADER_SIZE_BYTES} bytes of header, this with {len(header)}: "
                "it was cut. Use another replica.",
                reason="CHUNK_HEADER_INVALID",
            )
        salt, commitment = bytes(header[:SALT_SIZE_BYTES]), header[SALT_SIZE_BYTES:]
        self._cipher, self._base_nonce, expected = _derive(key, context, salt)
        if not hmac.compare_digest(expected, commitment):
            raise Corrupt(
                "The key commitment of the chunk does not match: its header was altered, or it belongs to "
                "another file or position. Use another replica.",
                reason="COMMITMENT_MISMATCH",
            )

    def __repr__(self) -> str:
        return "ChunkOpener()"

    def open_segments(
        self, sealed: Buffer, first_segment: int, out: bytearray | memoryview, *, last_segment_index: int
    ) -> int:
        """Decrypt consecutive whole segments into ``out`` and return how many bytes of plaintext there are.

        ``last_segment_index`` is the number of the message's last segment: that one must be shorter than the
        others, which must be full. After a failure, what was written to ``out`` is zero again.

        Raises:
            InvalidRequest: reason ``BUFFER_TOO_SMALL``; nothing was written.
            Corrupt: reason ``SEGMENT_CORRUPT``; ``metadata["segment_index"]`` says which.
        """
        source = memoryview(sealed).cast("B")
        segment_count = _count_segments(len(source), first_segment, last_segment_index)
        length = len(source) - segment_count * SEGMENT_TAG_SIZE_BYTES
        target = memoryview(out).cast("B")
        _check_room(target, length)
        decrypt_into, base_nonce = self._cipher.decrypt_into, self._base_nonce
        position = 0
        try:
            for position in range(segment_count):
                sealed_start = position * SEGMENT_SEALED_SIZE_BYTES
                segment = source[sealed_start : sealed_start + SEGMENT_SEALED_SIZE_BYTES]
                start = position * SEGMENT_SIZE_BYTES
                decrypt_into(
                    (base_nonce ^ (first_segment + position)).to_bytes(_NONCE_SIZE_BYTES, "big"),
                    segment,
                    None,
                    target[start : start + len(segment) - SEGMENT_TAG_SIZE_BYTES],
                )
        except InvalidTag:
            # Invariant 5: the cipher writes before it verifies, and a caller may look at its buffer.
            target[:length] = bytes(length)
            raise _corrupt_segment(first_segment + position, "it does not authenticate") from None
        return length


def seal(key: bytes, context: bytes, salt: bytes, plaintext: Buffer) -> bytes:
    """Encrypt a whole message.

    Raises:
        InvalidRequest: as ``ChunkSealer``.
    """
    sealer = ChunkSealer(key, context, salt)
    out = bytearray(sealed_length(memoryview(plaintext).nbytes))
    out[:CHUNK_HEADER_SIZE_BYTES] = sealer.header
    sealer.seal_segments(plaintext, 0, memoryview(out)[CHUNK_HEADER_SIZE_BYTES:], last=True)
    return bytes(out)


def open_sealed(key: bytes, context: bytes, sealed: Buffer) -> bytes:
    """Decrypt a whole message; all of it verifies, or nothing is returned.

    Raises:
        InvalidRequest: as ``ChunkOpener``.
        Corrupt: as ``plaintext_length``, ``ChunkOpener`` and ``ChunkOpener.open_segments``.
    """
    source = memoryview(sealed).cast("B")
    opener = ChunkOpener(key, context, bytes(source[:CHUNK_HEADER_SIZE_BYTES]))
    length = plaintext_length(len(source))
    out = bytearray(length)
    body = source[CHUNK_HEADER_SIZE_BYTES:]
    opener.open_segments(body, 0, out, last_segment_index=last_segment_index(length))
    return bytes(out)


def _derive(key: bytes, context: bytes, salt: bytes) -> tuple[AESGCM, int, bytes]:
    check_key_size(key)
    derived = HKDFExpand(SHA512(), _DERIVED_SIZE_BYTES, _LABEL + salt + context).derive(key)
    base_nonce = int.from_bytes(derived[32 : 32 + _NONCE_SIZE_BYTES], "big")
    return AESGCM(derived[:32]), base_nonce, derived[32 + _NONCE_SIZE_BYTES :]


def _count_segments(sealed_size_bytes: int, first_segment: int, last_segment_index: int) -> int:
    """Return how many segments these bytes are, all full but the message's last, which is not."""
    full_count, rest = divmod(sealed_size_bytes, SEGMENT_SEALED_SIZE_BYTES)
    end = first_segment + full_count
    if not 0 <= first_segment <= last_segment_index:
        raise _corrupt_segment(first_segment, f"the last one is {last_segment_index}")
    if end > last_segment_index:
        raise _corrupt_segment(last_segment_index, "it is the last one and not shorter than the others")
    if rest == 0 and full_count == 0:
        raise _corrupt_segment(first_segment, "it is missing")
    if rest == 0:
        return full_count
    if end < last_segment_index or rest < SEGMENT_TAG_SIZE_BYTES:
        raise _corrupt_segment(end, f"it was cut to {rest} bytes")
    return full_count + 1


def _check_room(target: memoryview, needed: int) -> None:
    if len(target) < needed:
        raise InvalidRequest(
            f"The buffer has {len(target)} bytes, {needed} are needed; pass a larger one.",
            reason="BUFFER_TOO_SMALL",
        )


def _corrupt_segment(segment_index: int, why: str) -> Corrupt:
    return Corrupt(
        f"Segment {segment_index} of the chunk is damaged or was altered: {why}. Use another replica.",
        reason="SEGMENT_CORRUPT",
        metadata={"segment_index": str(segment_index)},
    )
