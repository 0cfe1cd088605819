"""Small record files: one line of JSON that carries its own CRC32C, with one valid encoding. Pure.

Used for ``IDENTITY``, ``EPOCH``, ``STANDING`` and ``SCRUB``; specified in docs/format.md, section "Chunk file".
"""

import json
from collections.abc import Mapping

from dstore.core.checksum import crc32c
from dstore.core.errors import Corrupt

RECORD_SIZE_BYTES_MAX = 4096

Value = str | int | None


def encode_record(fields: Mapping[str, Value]) -> bytes:
    """Return the file's content: the fields sorted by name, no spaces, the checksum last, a line end."""
    assert "crc32c" not in fields
    body = _canonical(fields)
    crc = crc32c(body.encode())
    return f'{body[:-1]},"crc32c":"{crc:08x}"}}\n'.encode()


def decode_record(raw: bytes, *, what: str) -> dict[str, Value]:
    """Return the fields; ``what`` names the file in the error.

    Raises:
        Corrupt: reason ``RECORD_CORRUPT``, when the content is anything but what ``encode_record`` returns.
    """
    try:
        fields = json.loads(raw)
    except ValueError:
        raise _corrupt(what) from None
    if not isinstance(fields, dict):
        raise _corrupt(what)
    fields.pop("crc32c", None)
    if not all(value is None or type(value) in (str, int) for value in fields.values()):
        raise _corrupt(what)
    if not fields or encode_record(fields) != raw:
        raise _corrupt(what)
    return fields


def _canonical(fields: Mapping[str, Value]) -> str:
    return json.dumps(dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _corrupt(what: str) -> Corrupt:
    return Corrupt(
        f"{what} is damaged: its content does not match its checksum. Restore it from a copy, "
        "or replace the disk; its chunks have other replicas.",
        reason="RECORD_CORRUPT",
        metadata={"file": what},
    )
