"""The CRC32C of bytes whose parts were summed before, without reading them again.

A CRC is linear over GF(2): ``crc(A + B)`` is ``crc(A)`` shifted by the length of B and XORed with ``crc(B)``, where to
shift by a byte is to multiply by x^8 modulo the polynomial. Polynomials are numbers here, bits reflected as in the
CRC itself: the highest bit is the coefficient of 1.
"""

from functools import lru_cache

_POLYNOMIAL = 0x82F63B78
_ONE = 1 << 31
#: x^8: a shift by one byte.
_BYTE = 1 << 23
#: Lengths whose shifts are remembered: whole frames, and the ends of chunks that are written at the same time.
_LENGTHS_REMEMBERED_MAX = 256


def combined(first: int, second: int, second_size_bytes: int) -> int:
    """Return the CRC32C of bytes that have ``first``, followed by ``second_size_bytes`` others that have ``second``."""
    return _product(_shift(second_size_bytes), first) ^ second


class Shift:
    """The shift by one fixed length, in tables: a tenth of the cost of ``combined``.

    The CRC32C of what has ``crc``, followed by ``size_bytes`` that have ``other``, is ``shift(crc) ^ other``.
    """

    __slots__ = ("_tables",)

    def __init__(self, size_bytes: int) -> None:
        shift = _shift(size_bytes)
        bits = [_product(shift, 1 << bit) for bit in range(32)]
        self._tables = tuple(_sums(bits[start : start + 8]) for start in range(0, 32, 8))

    def __call__(self, crc: int) -> int:
        """Return ``crc`` shifted."""
        lowest, low, high, highest = self._tables
        return lowest[crc & 255] ^ low[crc >> 8 & 255] ^ high[crc >> 16 & 255] ^ highest[crc >> 24]


def _product(left: int, right: int) -> int:
    """Return the product of two polynomials modulo that of CRC32C."""
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = left << 1 & 0xFFFFFFFF
        right = right >> 1 ^ (_POLYNOMIAL if right & 1 else 0)
    return product


@lru_cache(_LENGTHS_REMEMBERED_MAX)
def _shift(size_bytes: int) -> int:
    """Return x^(8 * size_bytes), by squaring."""
    shift, power = _ONE, _BYTE
    while size_bytes:
        if size_bytes & 1:
            shift = _product(power, shift)
        power = _product(power, power)
        size_bytes >>= 1
    return shift


def _sums(bits: list[int]) -> tuple[int, ...]:
    """Return, for every number of as many bits, the sum of those that are set in it."""
    sums = [0]
    for bit in bits:
        sums += [bit ^ each for each in sums]
    return tuple(sums)
