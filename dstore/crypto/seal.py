"""Sealed metadata: the manifest that the master keeps, and the descriptor that travels with every chunk.

Both are AES-256-GCM-SIV under keys derived from the file's DEK. docs/format.md, sections "Sealed manifest"
and
"Descriptor".
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from dstore.core import manifest as manifests
from dstore.core.errors import Corrupt, InvalidRequest
from dstore.core.files import WrappedKey
from dstore.core.ids import ClusterId, FileId, Version
from dstore.core.limits import (
    DESCRIPTOR_SIZE_BYTES_MAX,
    SEALED_MANIFEST_SIZE_BYTES_MAX,
    WRAPPED_KEY_SIZE_BYTES_MAX,
    WRAPPED_KEYS_MAX,
)
from dstore.core.manifest import Manifest
from dstore.crypto.derivation import (
    NONCE_SIZE_BYTES,
    TAG_SIZE_BYTES,
    bind_file,
    check_nonce_size,
    expand,
)
from dstore.crypto.keys import KEY_ID_SIZE_BYTES

MANIFEST_PREFIX = b"DSSM\x01"
DESCRIPTOR_MAGIC = b"DSDC"
DESCRIPTOR_VERSION = 1

_FRONT = struct.Struct(">4sBQB")
_KEY = struct.Struct(">H8sH")
_BODY = struct.Struct(">QQQB")
#: The wrapped keys that fit in here go into a descriptor; one of any size always does.
DESCRIPTOR_KEYS_SIZE_BYTES_MAX = _KEY.size + WRAPPED_KEY_SIZE_BYTES_MAX
#: What is left for the path when the wrapped keys take all that they may.
_PATH_SIZE_BYTES_SURE = (
    DESCRIPTOR_SIZE_BYTES_MAX
    - DESCRIPTOR_KEYS_SIZE_BYTES_MAX
    - _FRONT.size
    - NONCE_SIZE_BYTES
    - _BODY.size
    - TAG_SIZE_BYTES
)

assert len(MANIFEST_PREFIX) + NONCE_SIZE_BYTES + TAG_SIZE_BYTES == manifests.SEAL_OVERHEAD_BYTES
assert _PATH_SIZE_BYTES_SURE >= 900


def seal_manifest(dek: bytes, manifest: Manifest, nonce: bytes) -> bytes:
    """Encrypt a manifest for the master to keep. ``nonce`` is 12 random bytes.

    Raises:
        InvalidRequest: reason ``MANIFEST_INVALID``, ``KEY_SIZE_INVALID`` or ``NONCE_SIZE_INVALID``.
        LimitExceeded: reason ``MANIFEST_TOO_LARGE``.
    """
    check_nonce_size(nonce)
    cipher = _manifest_cipher(dek, manifest.cluster_id, manifest.file_id)
    return MANIFEST_PREFIX + nonce + cipher.encrypt(nonce, manifest.encode(), MANIFEST_PREFIX)


def open_manifest(dek: bytes, cluster_id: ClusterId, file_id: FileId, sealed: bytes) -> Manifest:
    """Decrypt and check a manifest.

    What it says of version, size, name, parent and chunks is for the caller to compare with what the master
    says in clear, and the version with the highest one seen of this path.

    Raises:
        Corrupt: reason ``MANIFEST_CORRUPT`` when it is damaged, altered or another file's;
            ``MANIFEST_INVALID`` when it is genuine, but not in the one valid form.
    """
    front = len(MANIFEST_PREFIX) + NONCE_SIZE_BYTES
    if not front + TAG_SIZE_BYTES <= len(sealed) <= SEALED_MANIFEST_SIZE_BYTES_MAX:
        raise _corrupt_manifest(file_id, f"it has {len(sealed)} bytes")
    if not sealed.startswith(MANIFEST_PREFIX):
        raise _corrupt_manifest(file_id, "it does not start with the magic and version of a sealed manifest")
    cipher = _manifest_cipher(dek, cluster_id, file_id)
    try:
        encoded = cipher.decrypt(sealed[len(MANIFEST_PREFIX) : front], sealed[front:], MANIFEST_PREFIX)
    except InvalidTag:
        raise _corrupt_manifest(file_id, "it does not authenticate") from None
    manifest = manifests.decode(encoded)
    if (manifest.cluster_id, manifest.file_id) != (cluster_id, file_id):
        raise _corrupt_manifest(file_id, "it names another file")
    return manifest


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a chunk says of itself, so that the namespace can be rebuilt from chunks and keys alone.

    Attributes:
        version: that the write was to commit when this chunk was sent; the committed one may be larger.
        chunk_count: of the file; 0 while the writer did not know it.
        path: of the file when it was written; when ``path_is_truncated``, only its end.
    """

    file_id: FileId
    version: Version
    chunk_index: int
    chunk_count: int
    path: str
    path_is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class DescriptorFront:
    """The part of a descriptor that is in clear: whose chunk it is, and the keys to go on with."""

    file_id: FileId
    wrapped_keys: tuple[WrappedKey, ...]


def seal_descriptor(
    dek: bytes,
    cluster_id: ClusterId,
    wrapped_keys: Sequence[WrappedKey],
    descriptor: Descriptor,
    nonce: bytes,
) -> bytes:
    """Encode a descriptor, at most ``DESCRIPTOR_SIZE_BYTES_MAX`` long. ``nonce`` is 12 random bytes.

    The first wrapped keys are included, as many as fit in their share; a path that does not fit in the rest
    loses its beginning, and ``path_is_truncated`` says so when the descriptor is opened.

    Raises:
        InvalidRequest: reason ``DESCRIPTOR_INVALID``, ``KEY_SIZE_INVALID`` or ``NONCE_SIZE_INVALID``.
    """
    check_nonce_size(nonce)
    if not descriptor.path.startswith("/") or descriptor.path_is_truncated:
        raise InvalidRequest(
            f"{descriptor.path[:80]!r} is no absolute path; a descriptor is made from the whole path.",
            reason="DESCRIPTOR_INVALID",
        )
    front = _encode_front(descriptor.file_id, wrapped_keys)
    room = DESCRIPTOR_SIZE_BYTES_MAX - len(front) - NONCE_SIZE_BYTES - _BODY.size - TAG_SIZE_BYTES
    try:
        path = descriptor.path.encode()
        truncated = len(path) > room
        numbers = (descriptor.version, descriptor.chunk_index, descriptor.chunk_count)
        body = _BODY.pack(*numbers, truncated) + (_last_bytes(path, room) if truncated else path)
    except (struct.error, UnicodeEncodeError) as error:
        raise InvalidRequest(
            "A number or the path of a descriptor is out of its range; correct it.",
            reason="DESCRIPTOR_INVALID",
        ) from error
    return front + nonce + _descriptor_cipher(dek, cluster_id, descriptor.file_id).encrypt(nonce, body, front)


def read_descriptor_front(encoded: bytes) -> DescriptorFront:
    """Read the part in clear, which is not to be trusted before ``open_descriptor`` succeeds.

    Raises:
        Corrupt: reason ``DESCRIPTOR_INVALID``.
    """
    return _decode_front(encoded)[0]


def open_descriptor(dek: bytes, cluster_id: ClusterId, encoded: bytes) -> Descriptor:
    """Decrypt and check a descriptor with the DEK that was unwrapped from its front.

    Raises:
        Corrupt: reason ``DESCRIPTOR_INVALID`` when it is not in the one valid form, ``DESCRIPTOR_CORRUPT``
            when it is damaged, altered or another cluster's.
    """
    front, end = _decode_front(encoded)
    nonce, sealed = encoded[end : end + NONCE_SIZE_BYTES], encoded[end + NONCE_SIZE_BYTES :]
    if len(sealed) < TAG_SIZE_BYTES:
        raise _invalid_descriptor("it ends too early")
    try:
        body = _descriptor_cipher(dek, cluster_id, front.file_id).decrypt(nonce, sealed, encoded[:end])
    except InvalidTag:
        raise Corrupt(
            "The descriptor of a chunk is damaged, was altered or is another cluster's. Use another replica.",
            reason="DESCRIPTOR_CORRUPT",
            metadata={"file_id": str(front.file_id)},
        ) from None
    if len(body) < _BODY.size:
        raise _invalid_descriptor("it ends too early")
    version, chunk_index, chunk_count, truncated = _BODY.unpack_from(body)
    try:
        path = body[_BODY.size :].decode()
    except UnicodeDecodeError:
        raise _invalid_descriptor("its path is not UTF-8") from None
    # A character has at most four bytes, so what is cut leaves at most three unused.
    fills = len(encoded) >= DESCRIPTOR_SIZE_BYTES_MAX - 3
    if truncated > 1 or (truncated == 1 and not fills) or (truncated == 0 and not path.startswith("/")):
        raise _invalid_descriptor("its path is neither absolute nor truncated")
    return Descriptor(front.file_id, Version(version), chunk_index, chunk_count, path, truncated == 1)


def _encode_front(file_id: FileId, wrapped_keys: Sequence[WrappedKey]) -> bytes:
    encoded: list[bytes] = []
    size_bytes = 0
    for wrapped in wrapped_keys[:WRAPPED_KEYS_MAX]:
        if (
            not 1 <= wrapped.kind <= 0xFFFF
            or len(wrapped.key_id) != KEY_ID_SIZE_BYTES
            or len(wrapped.data) > WRAPPED_KEY_SIZE_BYTES_MAX
        ):
            raise InvalidRequest(
                f"A wrapped key of kind {wrapped.kind} of {len(wrapped.data)} bytes fits no descriptor.",
                reason="DESCRIPTOR_INVALID",
            )
        size_bytes += _KEY.size + len(wrapped.data)
        if size_bytes > DESCRIPTOR_KEYS_SIZE_BYTES_MAX:
            break
        encoded.append(_KEY.pack(wrapped.kind, wrapped.key_id, len(wrapped.data)) + wrapped.data)
    return _FRONT.pack(DESCRIPTOR_MAGIC, DESCRIPTOR_VERSION, file_id, len(encoded)) + b"".join(encoded)


def _decode_front(encoded: bytes) -> tuple[DescriptorFront, int]:
    """Return the front and where it ends."""
    if not _FRONT.size <= len(encoded) <= DESCRIPTOR_SIZE_BYTES_MAX:
        raise _invalid_descriptor(f"it has {len(encoded)} bytes")
    magic, format_version, file_id, key_count = _FRONT.unpack_from(encoded)
    if magic != DESCRIPTOR_MAGIC or format_version != DESCRIPTOR_VERSION:
        raise _invalid_descriptor("it does not start with the magic and version of a descriptor")
    keys: list[WrappedKey] = []
    offset = _FRONT.size
    for _ in range(key_count):
        if offset + _KEY.size > len(encoded):
            raise _invalid_descriptor("it ends inside its wrapped keys")
        kind, key_id, size_bytes = _KEY.unpack_from(encoded, offset)
        start, offset = offset + _KEY.size, offset + _KEY.size + size_bytes
        if offset > len(encoded) or kind == 0:
            raise _invalid_descriptor("one of its wrapped keys is cut or has no kind")
        keys.append(WrappedKey(kind, key_id, encoded[start:offset]))
    if key_count > WRAPPED_KEYS_MAX or offset - _FRONT.size > DESCRIPTOR_KEYS_SIZE_BYTES_MAX:
        raise _invalid_descriptor("its wrapped keys take more than their share")
    return DescriptorFront(FileId(file_id), tuple(keys)), offset


def _last_bytes(path: bytes, size_bytes: int) -> bytes:
    """Return the longest end of a UTF-8 text that fits, starting at a character."""
    end = path[len(path) - size_bytes :]
    skipped = 0
    while end[skipped] & 0xC0 == 0x80:
        skipped += 1
    return end[skipped:]


def _manifest_cipher(dek: bytes, cluster_id: ClusterId, file_id: FileId) -> AESGCMSIV:
    return AESGCMSIV(expand(dek, bind_file(b"dstore/manifest/v1", cluster_id, file_id)))


def _descriptor_cipher(dek: bytes, cluster_id: ClusterId, file_id: FileId) -> AESGCMSIV:
    return AESGCMSIV(expand(dek, bind_file(b"dstore/descriptor/v1", cluster_id, file_id)))


def _corrupt_manifest(file_id: FileId, why: str) -> Corrupt:
    return Corrupt(
        f"The sealed manifest of file {file_id} is damaged, was altered or belongs to another file: {why}. "
        "The metadata of the master cannot be trusted; restore the file from another version or a backup.",
        reason="MANIFEST_CORRUPT",
        metadata={"file_id": str(file_id)},
    )


def _invalid_descriptor(why: str) -> Corrupt:
    return Corrupt(f"This is no valid descriptor of a chunk: {why}. Use another replica.", reason="DESCRIPTOR_INVALID")
