"""What a master may answer: checked before anything is allocated, sealed or shown by it.

A master that is damaged or lies must cost no more than a refusal (promise 2 of docs/architecture.md). What these checks
let through is either verified against a manifest later, or the master's word alone, as ``stat`` and ``list`` say.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

from dstore.core.errors import Internal, InvalidRequest
from dstore.core.files import ChunkPlacement, FileInfo, FilePage, Policy
from dstore.core.ids import ROOT_ID, FileId
from dstore.core.interfaces import Admin, Namespace
from dstore.core.limits import (
    CHUNK_SIZE_BYTES_MAX,
    CHUNK_SIZE_BYTES_MIN,
    LIST_PAGE_SIZE_DEFAULT,
    NAME_SIZE_BYTES_MAX,
    REPLICAS_MAX,
)
from dstore.core.paths import normalize_path, split_path
from dstore.core.removed import RemovedFile, RemovedPage
from dstore.core.status import FileDescription

#: Begins with a letter or digit, and has nothing that means anything in a path.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]*")


def check_policy(policy: Policy) -> None:
    """Refuse a policy under which a client would run out of memory, or acknowledge what nobody holds.

    Raises:
        Internal: reason ``POLICY_UNUSABLE``.
    """
    if not CHUNK_SIZE_BYTES_MIN <= policy.chunk_size_bytes <= CHUNK_SIZE_BYTES_MAX:
        raise invalid_answer(
            f"its policy has chunks of {policy.chunk_size_bytes} bytes, not {CHUNK_SIZE_BYTES_MIN} to "
            f"{CHUNK_SIZE_BYTES_MAX}",
            reason="POLICY_UNUSABLE",
        )
    # Invariant 1: nothing that no server holds may count as written.
    if not 1 <= policy.min_replicas <= policy.replicas <= REPLICAS_MAX:
        raise invalid_answer(
            f"its policy wants {policy.replicas} replicas, at least {policy.min_replicas}, which is not 1 to "
            f"{REPLICAS_MAX}",
            reason="POLICY_UNUSABLE",
        )


def check_placement(placement: ChunkPlacement, policy: Policy) -> None:
    """Refuse a chain that cannot hold a chunk as the policy says.

    Raises:
        Internal: reason ``PLACEMENT_INVALID``.
    """
    chain = placement.chain
    members = {replica.server_id for replica in placement.group.members}
    if not set(chain) <= members or len(set(chain)) != len(chain):
        why = "to servers that are not in its group, or to one of them twice"
    elif not policy.min_replicas <= len(chain) <= REPLICAS_MAX:
        why = f"to {len(chain)} servers, not {policy.min_replicas} to {REPLICAS_MAX}"
    else:
        return
    raise invalid_answer(f"it sends chunk {placement.chunk_id} {why}", reason="PLACEMENT_INVALID")


def is_parent_possible(path: str, parent_id: FileId) -> bool:
    """Return whether this directory can be the one that holds ``path``; only that of the root is known for sure."""
    return (parent_id == ROOT_ID) == (path.count("/") == 1)


def about(path: str, info: FileInfo) -> FileInfo:
    """Return what the master says of a path, when it says it of this one.

    Raises:
        Internal: reason ``ANSWER_INVALID``.
    """
    if info.path != path:
        raise invalid_answer(f"it told of {info.path[:80]!r}, asked for {path[:80]!r}")
    return info


async def list_page(namespace: Namespace, path: str, page_size: int, page_token: str) -> FilePage:
    """Return the page of a directory that follows the one which gave ``page_token``; each entry is one name below it.

    Raises:
        Internal: reason ``ANSWER_INVALID``.
        DstoreError: as ``Namespace.list``.
    """
    page = await _list(namespace, path, page_size, page_token)
    _check_page(path, page_size, page, b"")
    return page


async def list_pages(namespace: Namespace, path: str, page_size: int) -> AsyncIterator[tuple[FileInfo, ...]]:
    """Yield the pages of a directory; the next one is fetched while the caller looks at this one.

    Callers join names to local paths, so each must be one name below ``path``. They come in order, each once: a list
    that goes back would never end.

    Raises:
        Internal: reason ``ANSWER_INVALID``.
        DstoreError: as ``Namespace.list``.
    """
    previous = b""

    def fetch(token: str) -> asyncio.Task[FilePage]:
        return asyncio.create_task(_list(namespace, path, page_size, token), name="list-page")

    following: asyncio.Task[FilePage] | None = fetch("")
    try:
        while following is not None:
            page, following = await following, None
            if page.next_page_token:
                following = fetch(page.next_page_token)
            previous = _check_page(path, page_size, page, previous)
            yield page.entries
    finally:
        if following is not None:
            await _end(following)


def _check_page(path: str, page_size: int, page: FilePage, previous: bytes) -> bytes:
    """Look at a page that has to follow the name ``previous``; return its last name."""
    prefix = path.removesuffix("/") + "/"
    if len(page.entries) > page_size or (page.next_page_token and not page.entries):
        raise invalid_answer(f"{len(page.entries)} entries of {path[:80]!r} came in a page of up to {page_size}")
    for info in page.entries:
        name = _entry_name(prefix, info)
        if name <= previous:
            raise invalid_answer(f"the entries of {path[:80]!r} are not in order")
        previous = name
    return previous


async def _list(namespace: Namespace, path: str, page_size: int, page_token: str) -> FilePage:
    return await namespace.list(path, page_size=page_size, page_token=page_token)


async def _end(task: asyncio.Task[FilePage]) -> None:
    """Cancel a call whose answer nobody wants any more."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        # What it failed with is of no interest, and has to be looked at all the same.
        task.exception()


async def list_removed(namespace: Namespace, path: str, *, recursive: bool) -> AsyncIterator[tuple[RemovedFile, ...]]:
    """Yield what can be restored at or below a path page by page, oldest removal first.

    Raises:
        Internal: reason ``ANSWER_INVALID``.
        DstoreError: as ``Namespace.list_removed``.
    """
    token, previous_txn = "", 0
    while True:
        page = await list_removed_page(
            namespace, path, recursive, LIST_PAGE_SIZE_DEFAULT, token, after_txn=previous_txn
        )
        if page.entries:
            previous_txn = page.entries[-1].removed_txn
        yield page.entries
        token = page.next_page_token
        if not token:
            return


async def list_removed_page(
    namespace: Namespace, path: str, recursive: bool, page_size: int, page_token: str, *, after_txn: int = 0
) -> RemovedPage:
    """Return the page of ``list_removed`` that follows the one which gave ``page_token``; nothing is older than it.

    Raises:
        Internal: reason ``ANSWER_INVALID``.
        DstoreError: as ``Namespace.list_removed``.
    """
    page = await namespace.list_removed(path, recursive=recursive, page_size=page_size, page_token=page_token)
    if len(page.entries) > page_size:
        raise invalid_answer(f"{len(page.entries)} entries came in a page of up to {page_size}")
    prefix = path.removesuffix("/") + "/"
    for entry in page.entries:
        # What is restored is named by this path.
        if not _is_path(entry.path) or (entry.path != path and not entry.path.startswith(prefix)):
            raise invalid_answer(f"{entry.path[:80]!r} is not in {path[:80]!r}")
        if entry.removed_txn < after_txn:
            raise invalid_answer(f"what was removed from {path[:80]!r} is not in order")
        after_txn = entry.removed_txn
    return page


def _is_path(path: str) -> bool:
    try:
        return normalize_path(path) == path
    except InvalidRequest:
        return False


def _entry_name(prefix: str, info: FileInfo) -> bytes:
    name = info.path[len(prefix) :]
    try:
        is_name = info.path.startswith(prefix) and (_is_plain(name) or split_path("/" + name) == (name,))
    except InvalidRequest:
        is_name = False
    if not is_name:
        raise invalid_answer(f"{info.path[:80]!r} is no entry of {prefix[:80]!r}")
    return name.encode()


def _is_plain(name: str) -> bool:
    """Whether a name is certainly allowed, as most are; the others are looked at closely."""
    return len(name) <= NAME_SIZE_BYTES_MAX and name.isascii() and _PLAIN_NAME.fullmatch(name) is not None


async def describe(admin: Admin, path: str, page_size: int) -> FileDescription:
    """Return the description of a file, with all chunks.

    Raises:
        Internal: reason ``ANSWER_INVALID``.
        DstoreError: as ``Admin.describe_file``.
    """
    description = await admin.describe_file(path, start_index=0, count=page_size)
    about(path, description.info)
    chunks = list(description.chunks)
    following = description.next_chunk_index
    while following is not None:
        if following != len(chunks) or following >= description.info.chunk_count:
            raise invalid_answer(f"after {len(chunks)} chunks of {path[:80]!r} it goes on at {following}")
        page = await admin.describe_file(path, start_index=following, count=page_size)
        if not page.chunks:
            # The file was replaced by a shorter one meanwhile.
            break
        chunks += page.chunks
        following = page.next_chunk_index
    return replace(description, chunks=tuple(chunks), next_chunk_index=None)


def invalid_answer(why: str, *, reason: str = "ANSWER_INVALID") -> Internal:
    """Return the error for an answer that no honest master gives."""
    return Internal(
        f"The master's answer cannot be used: {why}. It is damaged or lying; ask its operator. Nothing was done.",
        reason=reason,
    )
