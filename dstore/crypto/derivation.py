"""Derived keys and bound identities: one way to join parts, one way to derive."""

import hmac
from functools import lru_cache

from dstore.core.errors import InvalidRequest
from dstore.core.ids import ClusterId, FileId, uuid_bytes

KEY_SIZE_BYTES = 32
#: Of AES-256-GCM-SIV, under which everything but the chunks is sealed.
NONCE_SIZE_BYTES = 12
TAG_SIZE_BYTES = 16

#: What one step of HKDF-Expand gives with SHA-512; no key of dstore is longer.
_BLOCK_SIZE_BYTES = 64
#: Labels, for the few clusters that a process knows.
_PREFIXES_CACHED_MAX = 64


def length_prefixed(*parts: bytes) -> bytes:
    """Join parts so that no other list of parts gives the same bytes: each after its length as a u32."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def derive_key(key: bytes, *info: bytes, size_bytes: int = KEY_SIZE_BYTES) -> bytes:
    """Return HKDF-Expand-SHA512 of ``key`` with the length-prefixed ``info`` parts; the first is the label.

    Raises:
        InvalidRequest: reason ``KEY_SIZE_INVALID``.
    """
    check_key_size(key)
    return expand(key, length_prefixed(*info), size_bytes=size_bytes)


def expand(key: bytes, info: bytes, *, size_bytes: int = KEY_SIZE_BYTES) -> bytes:
    """Return HKDF-Expand-SHA512 of ``key`` with ``info`` as it is: its first block, which is all that a key needs.

    Raises:
        InvalidRequest: reason ``KEY_SIZE_INVALID``.
    """
    check_key_size(key)
    assert 0 < size_bytes <= _BLOCK_SIZE_BYTES
    return hmac.digest(key, info + b"\x01", "sha512")[:size_bytes]


def bind_file(label: bytes, cluster_id: ClusterId, file_id: FileId) -> bytes:
    """Return ``length_prefixed`` of a label and ``file_identity``."""
    return _file_prefix(label, cluster_id) + file_id.to_bytes(8, "big")


@lru_cache(_PREFIXES_CACHED_MAX)
def _file_prefix(label: bytes, cluster_id: ClusterId) -> bytes:
    return length_prefixed(label, uuid_bytes(cluster_id)) + (8).to_bytes(4, "big")


def file_identity(cluster_id: ClusterId, file_id: FileId) -> tuple[bytes, bytes]:
    """Return the two parts that bind something to one file of one cluster."""
    return uuid_bytes(cluster_id), file_id.to_bytes(8, "big")


def check_key_size(key: bytes) -> None:
    """Refuse a key that has not exactly 32 bytes.

    Raises:
        InvalidRequest: reason ``KEY_SIZE_INVALID``.
    """
    if len(key) != KEY_SIZE_BYTES:
        raise InvalidRequest(
            f"A key must have {KEY_SIZE_BYTES} bytes, this one has {len(key)}; use random ones.",
            reason="KEY_SIZE_INVALID",
        )


def check_nonce_size(nonce: bytes) -> None:
    """Refuse a nonce that has not exactly 12 bytes.

    Raises:
        InvalidRequest: reason ``NONCE_SIZE_INVALID``.
    """
    if len(nonce) != NONCE_SIZE_BYTES:
        raise InvalidRequest(
            f"A nonce must have {NONCE_SIZE_BYTES} bytes, this one has {len(nonce)}; use random ones.",
            reason="NONCE_SIZE_INVALID",
        )
