"""What clients do: files are put, replaced, renamed, removed and read, directories too, by several at once."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from dstore.client.client import AsyncClient
from dstore.core.chunks import Durability
from dstore.core.errors import CommitUnknown, Conflict, Corrupt, DstoreError, NotReady
from dstore.core.files import FileInfo
from dstore.core.ids import RequestId
from dstore.core.removed import RemovedFile, RestoreResult
from simulation.dice import Dice
from simulation.history import Certainty, History, Operation
from simulation.namespace_model import DIRECTORY
from simulation.node import Process

#: Stands in every file, and must stand nowhere else (Invariant 11).
CANARY = b"<plaintext of a simulated client>"
CHUNK = 16 * 1024
SIZES = (0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 77, 3 * CHUNK + 5, 4 * CHUNK)
#: Refusals that depend on what the namespace is like.
_REFUSALS = frozenset(
    {"FILE_NOT_FOUND", "FILE_EXISTS", "IS_A_DIRECTORY", "NOT_A_DIRECTORY", "DIRECTORY_NOT_EMPTY", "RENAME_INTO_ITSELF"}
)
#: The others say something of the removed file, or of where it was, which the model does not know.
_RESTORE_REFUSALS = frozenset({"FILE_NOT_FOUND", "FILE_EXISTS"})
#: No operation may take longer, whatever fails: patience of every step, and all attempts.
OPERATION_DURATION_MAX_S = 300.0

#: Directories whose paths no operation links with others: each is a history of its own.
FAMILIES = ("/a", "/b", "/m")
#: The one in which directories move.
MOVING_FAMILY = "/m"
_FILES = ("x", "y", "s/x", "s/y")
#: Directories move only where nobody writes into them: a write goes on under the new name of its directory.
_MOVING = ("p", "q", "p/x", "q/x")


def content_of(number: int, size_bytes: int) -> bytes:
    """Return the bytes that put ``number`` writes; no two puts write the same, unless they write nothing."""
    if size_bytes < len(CANARY) + 8:
        return number.to_bytes(8, "big")[-size_bytes:] if size_bytes else b""
    head = CANARY + number.to_bytes(8, "big")
    return head + hashlib.shake_128(head).digest(size_bytes - len(head))


class Workload:
    """The clients of one run, and what they saw.

    Attributes:
        violations: answers that no honest cluster gives.
        longest_s: how long the longest operation took.
        relaxed: dice by which some files are written as replicated; without, none is.
        given_up: paths of files that were replaced because their content is lost.
    """

    def __init__(self, history: History, dice: Dice, *, pause_s: float) -> None:
        self.history = history
        self.violations: list[str] = []
        self.longest_s = 0.0
        self.stopping = False
        self.done_count = 0
        self.relaxed: Dice | None = None
        self.given_up: set[str] = set()
        self._dice = dice
        self._pause_s = pause_s
        self._versions: dict[str, int] = {}

    async def run(self, process: Process, client: AsyncClient) -> None:
        """Work until told to stop."""
        while not self.stopping:
            await asyncio.sleep(self._dice.expovariate(1 / self._pause_s))
            if not self.stopping:
                await self.act(process, client)

    async def act(self, process: Process, client: AsyncClient) -> None:
        """Do one thing, chosen by the dice."""
        family = self._dice.choice(FAMILIES)
        kinds = _MOVING_KINDS if family == MOVING_FAMILY else _KINDS
        kind = self._dice.choices(tuple(kinds), tuple(kinds.values()))[0]
        await getattr(self, f"_{kind}")(process, client, family)

    async def prepare(self, process: Process, client: AsyncClient) -> None:
        """Make the directories at the top."""
        for family in FAMILIES:
            operation = self.history.begin(process.node.name, "mkdir", family)
            await self._record(process, client, operation, client.make_directory(family), lambda _: None)

    async def read_all(self, process: Process, client: AsyncClient) -> None:
        """Look at everything, as a part of the history."""
        for family in FAMILIES:
            names = (*_MOVING, "x", "y") if family == MOVING_FAMILY else _FILES
            for name in names:
                await self.get_path(process, client, f"{family}/{name}")
            for directory in (family, *(f"{family}/{each}" for each in ("s", "p", "q"))):
                await self._list_path(process, client, directory)

    # --- Verbs -----------------------------------------------------------------------------------------------

    async def _put(self, process: Process, client: AsyncClient, family: str) -> None:
        name = self._dice.choice(("x", "y") if family == MOVING_FAMILY else _FILES)
        await self.put_path(process, client, f"{family}/{name}", self._dice.choice(SIZES))

    async def put_path(
        self, process: Process, client: AsyncClient, path: str, size_bytes: int, *, plain: bool = False
    ) -> Operation:
        """Write a file."""
        number = len(self.history.operations)
        data = content_of(number, size_bytes)
        self.history.remember_content(data, number)
        number = self.history.content_number(data) or 0
        options: dict[str, Any] = {}
        throw = 1.0 if plain else self._dice.random()
        if throw < 0.15:
            options = {"if_absent": True}
        elif throw < 0.3 and path in self._versions:
            options = {"if_version": self._versions[path]}
        if not plain and self.relaxed is not None and self.relaxed.happens(0.5):
            options["durability"] = Durability.REPLICATED.value
        operation = self.history.begin(process.node.name, "put", path, content=number, size=size_bytes, **options)
        is_slow = not plain and size_bytes > CHUNK and self._dice.happens(0.4)
        call = self._write_slowly(client, path, data, options) if is_slow else client.put(path, data, **options)

        def understand(info: FileInfo) -> object:
            self.history.remember_file(info.file_id, number, size_bytes)
            self._versions[path] = info.version
            return int(info.version)

        await self._record(process, client, operation, call, understand)
        return operation

    async def _write_slowly(self, client: AsyncClient, path: str, data: bytes, options: dict[str, Any]) -> FileInfo:
        """Write chunk by chunk, with time between them: what was allocated for the later ones grows old."""
        async with await client.open_write(path, **options) as file:
            for start in range(0, len(data), CHUNK):
                await file.write(data[start : start + CHUNK])
                await asyncio.sleep(self._dice.expovariate(1 / 4.0))
        assert file.info is not None
        return file.info

    async def _get(self, process: Process, client: AsyncClient, family: str) -> None:
        await self.get_path(process, client, self._any_path(family))

    async def get_path(self, process: Process, client: AsyncClient, path: str) -> Operation:
        """Read a file."""
        operation = self.history.begin(process.node.name, "get", path)

        def understand(data: bytes) -> object:
            number = self.history.content_number(data)
            if number is None:
                self.violations.append(f"Invariant 2: {operation} returned {len(data)} bytes that nobody wrote")
            return number

        await self._record(process, client, operation, client.get(path), understand)
        return operation

    async def _stat(self, process: Process, client: AsyncClient, family: str) -> None:
        path = self._any_path(family)
        operation = self.history.begin(process.node.name, "stat", path)

        def understand(info: FileInfo) -> object:
            if info.is_directory:
                return DIRECTORY
            self._versions[path] = info.version
            return info.size_bytes, int(info.version)

        await self._record(process, client, operation, client.stat(path), understand)

    async def _list(self, process: Process, client: AsyncClient, family: str) -> None:
        await self._list_path(process, client, self._dice.choice((family, f"{family}/s", f"{family}/p")))

    async def _list_path(self, process: Process, client: AsyncClient, path: str) -> None:
        operation = self.history.begin(process.node.name, "list", path)

        async def collect() -> tuple[tuple[str, bool], ...]:
            return tuple(sorted([(info.name, info.is_directory) async for info in client.list(path)]))

        await self._record(process, client, operation, collect(), lambda names: names)

    async def _mkdir(self, process: Process, client: AsyncClient, family: str) -> None:
        path = f"{family}/{self._dice.choice(('p', 'q') if family == '/m' else ('s',))}"
        exist_ok = self._dice.happens(0.3)
        operation = self.history.begin(process.node.name, "mkdir", path, exist_ok=exist_ok)
        call = client.make_directory(path, exist_ok=exist_ok)
        await self._record(process, client, operation, call, lambda _: None)

    async def _remove(self, process: Process, client: AsyncClient, family: str) -> None:
        path = self._any_path(family)
        recursive = self._dice.happens(0.5)
        operation = self.history.begin(process.node.name, "remove", path, recursive=recursive)
        call = client.remove(path, recursive=recursive)
        await self._record(process, client, operation, call, lambda gone: (gone.files, gone.directories))

    async def _rename(self, process: Process, client: AsyncClient, family: str) -> None:
        source, target = self._any_path(family, renaming=True), self._any_path(family, renaming=True)
        operation = self.history.begin(process.node.name, "rename", source, target=target)

        def understand(info: FileInfo) -> object:
            return None if info.is_directory else int(info.version)

        await self._record(process, client, operation, client.rename(source, target), understand)

    async def restore_path(self, process: Process, client: AsyncClient, entry: RemovedFile, target: str) -> None:
        """Restore a file whose content is known to a path of its family."""
        known = self.history.file(entry.file_id)
        assert known is not None
        if entry.size_bytes != known.size_bytes:
            self.violations.append(f"Invariant 2: {entry} is listed as removed, and {known} was written")
        operation = self.history.begin(
            process.node.name,
            "restore",
            target,
            source=entry.path,
            content=known.content,
            size=known.size_bytes,
            is_unique=known.size_bytes > len(CANARY) + 8,
        )

        def understand(result: RestoreResult | FileInfo) -> object:
            return int((result if isinstance(result, FileInfo) else result.info).version)

        call = client.restore(entry.path, to=target, version=entry.version)
        await self._record(process, client, operation, call, understand)

    def any_file(self, family: str) -> str:
        """Return a path that a file may have."""
        return f"{family}/{self._dice.choice(('x', 'y', *_MOVING) if family == MOVING_FAMILY else _FILES)}"

    def _any_path(self, family: str, *, renaming: bool = False) -> str:
        if family == MOVING_FAMILY:
            return f"{family}/{self._dice.choice(('x', 'y', *_MOVING))}"
        names = _FILES if renaming else (*_FILES, "s")
        return f"{family}/{self._dice.choice(names)}"

    # --- Answers ---------------------------------------------------------------------------------------------

    async def _record(
        self,
        process: Process,
        client: AsyncClient,
        operation: Operation,
        call: Awaitable[Any],
        understand: Callable[[Any], object],
    ) -> None:
        """Make a call, and write down what is known of it afterwards."""
        loop = process.node.loop
        began_s = loop.time()
        gives_up_s = self._dice.random() * 10 if self._dice.happens(0.03) else OPERATION_DURATION_MAX_S
        if process.node.name == "observer":
            gives_up_s = OPERATION_DURATION_MAX_S
        try:
            try:
                async with asyncio.timeout(gives_up_s):
                    result = await call
            except CommitUnknown as error:
                if self._dice.happens(0.5):
                    raise
                async with asyncio.timeout(OPERATION_DURATION_MAX_S):
                    result = await client.resolve(RequestId(error.metadata["request_id"]))
        except CommitUnknown:
            self._end(process, operation, Certainty.OPEN)
        except DstoreError as error:
            self._end(process, operation, *self._outcome(operation, error))
        except TimeoutError:
            if gives_up_s == OPERATION_DURATION_MAX_S:
                self.violations.append(f"Invariant 13: {operation} hangs past its deadline")
            self._end(process, operation, Certainty.OPEN)
        else:
            self.done_count += 1
            self._end(process, operation, Certainty.DONE, understand(result))
        self.longest_s = max(self.longest_s, loop.time() - began_s)

    def _end(self, process: Process, operation: Operation, certainty: Certainty, result: object = None) -> None:
        if process.alive:
            self.history.end(operation, certainty, result)
            node = process.node
            node.note(f"{operation}")

    def _outcome(self, operation: Operation, error: DstoreError) -> tuple[Certainty, object]:
        if isinstance(error, Corrupt) and error.reason != "CHUNK_CORRUPT":
            self.violations.append(f"Invariant 3: {operation} raised {error!r}")
        if isinstance(error, NotReady | AssertionError):
            self.violations.append(f"{operation} raised {error!r}")
        if error.reason in (_RESTORE_REFUSALS if operation.kind == "restore" else _REFUSALS):
            return Certainty.REFUSED, type(error).__name__
        if isinstance(error, Conflict) and error.reason == "VERSION_CHANGED" and operation.options.get("if_version"):
            return Certainty.REFUSED, "Conflict"
        return Certainty.NOTHING, error.reason


_KINDS = {"put": 6, "get": 5, "stat": 1, "list": 2, "mkdir": 2, "remove": 2, "rename": 2}
_MOVING_KINDS = {"put": 2, "get": 3, "stat": 1, "list": 2, "mkdir": 2, "remove": 2, "rename": 5}
