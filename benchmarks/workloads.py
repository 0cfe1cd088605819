"""What is measured, in words that every system under test understands, and how much of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

#: How many callers of one client are at work at once.
CALLERS = (1, 16, 64)
SMALL_FILE_SIZE_BYTES = KIB


class Unit(StrEnum):
    """What a figure counts; more of it is better."""

    MIB_PER_S = "MiB/s"
    PER_S = "/s"


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of work.

    Attributes:
        name: stable; results of many commits are compared by it.
        verb: what a client does, which with ``size_bytes`` and ``callers`` is all that it must know.
        size_bytes: of the file, of each small file, or of each range.
        count: files, ranges or names of one run.
        needs: the workload that leaves behind what this one reads or changes; it always ran before.
        is_consuming: every run needs what a run of its own left behind, because it changes it.
    """

    name: str
    title: str
    verb: str
    unit: Unit
    size_bytes: int
    count: int = 1
    callers: int = 1
    needs: str | None = None
    is_consuming: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is moved.

    Attributes:
        runs: that count, for each system; one more goes before them.
        serial_count: operations of a run with one caller.
        count: operations of a run with many callers.
        batch_count: files of one ``put_many``.
    """

    name: str
    large_size_bytes: int
    runs: int
    serial_count: int
    count: int
    batch_count: int
    recovery_size_bytes: int

    @classmethod
    def full(cls) -> Self:
        """Return what the published figures are made with."""
        return cls("full", GIB, 5, 500, 5_000, 10_000, GIB)

    @classmethod
    def quick(cls) -> Self:
        """Return what shows within minutes that everything works; its figures say little."""
        return cls("quick", 128 * MIB, 2, 60, 400, 2_000, 128 * MIB)


def workloads(scale: Scale) -> tuple[Workload, ...]:
    """Return all workloads in the order in which they run; what reads comes after what it ``needs``."""
    return (*_large(scale), *_small(scale), *_batches(scale), *_names(scale))


def _large(scale: Scale) -> tuple[Workload, ...]:
    size_bytes = scale.large_size_bytes
    ranges = tuple(
        Workload(
            f"read-{length // KIB}k-ranges",
            f"random {length // KIB} KiB ranges of one file, 16 at once",
            "read-ranges",
            Unit.PER_S,
            length,
            scale.count,
            16,
            "write-large",
        )
        for length in (4 * KIB, 64 * KIB)
    )
    together = Workload(
        "read-ranges-together",
        "64 ranges of 64 KiB in one call",
        "read-ranges-together",
        Unit.PER_S,
        64 * KIB,
        max(64, scale.count // 64 * 64),
        1,
        "write-large",
    )
    return (
        Workload("write-large", "write one file, one stream", "write-large", Unit.MIB_PER_S, size_bytes),
        Workload(
            "read-large", "read one file, one stream", "read-large", Unit.MIB_PER_S, size_bytes, needs="write-large"
        ),
        *ranges,
        together,
    )


def _small(scale: Scale) -> tuple[Workload, ...]:
    found = []
    for callers in CALLERS:
        count = scale.serial_count if callers == 1 else scale.count
        for verb, needs in (("write", None), ("read", f"write-small-{callers}")):
            found.append(
                Workload(
                    f"{verb}-small-{callers}",
                    f"{verb} 1 KiB files, {callers} at once",
                    f"{verb}-small",
                    Unit.PER_S,
                    SMALL_FILE_SIZE_BYTES,
                    count,
                    callers,
                    needs,
                )
            )
    return tuple(found)


def _batches(scale: Scale) -> tuple[Workload, ...]:
    count = scale.batch_count
    return (
        Workload("put-many", f"put_many of {count:,} × 1 KiB", "put-many", Unit.PER_S, SMALL_FILE_SIZE_BYTES, count),
        Workload(
            "get-many",
            f"get_many of {count:,} × 1 KiB",
            "get-many",
            Unit.PER_S,
            SMALL_FILE_SIZE_BYTES,
            count,
            needs="put-many",
        ),
    )


def _names(scale: Scale) -> tuple[Workload, ...]:
    def names(verb: str, title: str, *, callers: int = 16, needs: str | None, is_consuming: bool = False) -> Workload:
        return Workload(f"names-{verb}", title, verb, Unit.PER_S, 0, scale.count, callers, needs, is_consuming)

    return (
        names("create", "create empty files, 16 at once", needs=None),
        names("stat", "stat, 16 at once", needs="names-create"),
        names("list", "list one directory, entries", callers=1, needs="names-create"),
        names("rename", "rename, 16 at once", needs="names-create", is_consuming=True),
        names("remove", "remove, 16 at once", needs="names-rename", is_consuming=True),
    )
