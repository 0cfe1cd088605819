"""What clients asked and what they were told, in one order of events."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from dstore.core.ids import FileId


class Certainty(Enum):
    """What a client knows of an operation."""

    #: It took effect, and gave the result.
    DONE = "done"
    #: It was refused for what the namespace was like; the result is the name of the error.
    REFUSED = "refused"
    #: It surely had no effect, for reasons that have nothing to do with the namespace.
    NOTHING = "nothing"
    #: Nobody knows: it takes effect once, now or later, or never.
    OPEN = "open"


@dataclass(slots=True)
class Operation:
    """One call of a client.

    Attributes:
        kind: put, get, stat, list, mkdir, remove, rename or restore.
        options: what else the call said.
        invoked, returned: places in the order of all events; an open operation has no end.
        result: what it returned, in plain values, or the name of the refusal.
    """

    index: int
    client: str
    kind: str
    path: str
    options: Mapping[str, object]
    invoked: int
    returned: int | None = None
    certainty: Certainty = Certainty.OPEN
    result: object = None

    def __str__(self) -> str:
        options = " ".join(f"{name}={value}" for name, value in self.options.items() if value)
        end = "…" if self.returned is None else self.returned
        return (
            f"#{self.index} {self.client} [{self.invoked}–{end}] {self.kind} {self.path} {options} "
            f"→ {self.certainty.value} {self.result!r}"
        )


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What is in a file whose put was acknowledged: the number of the content, and its size."""

    content: int
    size_bytes: int


@dataclass
class History:
    """All operations of a run, and the content of every put."""

    operations: list[Operation] = field(default_factory=list)
    _events: int = 0
    _contents: dict[bytes, int] = field(default_factory=dict)
    _files: dict[FileId, KnownFile] = field(default_factory=dict)

    def begin(self, client: str, kind: str, path: str, **options: object) -> Operation:
        """Record a call."""
        self._events += 1
        operation = Operation(len(self.operations), client, kind, path, options, self._events)
        self.operations.append(operation)
        return operation

    def end(self, operation: Operation, certainty: Certainty, result: object = None) -> None:
        """Record an answer; one that leaves the operation open sets no end."""
        operation.certainty = certainty
        operation.result = result
        if certainty is not Certainty.OPEN:
            self._events += 1
            operation.returned = self._events

    def remember_content(self, data: bytes, number: int) -> None:
        """Note what a put writes; short ones may write the same as others before."""
        self._contents.setdefault(hashlib.blake2b(data, digest_size=16).digest(), number)

    def content_number(self, data: bytes) -> int | None:
        """Return which put wrote exactly this; None when none did."""
        return self._contents.get(hashlib.blake2b(data, digest_size=16).digest())

    def remember_file(self, file_id: FileId, content: int, size_bytes: int) -> None:
        """Note what is in a file; it keeps that, and its id, wherever it goes."""
        self._files[file_id] = KnownFile(content, size_bytes)

    def file(self, file_id: FileId) -> KnownFile | None:
        """Return what is in a file; None when no client was told that it wrote it."""
        return self._files.get(file_id)
