"""What clients do: files are put, replaced, renamed, removed and read, directories too, by several at once.

Small files go into their manifests, unless they are written piece by piece; so about half of all files have chunks.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
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
        number, data = self._new_content(size_bytes)
        options: dict[str, Any] = {}
        throw = 1.0 if plain else self._dice.random()
        if throw < 0.15:
            options = {"if_absent": True}
        elif throw < 0.3 and path in self._versions:
            options = {"if_version": self._versions[path]}
        if not plain and self.relaxed is not None and self.relaxed.happens(0.5):
            options["durability"] = Durability.REPLICATED.value
        operation = self._begin_put(process, path, number, size_bytes, **options)
        is_slow = not plain and size_bytes > 0 and self._dice.happens(0.4)
        call = self._write_slowly(client, path, data, options) if is_slow else client.put(path, data, **options)

        await self._record(process, client, operation, call, partial(self._understand_put, operation))
        return operation

    def _new_content(self, size_bytes: int) -> tuple[int, bytes]:
        """Return bytes to write, and their number in the history."""
        number = len(self.history.operations)
        data = content_of(number, size_bytes)
        self.history.remember_content(data, number)
        return self.history.content_number(data) or 0, data

    def _begin_put(self, process: Process, path: str, number: int, size_bytes: int, **options: object) -> Operation:
        return self.history.begin(process.node.name, "put", path, content=number, size=size_bytes, **options)

    def _understand_put(self, operation: Operation, info: FileInfo) -> object:
        content, size_bytes = operation.options["content"], operation.options["size"]
        assert isinstance(content, int) and isinstance(size_bytes, int)
        self.history.remember_file(info.file_id, content, size_bytes)
        self._versions[operation.path] = info.version
        return int(info.version)

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
        await self._record(process, client, operation, client.get(path), partial(self._understand_get, operation))
        return operation

    def _understand_get(self, operation: Operation, data: bytes) -> object:
        number = self.history.content_number(data)
        if number is None:
            self.violations.append(f"Invariant 2: {operation} returned {len(data)} bytes that nobody wrote")
        return number

    async def _stat(self, process: Process, client: AsyncClient, family: str) -> None:
        path = self._any_path(family)
        operation = self.history.begin(process.node.name, "stat", path)
        await self._record(process, client, operation, client.stat(path), partial(self._understand_stat, operation))

    def _understand_stat(self, operation: Operation, info: FileInfo) -> object:
        if info.is_directory:
            return DIRECTORY
        self._versions[operation.path] = info.version
        return info.size_bytes, int(info.version)

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

    # --- Several at once -------------------------------------------------------------------------------------

    async def _several(self, process: Process, client: AsyncClient, family: str) -> None:
        """Ask for several things at once, which the client gathers into few calls."""
        verbs = [self._dice.choice(_GATHERED_VERBS) for _ in range(self._dice.choice((2, 3, 4)))]
        await asyncio.gather(*(getattr(self, f"_{verb}")(process, client, family) for verb in verbs))

    async def _put_many(self, process: Process, client: AsyncClient, family: str) -> None:
        options: dict[str, Any] = {"if_absent": True} if self._dice.happens(0.3) else {}
        files: list[tuple[str, bytes]] = []
        operations: list[Operation] = []
        for _ in range(self._dice.choice((1, 2, 3))):
            path = f"{family}/{self._dice.choice(('x', 'y') if family == MOVING_FAMILY else _FILES)}"
            number, data = self._new_content(self._dice.choice(SIZES))
            files.append((path, data))
            operations.append(self._begin_put(process, path, number, len(data), **options))
        call = client.put_many(files, **options)
        await self._record_many(process, client, operations, call, self._understand_put)

    async def _get_many(self, process: Process, client: AsyncClient, family: str) -> None:
        operations = self._begin_many(process, "get", family)
        call = client.get_many(each.path for each in operations)
        await self._record_many(process, client, operations, call, self._understand_get)

    async def _stat_many(self, process: Process, client: AsyncClient, family: str) -> None:
        operations = self._begin_many(process, "stat", family)
        call = client.stat_many(each.path for each in operations)
        await self._record_many(process, client, operations, call, self._understand_stat)

    async def _remove_many(self, process: Process, client: AsyncClient, family: str) -> None:
        recursive = self._dice.happens(0.3)
        operations = self._begin_many(process, "remove", family, recursive=recursive)
        call = client.remove_many((each.path for each in operations), recursive=recursive)
        await self._record_many(process, client, operations, call, lambda _, gone: (gone.files, gone.directories))

    def _begin_many(self, process: Process, kind: str, family: str, **options: object) -> list[Operation]:
        paths = [self._any_path(family) for _ in range(self._dice.choice((1, 2, 3)))]
        return [self.history.begin(process.node.name, kind, path, **options) for path in paths]

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

        async def call_one() -> list[Any]:
            return [await call]

        await self._record_many(process, client, [operation], call_one(), lambda _, result: understand(result))

    async def _record_many(
        self,
        process: Process,
        client: AsyncClient,
        operations: Sequence[Operation],
        call: Awaitable[Sequence[Any]],
        understand: Callable[[Operation, Any], object],
    ) -> None:
        """Make a call that gives each operation its result or its error, and write down what is known afterwards."""
        loop = process.node.loop
        began_s = loop.time()
        gives_up_s = self._dice.random() * 10 if self._dice.happens(0.03) else OPERATION_DURATION_MAX_S
        if process.node.name == "observer":
            gives_up_s = OPERATION_DURATION_MAX_S
        results: Sequence[Any]
        try:
            async with asyncio.timeout(gives_up_s):
                results = await call
        except DstoreError as error:
            results = [error] * len(operations)
        except TimeoutError as error:
            results = [error] * len(operations)
        for operation, result in zip(operations, results, strict=True):
            if isinstance(result, CommitUnknown) and not self._dice.happens(0.5):
                result = await self._resolve(client, result)
            if type(result) is TimeoutError:
                if gives_up_s == OPERATION_DURATION_MAX_S:
                    self.violations.append(f"Invariant 13: {operation} hangs past its deadline")
                self._end(process, operation, Certainty.OPEN)
            elif isinstance(result, CommitUnknown):
                self._end(process, operation, Certainty.OPEN)
            elif isinstance(result, DstoreError):
                self._end(process, operation, *self._outcome(operation, result))
            else:
                self.done_count += 1
                self._end(process, operation, Certainty.DONE, understand(operation, result))
        self.longest_s = max(self.longest_s, loop.time() - began_s)

    async def _resolve(self, client: AsyncClient, unknown: CommitUnknown) -> Any:
        """Return what became of a mutation, or why that is not known."""
        try:
            async with asyncio.timeout(OPERATION_DURATION_MAX_S):
                return await client.resolve(RequestId(unknown.metadata["request_id"]))
        except DstoreError as error:
            return error
        except TimeoutError as error:
            return error

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


_KINDS = {
    "put": 6,
    "get": 5,
    "stat": 1,
    "list": 2,
    "mkdir": 2,
    "remove": 2,
    "rename": 2,
    "several": 2,
    "put_many": 2,
    "get_many": 1,
    "stat_many": 1,
    "remove_many": 1,
}
_MOVING_KINDS = _KINDS | {"put": 2, "get": 3, "rename": 5, "put_many": 1}
#: What a client gathers when it is asked for at once.
_GATHERED_VERBS = ("put", "put", "get", "stat", "remove")
