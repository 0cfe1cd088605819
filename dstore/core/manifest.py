"""The manifest: what the writer of a file says about it, encoded to bytes that have one valid form.

The client seals these bytes under a key that no server has (``crypto/seal.py``), and on every open compares
them with what the master says in clear. The layout is specified in docs/format.md, section "Manifest".
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dstore.core.errors import Corrupt, InvalidRequest, LimitExceeded
from dstore.core.files import ChunkRecord
from dstore.core.ids import ClusterId, FileId, Version, parse_uuid, uuid_bytes, uuid_from_bytes
from dstore.core.limits import (
    CHUNK_HEADER_SIZE_BYTES,
    CHUNK_SIZE_BYTES_MAX,
    CHUNK_SIZE_BYTES_MIN,
    INLINE_SIZE_BYTES_MAX,
    SEALED_MANIFEST_SIZE_BYTES_MAX,
)
from dstore.core.paths import is_plain_name, split_path
from dstore.core.quick_init import quick_init

MAGIC = b"DSMF"
#: Of a manifest of chunks, and of one that holds the whole file.
FORMAT_VERSION = 1
FORMAT_VERSION_WITH_CONTENT = 2
DIGEST_SIZE_BYTES = 32
#: What sealing adds: magic, version, nonce, tag.
SEAL_OVERHEAD_BYTES = 33
MANIFEST_SIZE_BYTES_MAX = SEALED_MANIFEST_SIZE_BYTES_MAX - SEAL_OVERHEAD_BYTES
ATTRIBUTE_NAME_SIZE_BYTES_MAX = 255
#: Names and values together: leaves room for the content of a small file, and for a longer name after a rename.
ATTRIBUTES_SIZE_BYTES_MAX = SEALED_MANIFEST_SIZE_BYTES_MAX // 4

_CHUNKS_DOMAIN = b"dstore/chunks/v1"
#: The digest of no chunk records.
NO_CHUNKS_DIGEST = hashlib.sha256(_CHUNKS_DOMAIN).digest()
_RECORD = struct.Struct(">QIQQI56s")
_FIXED = struct.Struct(">4sB16sQQQIQ32sQqqB")
_COUNT = struct.Struct(">H")
_SIZE = struct.Struct(">I")

assert _RECORD.size == 32 + CHUNK_HEADER_SIZE_BYTES
assert _FIXED.size == 114


@quick_init
@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a file, as its writer vouches for it.

    Attributes:
        file_id: identity of the content; every chunk is bound to it.
        version: grows cluster-wide; of two manifests of one path the one with the larger version is newer.
        size_bytes: of the plaintext.
        chunk_size_bytes: plaintext of every chunk but the last.
        chunk_count: ``size_bytes`` divided by ``chunk_size_bytes``, rounded up; 0 with ``content``.
        chunks_digest: ``digest_chunks`` of all records, in order.
        parent_id, name: where the file appears; a rename seals a new manifest.
        created_ns, modified_ns: nanoseconds since 1970, UTC; negative before.
        attributes: of the user: name and value, sorted by the UTF-8 bytes of the name, each name once.
        content: the whole file, when it has no chunks; at most ``INLINE_SIZE_BYTES_MAX``.
    """

    cluster_id: ClusterId
    file_id: FileId
    version: Version
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int
    chunks_digest: bytes
    parent_id: FileId
    name: str
    created_ns: int
    modified_ns: int
    attributes: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    content: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Return the one valid encoding.

        Raises:
            InvalidRequest: reason ``MANIFEST_INVALID``, when a field is out of its range.
            LimitExceeded: reason ``MANIFEST_TOO_LARGE``, when the attributes take too much space.
        """
        problem = _range_problem(self) or _problem(self)
        if problem is not None:
            raise InvalidRequest(
                f"This manifest cannot be encoded: {problem}. Correct the field.", reason="MANIFEST_INVALID"
            )
        name = self.name.encode()
        parts = [
            _FIXED.pack(
                MAGIC,
                FORMAT_VERSION_WITH_CONTENT if self.content else FORMAT_VERSION,
                uuid_bytes(self.cluster_id),
                self.file_id,
                self.version,
                self.size_bytes,
                self.chunk_size_bytes,
                self.chunk_count,
                self.chunks_digest,
                self.parent_id,
                self.created_ns,
                self.modified_ns,
                len(name),
            ),
            name,
            _COUNT.pack(len(self.attributes)),
        ]
        for attribute, value in self.attributes:
            raw = attribute.encode()
            parts += [bytes([len(raw)]), raw, _SIZE.pack(len(value)), value]
        if self.content:
            parts += [_SIZE.pack(len(self.content)), self.content]
        encoded = b"".join(parts)
        if len(encoded) > MANIFEST_SIZE_BYTES_MAX:
            raise LimitExceeded(
                f"The attributes of {self.name!r} make its manifest {len(encoded)} bytes long, the limit is "
                f"{MANIFEST_SIZE_BYTES_MAX}; store fewer or shorter attributes.",
                reason="MANIFEST_TOO_LARGE",
                metadata={"size_bytes": str(len(encoded)), "limit_bytes": str(MANIFEST_SIZE_BYTES_MAX)},
            )
        return encoded


def sorted_attributes(attributes: Mapping[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    """Return attributes as a manifest has them.

    Raises:
        InvalidRequest: reason ``ATTRIBUTES_INVALID``.
        LimitExceeded: reason ``ATTRIBUTES_TOO_LARGE``.
    """
    problem = None
    try:
        # Through a view: ``bytes`` of a number would be so many zeros.
        found = tuple(
            sorted(((name, bytes(memoryview(value))) for name, value in attributes.items()), key=_encoded_name)
        )
    except (UnicodeEncodeError, TypeError, AttributeError):
        problem = "names are text in UTF-8, values are bytes"
    else:
        problem = _attributes_problem(found)
    if problem is not None:
        raise InvalidRequest(
            f"These attributes cannot be stored: {problem}. Correct them.", reason="ATTRIBUTES_INVALID"
        )
    size_bytes = sum(len(name.encode()) + len(value) for name, value in found)
    if size_bytes > ATTRIBUTES_SIZE_BYTES_MAX:
        raise LimitExceeded(
            f"The attributes have {size_bytes} bytes, the limit is {ATTRIBUTES_SIZE_BYTES_MAX}; store fewer or "
            "shorter ones.",
            reason="ATTRIBUTES_TOO_LARGE",
        )
    return found


def _encoded_name(attribute: tuple[str, bytes]) -> bytes:
    return attribute[0].encode()


def decode(encoded: bytes) -> Manifest:
    """Read what ``Manifest.encode`` writes, and nothing else.

    Raises:
        Corrupt: reason ``MANIFEST_INVALID``.
    """
    if len(encoded) > MANIFEST_SIZE_BYTES_MAX:
        raise _invalid(f"it has {len(encoded)} bytes, the limit is {MANIFEST_SIZE_BYTES_MAX}")
    if len(encoded) < _FIXED.size:
        raise _invalid("it ends inside its fixed fields")
    fixed = _FIXED.unpack_from(encoded)
    magic, format_version, cluster, file_id, version, size_bytes, chunk_size_bytes = fixed[:7]
    chunk_count, digest, parent_id, created_ns, modified_ns, name_size_bytes = fixed[7:]
    if magic != MAGIC:
        raise _invalid("it does not start with the magic of a manifest")
    if format_version not in (FORMAT_VERSION, FORMAT_VERSION_WITH_CONTENT):
        raise _invalid(
            f"it has format version {format_version}, this program reads {FORMAT_VERSION} and "
            f"{FORMAT_VERSION_WITH_CONTENT}"
        )
    rest = _Rest(encoded, _FIXED.size)
    name = rest.take_text(name_size_bytes)
    attribute_count = rest.take_number(_COUNT)
    attributes = tuple([_take_attribute(rest) for _ in range(attribute_count)]) if attribute_count else ()
    content = rest.take(rest.take_number(_SIZE)) if format_version == FORMAT_VERSION_WITH_CONTENT else b""
    if rest.offset != len(encoded):
        raise _invalid("bytes follow its end")
    if format_version == FORMAT_VERSION_WITH_CONTENT and not content:
        raise _invalid("its content is empty, which another format version says")
    # By position, and numbers without their names: this is done for every file that is opened.
    manifest = Manifest(
        ClusterId(uuid_from_bytes(cluster)),
        file_id,
        version,
        size_bytes,
        chunk_size_bytes,
        chunk_count,
        digest,
        parent_id,
        name,
        created_ns,
        modified_ns,
        attributes,
        content,
    )
    problem = _problem(manifest)
    if problem is not None:
        raise _invalid(problem)
    return manifest


class ChunkListDigest:
    """SHA-256 over chunk records in the order of the file, fed one at a time."""

    __slots__ = ("_hash", "chunk_count")

    chunk_count: int

    def __init__(self) -> None:
        self._hash = hashlib.sha256(_CHUNKS_DOMAIN)
        self.chunk_count = 0

    def add(self, record: ChunkRecord) -> None:
        """Add the next record.

        Raises:
            Corrupt: reason ``CHUNK_RECORD_INVALID``, when a field does not fit its place.
        """
        if len(record.header) != CHUNK_HEADER_SIZE_BYTES:
            raise _invalid_record(record, f"its header has {len(record.header)} bytes")
        try:
            encoded = _RECORD.pack(
                record.index,
                record.chunk_id.group_id,
                record.chunk_id.sequence,
                record.length_bytes,
                record.crc32c,
                record.header,
            )
        except struct.error as error:
            raise _invalid_record(record, "a number is out of its range") from error
        self._hash.update(encoded)
        self.chunk_count += 1

    def digest(self) -> bytes:
        """Return the 32 bytes for the records added so far; more may follow."""
        return self._hash.digest()


def digest_chunks(records: Iterable[ChunkRecord]) -> bytes:
    """Return the digest that a manifest holds for these records, in this order.

    Raises:
        Corrupt: as ``ChunkListDigest.add``.
    """
    digest = ChunkListDigest()
    for record in records:
        digest.add(record)
    return digest.digest()


class _Rest:
    """What follows the fixed fields, taken from front to back."""

    __slots__ = ("encoded", "offset")

    def __init__(self, encoded: bytes, offset: int) -> None:
        self.encoded = encoded
        self.offset = offset

    def take(self, size_bytes: int) -> bytes:
        end = self.offset + size_bytes
        if end > len(self.encoded):
            raise _invalid("it ends in the middle of a field")
        taken = self.encoded[self.offset : end]
        self.offset = end
        return taken

    def take_number(self, number: struct.Struct) -> int:
        start = self.offset
        self.offset = end = start + number.size
        if end > len(self.encoded):
            raise _invalid("it ends in the middle of a field")
        return int(number.unpack_from(self.encoded, start)[0])

    def take_text(self, size_bytes: int) -> str:
        try:
            return self.take(size_bytes).decode()
        except UnicodeDecodeError as error:
            raise _invalid("a name is not UTF-8") from error


def _take_attribute(rest: _Rest) -> tuple[str, bytes]:
    name = rest.take_text(rest.take(1)[0])
    return name, rest.take(rest.take_number(_SIZE))


def _range_problem(manifest: Manifest) -> str | None:
    """Return which field has no place in the layout, or None; what was read from there needs no such look."""
    if not (
        0 <= manifest.file_id < 1 << 64
        and 0 <= manifest.version < 1 << 64
        and 0 <= manifest.size_bytes < 1 << 64
        and 0 <= manifest.parent_id < 1 << 64
    ):
        return "a number does not fit 64 bits"
    if not (-(1 << 63) <= manifest.created_ns < 1 << 63 and -(1 << 63) <= manifest.modified_ns < 1 << 63):
        return "a time does not fit 64 bits"
    if len(manifest.chunks_digest) != DIGEST_SIZE_BYTES:
        return f"the digest of the chunks has {len(manifest.chunks_digest)} bytes, not {DIGEST_SIZE_BYTES}"
    try:
        parse_uuid(manifest.cluster_id, what="cluster id")
    except InvalidRequest as error:
        return error.message.rstrip(".")
    return None


def _problem(manifest: Manifest) -> str | None:
    """Return what is wrong with the fields, though each has its place in the layout, or None."""
    if not CHUNK_SIZE_BYTES_MIN <= manifest.chunk_size_bytes <= CHUNK_SIZE_BYTES_MAX:
        return (
            f"the chunk size {manifest.chunk_size_bytes} is not between {CHUNK_SIZE_BYTES_MIN} and "
            f"{CHUNK_SIZE_BYTES_MAX}"
        )
    if manifest.content:
        problem = _content_problem(manifest)
        if problem is not None:
            return problem
    elif manifest.chunk_count != -(-manifest.size_bytes // manifest.chunk_size_bytes):
        return f"{manifest.size_bytes} bytes do not make {manifest.chunk_count} chunks"
    if not is_plain_name(manifest.name):
        try:
            if split_path("/" + manifest.name) != (manifest.name,):
                return "the name is not one name"
        except InvalidRequest as error:
            return error.message.rstrip(".")
    return _attributes_problem(manifest.attributes) if manifest.attributes else None


def _content_problem(manifest: Manifest) -> str | None:
    if len(manifest.content) > INLINE_SIZE_BYTES_MAX:
        return f"it holds {len(manifest.content)} bytes of content, the limit is {INLINE_SIZE_BYTES_MAX}"
    if manifest.size_bytes != len(manifest.content):
        return f"it holds {len(manifest.content)} bytes of content, and names {manifest.size_bytes}"
    if manifest.chunk_count or manifest.chunks_digest != NO_CHUNKS_DIGEST:
        return "it has content and chunks"
    return None


def _attributes_problem(attributes: tuple[tuple[str, bytes], ...]) -> str | None:
    if len(attributes) > 0xFFFF:
        return f"there are {len(attributes)} attributes, the limit is {0xFFFF}"
    previous = b""
    for name, _ in attributes:
        try:
            raw = name.encode()
        except UnicodeEncodeError:
            return "the name of an attribute is not UTF-8"
        if not 1 <= len(raw) <= ATTRIBUTE_NAME_SIZE_BYTES_MAX:
            return f"the name of an attribute has {len(raw)} bytes, not 1 to {ATTRIBUTE_NAME_SIZE_BYTES_MAX}"
        if raw <= previous:
            return "the attributes are not sorted by name, each name once"
        previous = raw
    return None


def _invalid(why: str) -> Corrupt:
    return Corrupt(
        f"This is no valid manifest: {why}. Restore the file from another version or a backup.",
        reason="MANIFEST_INVALID",
    )


def _invalid_record(record: ChunkRecord, why: str) -> Corrupt:
    return Corrupt(
        f"The record of chunk {record.index} is invalid: {why}. The metadata is damaged or was altered.",
        reason="CHUNK_RECORD_INVALID",
        metadata={"chunk_index": str(record.index)},
    )
