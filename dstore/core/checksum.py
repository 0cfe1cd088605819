"""CRC32C (Castagnoli), the keyless checksum of frames and chunk files."""

import crc32c as _crc32c


def crc32c(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """Return the CRC32C of the bytes that gave ``crc`` followed by ``data``, as an unsigned 32-bit number."""
    return _crc32c.crc32c(data, crc)
