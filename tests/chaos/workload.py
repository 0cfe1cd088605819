"""A scripted workload, the model of what it must leave behind, and the comparison of the two.

Every step has one outcome once it is resolved: it took effect, or it did not. So the model is one dictionary, and what
the cluster shows must equal it exactly: nothing acknowledged is missing, nothing else is visible.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import dstore
from dstore.core.chunks import Durability
from dstore.core.errors import CommitUnknown, Conflict, DeadlineExceeded, DstoreError, NotReady, OutOfSpace, Unavailable
from dstore.core.ids import RequestId

#: Paths with their contents; None is a directory.
Model: TypeAlias = dict[str, bytes | None]

#: What a fault may cause. Anything else would be an answer that no fault explains.
_FAULTS = (Unavailable, DeadlineExceeded, NotReady, OutOfSpace)
#: How long a step may go on failing once the faults are over: the connection of a client that does not wait comes back
#: only after gRPC's own pause.
_RECOVERY_S = 20.0
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One mutation: ``put``, ``write`` (in chunks, however small), ``mkdir``, ``rename`` or ``remove`` (of a tree).

    ``replicate`` is a ``write`` that is acknowledged before it is synced; ``abandon`` begins one and gives it up.
    """

    verb: str
    path: str
    target: str = ""
    content: bytes = field(default=b"", repr=False)

    async def perform(self, client: dstore.AsyncClient) -> None:
        """Do it.

        Raises:
            DstoreError: as the client's verb.
        """
        if self.verb == "put":
            await client.put(self.path, self.content)
        elif self.verb == "write":
            async with await client.open(self.path, "wb") as file:
                await file.write(self.content)
        elif self.verb in ("replicate", "abandon"):
            file = await client.open_write(self.path, durability=Durability.REPLICATED.value)
            async with file:
                await file.write(self.content)
                if self.verb == "abandon":
                    await file.discard()
        elif self.verb == "mkdir":
            await client.make_directory(self.path)
        elif self.verb == "rename":
            await client.rename(self.path, self.target)
        else:
            assert self.verb == "remove"
            await client.remove(self.path, recursive=True)

    def apply(self, model: Model) -> None:
        """Do the same to the model."""
        if self.verb == "abandon":
            return
        if self.verb in ("put", "write", "replicate"):
            model[self.path] = self.content
        elif self.verb == "mkdir":
            model[self.path] = None
        else:
            moved = {path: content for path, content in model.items() if _is_below(path, self.path)}
            for path in moved:
                del model[path]
            if self.verb == "rename":
                model.update({self.target + path.removeprefix(self.path): moved[path] for path in moved})


def scripted_steps(root: str, chunk_size_bytes: int) -> list[Step]:
    """Return the workload below ``root``: put, overwrite, rename, replace by rename, remove.

    Files have 0 to 2 chunks, and one has 4; small ones are kept in their manifests, and some are not.
    """
    source = random.Random(root)
    one, two = chunk_size_bytes // 5, chunk_size_bytes + chunk_size_bytes // 3
    four = 3 * chunk_size_bytes + one

    def put(name: str, size_bytes: int, verb: str = "put") -> Step:
        return Step(verb, f"{root}/{name}", content=source.randbytes(size_bytes))

    return [
        Step("mkdir", root),
        put("a", one),
        put("a", two),
        put("empty", 0),
        put("b", one, "write"),
        Step("rename", f"{root}/b", f"{root}/c"),
        put("d", one, "write"),
        Step("rename", f"{root}/d", f"{root}/a"),
        Step("remove", f"{root}/c"),
        put("f", one, "replicate"),
        # Several chunks at once, of several groups.
        put("g", four, "replicate"),
        Step("mkdir", f"{root}/tree"),
        put("tree/x", one, "write"),
        Step("rename", f"{root}/tree", f"{root}/moved"),
        put("tree", one),
        Step("remove", f"{root}/moved"),
        Step("rename", f"{root}/f", f"{root}/a"),
        put("f", one, "replicate"),
        Step("remove", f"{root}/g"),
        put("given-up", two, "abandon"),
        put("small", one),
        put("last", one, "write"),
    ]


def unsynced_steps(root: str, chunk_size_bytes: int) -> list[Step]:
    """Return steps of which the last, a write of two chunks, is acknowledged before it is synced."""
    content = random.Random(root).randbytes(chunk_size_bytes + 1)
    return [Step("mkdir", root), Step("replicate", f"{root}/f", content=content)]


@dataclass(slots=True)
class Counts:
    """What happened to the steps of one or more runs."""

    acknowledged: int = 0
    unknown: int = 0
    unknown_done: int = 0
    refused: int = 0

    def add(self, other: "Counts") -> None:
        """Add another count to this one."""
        self.acknowledged += other.acknowledged
        self.unknown += other.unknown
        self.unknown_done += other.unknown_done
        self.refused += other.refused


async def run_steps(
    client: dstore.AsyncClient,
    steps: list[Step],
    model: Model,
    *,
    watcher: dstore.AsyncClient,
    recover: Callable[[DstoreError], Awaitable[None]],
    root: str = "/",
) -> Counts:
    """Perform all steps; one that a fault stopped is resolved, compared with the cluster, and repeated if need be.

    Args:
        model: what is there before; changed with every step that took effect.
        watcher: another client, which waits for a master that comes back.
        root: where nobody else writes; it is compared after every step that failed.
        recover: called with the error of a fault; returns when the cluster answers again, or raises.
    """
    counts = Counts()
    for step in steps:
        deadline = time.monotonic() + _RECOVERY_S
        while True:
            try:
                await step.perform(client)
            except CommitUnknown as error:
                counts.unknown += 1
                await recover(error)
                if await _took_effect(client, error):
                    counts.unknown_done += 1
                    break
            except _FAULTS as error:
                counts.refused += 1
                await recover(error)
            else:
                break
            # It did not take effect, and nothing of it may be seen.
            await compare(watcher, model, root)
            assert time.monotonic() < deadline, f"{step} still fails after {_RECOVERY_S} s"
            await asyncio.sleep(_PAUSE_S)
        step.apply(model)
        counts.acknowledged += 1
    return counts


async def _took_effect(client: dstore.AsyncClient, error: CommitUnknown) -> bool:
    deadline = time.monotonic() + _RECOVERY_S
    while True:
        try:
            await client.resolve(RequestId(error.metadata["request_id"]))
        except CommitUnknown as again:
            assert time.monotonic() < deadline, f"still unknown after {_RECOVERY_S} s: {again!r}"
        except _FAULTS:
            return False
        except Conflict as late:
            if late.reason != "VERSION_SUPERSEDED":
                raise
            # Its first attempt was never to succeed: the path had a newer version, as the next one would have learned.
            return False
        else:
            return True
        await asyncio.sleep(_PAUSE_S)


async def compare(client: dstore.AsyncClient, model: Mapping[str, bytes | None], root: str = "/") -> None:
    """Require that the cluster shows exactly the model below ``root``: names, kinds, and every byte."""
    found: Model = {}
    async for _, directories, files in client.walk(root):
        found.update(dict.fromkeys((directory.path for directory in directories), None))
        for file in files:
            found[file.path] = await _get(client, file.path)
    expected = {path: content for path, content in model.items() if path != root and _is_below(path, root)}
    differences = [
        f"{path}: expected {_show(expected, path)}, found {_show(found, path)}"
        for path in sorted({*found, *expected})
        if path not in found or path not in expected or found[path] != expected[path]
    ]
    assert not differences, "the cluster differs from what was acknowledged:\n" + "\n".join(differences)


async def _get(client: dstore.AsyncClient, path: str) -> bytes:
    deadline = time.monotonic() + _RECOVERY_S
    while True:
        try:
            return await client.get(path)
        except _FAULTS:
            # The connection to a server that was just started again comes back after gRPC's own pause.
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)


def _show(model: Mapping[str, bytes | None], path: str) -> str:
    if path not in model:
        return "nothing"
    content = model[path]
    return "a directory" if content is None else f"{len(content)} bytes {content[:8].hex()}…"


def _is_below(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(f"{root}/")
