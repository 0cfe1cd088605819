"""What chunkservers move: bytes since they started, and in a second."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ByteCounts:
    """Bytes of ciphertext, by what was done with them.

    Attributes:
        read_bytes: sent to readers; without what clients on the same machine read from the disk themselves.
        write_bytes: received from writers; every copy of a chunk counts.
        copied_bytes: copied from peers, to have as many copies as the policy wants.
        scrubbed_bytes: read and checked by the scrub.
    """

    read_bytes: int = 0
    write_bytes: int = 0
    copied_bytes: int = 0
    scrubbed_bytes: int = 0

    def __add__(self, other: "ByteCounts") -> "ByteCounts":
        return ByteCounts(
            self.read_bytes + other.read_bytes,
            self.write_bytes + other.write_bytes,
            self.copied_bytes + other.copied_bytes,
            self.scrubbed_bytes + other.scrubbed_bytes,
        )


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a chunkserver moves, or all of them.

    Attributes:
        total: since the process of the chunkserver started.
        per_s: in a second, over the last ten or so; nothing for a server that is not heard.
    """

    total: ByteCounts = ByteCounts()
    per_s: ByteCounts = ByteCounts()

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.total + other.total, self.per_s + other.per_s)


#: Of a server that has not reported.
NO_TRAFFIC = Traffic()


def rate_per_s(first: ByteCounts, last: ByteCounts, elapsed_s: float) -> ByteCounts:
    """Return what was moved in a second between two counts of one run of a server; nothing when no time went by."""
    if elapsed_s <= 0:
        return ByteCounts()
    return ByteCounts(
        _per_s(first.read_bytes, last.read_bytes, elapsed_s),
        _per_s(first.write_bytes, last.write_bytes, elapsed_s),
        _per_s(first.copied_bytes, last.copied_bytes, elapsed_s),
        _per_s(first.scrubbed_bytes, last.scrubbed_bytes, elapsed_s),
    )


def _per_s(first_bytes: int, last_bytes: int, elapsed_s: float) -> int:
    return max(0, round((last_bytes - first_bytes) / elapsed_s))
