"""What the system call sweep consists of: the servers that are struck, at which calls, and the result of each part."""

from dataclasses import dataclass, field

from server_processes import ClusterShape
from workload import Counts


@dataclass(frozen=True, slots=True)
class Target:
    """The server that is struck, and the cluster around it.

    Attributes:
        functions: for each role of a thread, the calls that change the disk, or (``write``) tell another thread that it
            changed. Death comes before a call, so whatever the disk is between two changes is met; the creation of a
            file is met before the first write to it.
        is_alone: nobody else can do its work: its faults reach the clients, and it alone keeps what it acknowledged.
        is_start: it is struck while it starts with chunks that it acknowledged and did not sync, instead of in the
            workload.
    """

    server: str
    shape: ClusterShape
    functions: dict[str, tuple[str, ...]]
    is_alone: bool
    is_start: bool = False


_CHUNKSERVER_CALLS = {
    "pool": ("pwritev2", "fsync", "rename", "unlink", "mkdir", "write"),
    "main": ("fsync", "mkdir", "ftruncate"),
}
_START_CALLS: dict[str, tuple[str, ...]] = {"pool": ("pwritev2", "fsync", "rename", "unlink", "mkdir")}
_MASTER_CALLS = {
    "pool": ("pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "write"),
    "main": ("fsync", "mkdir", "ftruncate"),
}
#: What is removed goes to the trash, and from there, while the next numbers run.
_HASTE = ("--retention", "0s", "--collection-grace", "1s", "--trash-delay", "5s")
_THREE = ClusterShape(master_options=_HASTE)
_ONE = ClusterShape(chunkservers=1, replicas=1, min_replicas=1, master_options=_HASTE)
TARGETS = {
    "master": Target("master", _THREE, _MASTER_CALLS, is_alone=True),
    "chunkserver": Target("cs-2", _THREE, _CHUNKSERVER_CALLS, is_alone=False),
    "only-copy": Target("cs-1", _ONE, _CHUNKSERVER_CALLS, is_alone=True),
    "start": Target("cs-1", _ONE, _START_CALLS, is_alone=True, is_start=True),
}
FAULTS = ("kill", "EIO")
#: What is called so often that it is swept in steps. Calls that change a disk are swept in as many parts beside each
#: other, so that none is left out; ``write`` only tells another thread of what was done, or of what was read.
_STEPS = {("master", "pwrite64"): 4, ("chunkserver", "write"): 8, ("only-copy", "write"): 8}
_EVERY_NUMBER = frozenset({"pwrite64"})


@dataclass(frozen=True, slots=True)
class SweepPart:
    """One function of one role of one target, for every ``step``-th n from ``first`` to ``last``."""

    target: str
    function: str
    role: str
    fault: str = "kill"
    first: int = 1
    last: int | None = None
    step: int = 1

    def __str__(self) -> str:
        which = "" if self.step == 1 else f" {self.first}, {self.first + self.step}…"
        return f"{self.target} {self.fault} {self.function} ({self.role}){which}"

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``sweep.py`` that choose this part."""
        chosen = ["--target", self.target, "--fault", self.fault, "--function", self.function, "--role", self.role]
        chosen += ["--first", str(self.first), "--step", str(self.step)]
        return chosen if self.last is None else [*chosen, "--last", str(self.last)]

    def replay(self, number: int) -> str:
        """Return the command that runs one n again."""
        one = SweepPart(self.target, self.function, self.role, self.fault, number, number)
        return f"python tests/chaos/sweep.py {' '.join(one.arguments)}"


@dataclass(slots=True)
class SweepResult:
    """How often the fault struck, and what the clients saw of it.

    Attributes:
        adopted: chunks that starts found unsynced and whole.
        lost: files that were acknowledged as replicated, and whose only copy could not be synced.
    """

    part: SweepPart
    struck: int = 0
    adopted: int = 0
    lost: int = 0
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"{self.part!s:<38} n={self.struck:<4} acknowledged={counts.acknowledged:<5} refused={counts.refused:<4} "
            f"unknown={counts.unknown}, of these done={counts.unknown_done}; adopted={self.adopted} lost={self.lost}; "
            f"{self.seconds:.0f} s"
        )


def all_parts() -> list[SweepPart]:
    """Return the whole sweep: SIGKILL at every call, and EIO on every sync, of every target."""
    kills = [
        SweepPart(name, function, role, first=first, step=step)
        for name, target in TARGETS.items()
        for role, functions in target.functions.items()
        for function in functions
        for step in [_STEPS.get((name, function), 1)]
        for first in range(1, 1 + (step if function in _EVERY_NUMBER else 1))
    ]
    failures = [
        SweepPart(name, function, role, "EIO")
        for name, target in TARGETS.items()
        for role, functions in target.functions.items()
        for function in functions
        if function in ("fsync", "fdatasync")
    ]
    return kills + failures
