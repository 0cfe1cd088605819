"""What calls about many files have in common: their size, and the room for their answers."""

from dstore.core.errors import DstoreError, LimitExceeded
from dstore.core.limits import BATCH_ITEMS_MAX, BATCH_SIZE_BYTES_MAX

#: What an answer takes beside its texts: numbers, times, and the framing of the fields.
_FIXED_SIZE_BYTES = 100


def check_item_count(count: int) -> None:
    """Refuse a call about too many files.

    Raises:
        LimitExceeded: reason ``TOO_MANY_ITEMS``.
    """
    if count > BATCH_ITEMS_MAX:
        raise LimitExceeded(
            f"One call takes {BATCH_ITEMS_MAX} items, not {count}; send the others with further calls.",
            reason="TOO_MANY_ITEMS",
            metadata={"count": str(count), "limit": str(BATCH_ITEMS_MAX)},
        )


class Room:
    """What is left for the answers of one call."""

    __slots__ = ("_is_untouched", "_left_bytes")

    def __init__(self) -> None:
        self._left_bytes = BATCH_SIZE_BYTES_MAX
        self._is_untouched = True

    def take(self, size_bytes: int) -> bool:
        """Return whether an answer fits, and count it; after one that does not fit, none does. The first one does."""
        fits = self._is_untouched or size_bytes <= self._left_bytes
        self._left_bytes = self._left_bytes - size_bytes if fits else 0
        self._is_untouched = False
        return fits

    @property
    def is_full(self) -> bool:
        """Whether not even a short answer fits: what is done now may still be answered, by a bit more than there is."""
        return self._left_bytes <= 0


def path_size(path: str) -> int:
    """Return how many bytes the description of a path takes in an answer."""
    return _FIXED_SIZE_BYTES + (len(path) if path.isascii() else 4 * len(path))


def error_size(error: DstoreError) -> int:
    """Return how many bytes an error takes in an answer."""
    return (
        _FIXED_SIZE_BYTES
        + len(error.message.encode())
        + sum(len(name) + len(value.encode()) for name, value in error.metadata.items())
    )


def batch_full() -> LimitExceeded:
    """Return the error of an item whose answer has no room."""
    return LimitExceeded("The items before fill the answer; send this one again.", reason="BATCH_FULL")
