"""What the benchmark and its client processes say to each other."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, Self


@dataclass(frozen=True, slots=True)
class Request:
    """One run of one workload.

    Attributes:
        verb, size_bytes, count, callers: those of the workload.
        variant: one of those that the system named, such as a durability.
        tag: part of the names of what this run writes, or of what the run wrote that it reads from.
        seed: of all random choices.
    """

    verb: str
    size_bytes: int
    count: int
    callers: int
    variant: str
    tag: str
    seed: int

    def dropping(self) -> Self:
        """Return the request to remove the large file that this one wrote."""
        return replace(self, verb="drop-large")

    def to_line(self) -> bytes:
        """Return the line that ``from_line`` reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Return the request that ``to_line`` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Moved:
    """What a run did.

    Attributes:
        duration_s: of the work alone, without preparation.
        caller_bytes: memory of this process that belongs to the caller, not to the client: the data it gives.
        child_peak_bytes: peak resident memory of a program that did the work for this process; 0 when there was none.
    """

    duration_s: float
    size_bytes: int = 0
    operations: int = 0
    caller_bytes: int = 0
    child_peak_bytes: int = 0

    def to_line(self) -> bytes:
        """Return the line that ``from_line`` reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Return what ``to_line`` wrote.

        Raises:
            RuntimeError: it says why the run failed.
        """
        fields: dict[str, Any] = json.loads(line)
        if "error" in fields:
            raise RuntimeError(fields["error"])
        return cls(**fields)


class Client(Protocol):
    """The client of one system."""

    async def run(self, request: Request) -> Moved:
        """Do what is asked, once.

        Raises:
            Exception: of any kind; the run counts as failed, with its text.
        """
        ...


def error_line(error: BaseException) -> bytes:
    """Return the line that says why a run failed; of many callers that failed, the first one speaks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n"
