"""Verbs about many files: cut into calls about as many as one takes, a few of them under way at once.

Each item has its own outcome, in a list in the order of the items. When one call gets no answer within the patience of
the client, what was not sent yet is not tried any more.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from dstore.client import answers
from dstore.client.arguments import check_items
from dstore.client.concurrency import run_together
from dstore.client.contact import Contact
from dstore.client.fetching import Fetching
from dstore.client.files import as_bytes_view
from dstore.client.gathering import own_copy
from dstore.client.ranges import read_ranges
from dstore.client.reader import FileReader
from dstore.client.small_files import SmallWrite
from dstore.client.storing import Storing
from dstore.core.errors import CommitUnknown, DeadlineExceeded, DstoreError, InvalidRequest, Unavailable
from dstore.core.files import FileInfo, Precondition, RemoveResult
from dstore.core.ids import RequestId
from dstore.core.limits import (
    BATCH_SIZE_BYTES_MAX,
    INLINE_SIZE_BYTES_MAX,
    KIB,
    MANY_CALLS_IN_FLIGHT,
    MANY_FILES_IN_FLIGHT,
    MANY_ITEMS_PER_CALL,
)
from dstore.core.paths import normalize_path
from dstore.crypto.derivation import TAG_SIZE_BYTES

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

T = TypeVar("T")

#: What a small file takes of a message beside its content and its path: manifest, wrapped key, numbers.
_FILE_SIZE_BYTES = KIB
_NO_ANSWER = (Unavailable, DeadlineExceeded, CommitUnknown)

assert INLINE_SIZE_BYTES_MAX + TAG_SIZE_BYTES + _FILE_SIZE_BYTES < BATCH_SIZE_BYTES_MAX


class _Outcomes(Generic[T]):
    """What came of each item, by its place; and whether the master answers at all."""

    def __init__(self) -> None:
        self._found: dict[int, T | DstoreError] = {}
        self._silence: DstoreError | None = None

    def note(self, index: int, outcome: T | DstoreError) -> None:
        self._found[index] = outcome

    def note_call(self, indexes: Sequence[int], outcomes: Sequence[T | DstoreError]) -> None:
        self._found.update(zip(indexes, outcomes, strict=True))
        last = outcomes[-1]
        if isinstance(last, _NO_ANSWER) and all(isinstance(each, _NO_ANSWER) for each in outcomes):
            self._silence = last

    def note_failure(self, indexes: Sequence[int], error: DstoreError) -> None:
        self.note_call(indexes, [own_copy(error) for _ in indexes])

    def note_silence(self, indexes: Sequence[int]) -> bool:
        """Return whether the items need not be sent, because the master does not answer."""
        if self._silence is None:
            return False
        for index in indexes:
            self._found[index] = Unavailable(
                f"This was not tried: the master did not answer for what came before it. {self._silence.message}",
                reason="NOT_TRIED",
            )
        return True

    def in_order(self) -> list[T | DstoreError]:
        return [self._found[index] for index in range(len(self._found))]


async def put_many(
    contact: Contact,
    storing: Storing,
    files: "Mapping[str, ReadableBuffer] | Iterable[tuple[str, ReadableBuffer]]",
    precondition: Precondition,
    durability: str | None,
) -> list[FileInfo | DstoreError]:
    """Store files; see ``AsyncClient.put_many``."""
    storing.durability(durability)
    outcomes: _Outcomes[FileInfo] = _Outcomes()
    #: In the first round the first file of each path, in the second the second: the last one stands.
    rounds: list[list[tuple[int, str, memoryview]]] = []
    rounds_of: defaultdict[str, int] = defaultdict(int)
    check_items(files, what="a mapping of paths to contents, or a list of such pairs")
    items = files.items() if isinstance(files, Mapping) else files
    for index, item in enumerate(items):
        try:
            path, data = _pair(item)
            path, view = normalize_path(path), as_bytes_view(data)
        except InvalidRequest as error:
            outcomes.note(index, error)
            continue
        if rounds_of[path] == len(rounds):
            rounds.append([])
        rounds[rounds_of[path]].append((index, path, view))
        rounds_of[path] += 1
    for wanted in rounds:
        await _put_round(contact, storing, wanted, precondition, durability, outcomes)
    return outcomes.in_order()


async def _put_round(
    contact: Contact,
    storing: Storing,
    wanted: list[tuple[int, str, memoryview]],
    precondition: Precondition,
    durability: str | None,
    outcomes: _Outcomes[FileInfo],
) -> None:
    small_files = await contact.small_files()
    calls = _cut_by_size(each for each in wanted if len(each[2]) <= INLINE_SIZE_BYTES_MAX)
    large = iter([each for each in wanted if len(each[2]) > INLINE_SIZE_BYTES_MAX])

    async def put_small() -> None:
        for call in calls:
            indexes = [index for index, _, _ in call]
            if not outcomes.note_silence(indexes):
                writes = [SmallWrite(path, precondition, bytes(view)) for _, path, view in call]
                await small_files.put_all(writes)
                outcomes.note_call(indexes, [write.outcome for write in writes])

    async def put_large() -> None:
        for index, path, view in large:
            if not outcomes.note_silence([index]):
                outcomes.note(index, await _outcome(storing.put(path, precondition, view, durability=durability)))

    await run_together(
        [
            *(put_small() for _ in range(MANY_CALLS_IN_FLIGHT)),
            *(put_large() for _ in range(MANY_FILES_IN_FLIGHT)),
        ]
    )


async def get_many(fetching: Fetching, paths: Iterable[str]) -> list[bytes | DstoreError]:
    """Read files; see ``AsyncClient.get_many``."""
    outcomes: _Outcomes[bytes] = _Outcomes()

    async def get(names: Sequence[str]) -> Sequence[bytes | DstoreError]:
        found = await fetching.open_many(names)
        results: list[bytes | DstoreError] = [
            each if isinstance(each, DstoreError) else each.manifest.content for each in found
        ]
        large = iter(
            [
                (place, each)
                for place, each in enumerate(found)
                if not isinstance(each, DstoreError) and each.manifest.chunk_count
            ]
        )

        async def get_large() -> None:
            for place, file in large:
                results[place] = await _outcome(fetching.read(names[place], _read_all, opened=file))

        await run_together(get_large() for _ in range(MANY_FILES_IN_FLIGHT))
        return results

    await _in_calls(paths, outcomes, get, calls_max=MANY_CALLS_IN_FLIGHT)
    return outcomes.in_order()


async def stat_many(contact: Contact, paths: Iterable[str]) -> list[FileInfo | DstoreError]:
    """Describe paths; see ``AsyncClient.stat_many``."""
    outcomes: _Outcomes[FileInfo] = _Outcomes()

    async def stat(names: Sequence[str]) -> Sequence[FileInfo | DstoreError]:
        found = await (await contact.namespace()).stat_files(tuple(names))
        return [_about(path, info) for path, info in zip(names, found, strict=True)]

    await _in_calls(paths, outcomes, stat, calls_max=MANY_CALLS_IN_FLIGHT)
    return outcomes.in_order()


async def remove_many(
    contact: Contact, paths: Iterable[str], *, recursive: bool, request_id: Callable[[], RequestId]
) -> list[RemoveResult | DstoreError]:
    """Remove paths; see ``AsyncClient.remove_many``."""
    outcomes: _Outcomes[RemoveResult] = _Outcomes()

    async def remove(names: Sequence[str]) -> Sequence[RemoveResult | DstoreError]:
        namespace = await contact.namespace()
        return await namespace.remove_files(tuple((path, recursive, request_id()) for path in names))

    # One after the other: a directory may follow what is in it.
    await _in_calls(paths, outcomes, remove, calls_max=1)
    return outcomes.in_order()


async def _in_calls(
    paths: Iterable[str],
    outcomes: _Outcomes[T],
    call: Callable[[Sequence[str]], Awaitable[Sequence[T | DstoreError]]],
    *,
    calls_max: int,
) -> None:
    """Make calls about all valid paths, up to ``calls_max`` of them at once."""
    check_items(paths, what="a list of paths")
    names: dict[int, str] = {}
    for index, path in enumerate(paths):
        try:
            names[index] = normalize_path(path)
        except InvalidRequest as error:
            outcomes.note(index, error)
    places = list(names)
    parts = iter([places[start : start + MANY_ITEMS_PER_CALL] for start in range(0, len(places), MANY_ITEMS_PER_CALL)])

    async def work() -> None:
        for indexes in parts:
            if outcomes.note_silence(indexes):
                continue
            try:
                found = await call([names[index] for index in indexes])
            except DstoreError as error:
                outcomes.note_failure(indexes, error)
            else:
                outcomes.note_call(indexes, found)

    await run_together(work() for _ in range(calls_max))


def _pair(item: "tuple[str, ReadableBuffer]") -> "tuple[str, ReadableBuffer]":
    """Return an item if it is one."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise InvalidRequest(
            f"A file to store is a pair of its path and its content, not {type(item).__name__}"
            f"{f' of {len(item)}' if isinstance(item, tuple | list) else ''}; give both.",
            reason="ITEMS_INVALID",
        )
    path, data = item
    return path, data


def _cut_by_size(
    wanted: Iterable[tuple[int, str, memoryview]],
) -> Iterator[list[tuple[int, str, memoryview]]]:
    """Yield lists that fit into one call each."""
    call: list[tuple[int, str, memoryview]] = []
    size_bytes = 0
    for each in wanted:
        _, path, view = each
        size = len(view) + 4 * len(path) + _FILE_SIZE_BYTES
        if call and (len(call) == MANY_ITEMS_PER_CALL or size_bytes + size > BATCH_SIZE_BYTES_MAX):
            yield call
            call, size_bytes = [], 0
        call.append(each)
        size_bytes += size
    if call:
        yield call


async def _outcome(work: Awaitable[T]) -> T | DstoreError:
    try:
        return await work
    except DstoreError as error:
        return error


async def _read_all(reader: FileReader) -> bytes:
    (data,) = await read_ranges(reader, [(0, None)])
    return data


def _about(path: str, info: FileInfo | DstoreError) -> FileInfo | DstoreError:
    try:
        return info if isinstance(info, DstoreError) else answers.about(path, info)
    except DstoreError as error:
        return error
