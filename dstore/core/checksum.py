"""CRC32C (Castagnoli), the keyless checksum of frames and chunk files."""

import crc32c as _crc32c

#: Below this, giving way to other threads costs more than the sum itself, of which a core does 10 GiB/s and more.
_SHARING_SIZE_BYTES_MIN = 256 * 1024


def crc32c(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """Return the CRC32C of the bytes that gave ``crc`` followed by ``data``, as an unsigned 32-bit number."""
    return _crc32c.crc32c(data, crc, gil_release_mode=int(len(data) >= _SHARING_SIZE_BYTES_MIN))
