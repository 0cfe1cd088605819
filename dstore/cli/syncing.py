"""``dstore sync``: looks at both trees, makes a plan, shows it and carries it out."""

import hashlib
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dstore.cli.exit_codes import ExitCode, local_error
from dstore.cli.output import Output, error_value, show_error
from dstore.cli.place_copying import check_jobs, copy_file, in_parallel
from dstore.cli.places import Place, parse_place
from dstore.cli.session import run_with_client
from dstore.cli.sync_plan import Action, Plan, Step, make_plan, same_size
from dstore.cli.sync_text import SyncSummary, step_line, summary_line
from dstore.cli.target import Target
from dstore.cli.tree_listing import EntryKind, Listing, list_tree
from dstore.client.client import AsyncClient
from dstore.client.local_files import run_blocking
from dstore.core.errors import (
    AlreadyExists,
    Conflict,
    Corrupt,
    DirectoryNotEmpty,
    DstoreError,
    InvalidRequest,
    IsADirectory,
    NotADirectory,
    NotFound,
    OutOfSpace,
)
from dstore.core.limits import MIB

_PIECE_SIZE_BYTES = 4 * MIB
#: They are about one file; every other error is about all of them, and ends the command.
_ERRORS_OF_ONE_FILE = (
    AlreadyExists,
    Conflict,
    Corrupt,
    DirectoryNotEmpty,
    InvalidRequest,
    IsADirectory,
    NotADirectory,
    NotFound,
)


@dataclass(frozen=True, slots=True)
class Options:
    """How ``dstore sync`` is to work; the names are those of the options."""

    delete: bool
    dry_run: bool
    checksum: bool
    force: bool
    jobs: int


def sync(target: Target, source: str, destination: str, options: Options) -> int:
    """Make one tree like another; one JSON object per step, then a summary."""
    start, end = parse_place(source), parse_place(destination)
    if start.is_remote == end.is_remote:
        raise InvalidRequest(
            "One of the two directories is in the cluster, and the other one is here; write dstore:/PATH for the one "
            "in the cluster.",
            reason="PLACE_INVALID",
        )
    check_jobs(options.jobs)

    async def work(client: AsyncClient) -> SyncSummary:
        return await _Sync(client, start, end, options, Output(as_json=target.as_json)).run()

    summary = run_with_client(target, work)
    Output(as_json=target.as_json).result({"summary": summary}, summary_line(summary))
    return ExitCode.OK if summary.failed == 0 else ExitCode.FAILED


class _Sync:
    """One run."""

    def __init__(self, client: AsyncClient, source: Place, target: Place, options: Options, output: Output):
        self._client, self._source, self._target = client, source, target
        self._options, self._output = options, output
        self._summary = SyncSummary(is_dry_run=options.dry_run)

    async def run(self) -> SyncSummary:
        """Do all of it; what fails for one file is shown, counted, and keeps anything from being deleted."""
        started_s = time.monotonic()
        source = await list_tree(self._client, self._source)
        target = await list_tree(self._client, self._target, may_be_missing=True)
        for path, error in (*source.problems.items(), *target.problems.items()):
            if not path:
                # Nothing of that side is known.
                raise error
            self._tell(Step(Action.SKIP, path, "unreadable", EntryKind.FILE), error)
        different = await self._different(source, target) if self._options.checksum else None
        plan = make_plan(source, target, different=different, delete=self._options.delete)
        self._refuse_to_empty(source, plan)
        if not target.exists and not self._options.dry_run:
            await self._make_directory(self._target)
        self._summary.unchanged_files = plan.unchanged_files
        self._summary.is_delete_withheld = plan.is_delete_withheld
        await self._carry_out(plan)
        return replace(self._summary, duration_s=time.monotonic() - started_s)

    def _refuse_to_empty(self, source: Listing, plan: Plan) -> None:
        has_files = any(entry.kind is not EntryKind.DIRECTORY for entry in source.entries.values())
        deletes = any(step.action is Action.DELETE for step in plan.steps)
        if deletes and not has_files and not self._options.force:
            raise Conflict(
                f"There are no files in {str(self._source)!r}, so --delete would empty {str(self._target)!r}. Look "
                "whether that is the right directory, and whether its disk is mounted; --force does it.",
                reason="SOURCE_EMPTY",
                metadata={"source": str(self._source).encode(errors="replace").decode()},
            )

    async def _different(self, source: Listing, target: Listing) -> set[str]:
        different: set[str] = set()

        async def compare(path: str) -> None:
            try:
                digests = [await self._digest(place.inside(path)) for place in (self._source, self._target)]
            except (DstoreError, OSError) as failure:
                # Copying it meets the same error, and says so; or it mends what is damaged at the target.
                _error_of_one_file(failure)
                digests = [b"", b"unknown"]
            if digests[0] != digests[1]:
                different.add(path)

        await in_parallel(self._options.jobs, compare, same_size(source, target))
        return different

    async def _digest(self, place: Place) -> bytes:
        if not place.is_remote:
            return await run_blocking(_local_digest, Path(place.path))
        digest = hashlib.sha256()
        async with await self._client.open_read(place.path) as file:
            while data := await file.read(_PIECE_SIZE_BYTES):
                digest.update(data)
        return digest.digest()

    async def _carry_out(self, plan: Plan) -> None:
        def of(*actions: Action) -> list[Step]:
            return [step for step in plan.steps if step.action in actions]

        for step in of(Action.SKIP, Action.CONFLICT):
            self._tell(step, _conflict(step) if step.action is Action.CONFLICT else None)
        for step in of(Action.MAKE_DIRECTORY):
            await self._try(step, lambda step=step: self._make_directory(self._target.inside(step.path)))  # type: ignore[misc]
        await in_parallel(self._options.jobs, self._copy, of(Action.COPY))
        deletions = of(Action.DELETE)
        if deletions and self._summary.failed:
            self._summary.is_delete_withheld = True
            return
        for step in deletions:
            await self._try(step, lambda step=step: self._delete(step))  # type: ignore[misc]

    async def _copy(self, step: Step) -> None:
        async def copy() -> None:
            source, target = self._source.inside(step.path), self._target.inside(step.path)
            await copy_file(self._client, source, target, modified_ns=step.modified_ns)

        await self._try(step, copy)

    async def _make_directory(self, place: Place) -> None:
        if place.is_remote:
            await self._client.make_directory(place.path, parents=True, exist_ok=True)
        else:
            await run_blocking(lambda: Path(place.path).mkdir(parents=True, exist_ok=True))

    async def _delete(self, step: Step) -> None:
        place = self._target.inside(step.path)
        if place.is_remote:
            await self._client.remove(place.path)
            return
        local = Path(place.path)
        await run_blocking(local.rmdir if step.kind is EntryKind.DIRECTORY else local.unlink)

    async def _try(self, step: Step, do: Callable[[], Awaitable[None]]) -> None:
        error: DstoreError | None = None
        if not self._options.dry_run:
            try:
                await do()
            except (DstoreError, OSError) as failure:
                error = _error_of_one_file(failure)
        self._tell(step, error)

    def _tell(self, step: Step, error: DstoreError | None) -> None:
        self._summary.count(step, is_failed=error is not None)
        is_untouched = step.action in (Action.SKIP, Action.CONFLICT)
        outcome = "failed" if error else "skipped" if is_untouched else "planned" if self._options.dry_run else "done"
        value = {
            "action": step.action.value,
            "path": step.path,
            "kind": step.kind,
            "reason": step.reason,
            "size_bytes": step.size_bytes,
            "outcome": outcome,
            "error": None if error is None else error_value(error),
        }
        self._output.json(value)
        if error is None:
            self._output.text(step_line(step, is_dry_run=self._options.dry_run))
        elif not self._output.as_json:
            sys.stdout.flush()
            show_error(error, as_json=False)


def _error_of_one_file(failure: DstoreError | OSError) -> DstoreError:
    """Return an error after which the other files can go on.

    Raises:
        DstoreError: it is about all of them, as when the cluster is away, or the disk is full.
    """
    if isinstance(failure, DstoreError):
        if isinstance(failure, _ERRORS_OF_ONE_FILE):
            return failure
        raise failure
    error = local_error(failure)
    if isinstance(error, OutOfSpace):
        raise error from failure
    return error


def _local_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _conflict(step: Step) -> Conflict:
    return Conflict(
        f"{step.path!r} is a {step.kind.value} at the source and a {step.reason} at the target, and neither is turned "
        "into the other; remove or rename one of them.",
        reason="KIND_CHANGED",
        metadata={"path": step.path},
    )
