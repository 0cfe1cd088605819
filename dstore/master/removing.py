"""Removing many paths, one after the other, in one transaction of the store."""

from collections.abc import Sequence

from dstore.core.errors import DstoreError, InvalidRequest
from dstore.core.files import NO_VERSION, RemoveResult
from dstore.core.ids import FileId, RequestId, Version
from dstore.core.limits import REMOVE_ENTRIES_MAX
from dstore.master import history, namespace, requests, tree
from dstore.master.batches import batch_full
from dstore.master.directories import Directories
from dstore.master.history import End
from dstore.master.requests import Request
from dstore.master.store.base import Transaction

_RESULT_SIZE_BYTES = 20


def remove_each(
    tx: Transaction, items: Sequence[tuple[str, bool, RequestId]], *, now_ns: int
) -> list[RemoveResult | DstoreError]:
    """Remove paths, with all that is in them where wanted; return for each what was removed, or why nothing was."""
    batch = _Batch(tx, now_ns)
    wanted = [_describe(path, recursive, request_id) for path, recursive, request_id in items]
    answers = requests.once_each(
        tx,
        wanted,
        RemoveResult,
        lambda position: batch.remove(items[position][0], recursive=items[position][1]),
        lambda _: _RESULT_SIZE_BYTES,
    )
    batch.flush()
    return answers


def describe(request_id: RequestId, path: str, *, recursive: bool, version: Version = NO_VERSION) -> Request:
    """Return the identity of a removal, alone or one of many.

    Raises:
        InvalidRequest: reason ``REQUEST_ID_INVALID``.
    """
    # Without a version it is what it was before there were any, so that a call can be repeated across an upgrade.
    return requests.describe(request_id, "Remove", path, recursive, *([version] if version != NO_VERSION else []))


def _describe(path: str, recursive: bool, request_id: RequestId) -> Request | DstoreError:
    try:
        return describe(request_id, path, recursive=recursive)
    except InvalidRequest as error:
        return error


class _Batch:
    """Files that go together; ``flush`` writes them. A directory goes at once, in a transaction of its own.

    Otherwise a file that was removed before its directory would look as if it had gone with it, and come back with it.
    """

    def __init__(self, tx: Transaction, now_ns: int) -> None:
        self._tx = tx
        self._now_ns = now_ns
        self._directories = Directories(tx)
        self._removed_count = 0
        self._gone: dict[tuple[FileId, str], tree.Inode] = {}

    def remove(self, path: str, *, recursive: bool) -> RemoveResult:
        """Remove one path.

        Raises:
            DstoreError: it is refused; nothing was done.
        """
        # However many trees are named, one transaction takes about as much as it may of one tree.
        if self._removed_count >= REMOVE_ENTRIES_MAX:
            raise batch_full()
        result = self._remove(path, recursive=recursive)
        self._removed_count += result.files + result.directories
        return result

    def flush(self) -> None:
        """Write what is noted, as a transaction of the namespace of its own."""
        if not self._gone:
            return
        txn = history.begin(self._tx)
        history.end_entries(self._tx, txn, list(self._gone), End.REMOVED, self._now_ns)
        history.end_inodes(self._tx, txn, [inode.file_id for inode in self._gone.values()])
        tree.retire_names(self._tx, [(*place, inode.version) for place, inode in self._gone.items()])
        self._gone.clear()

    def _remove(self, path: str, *, recursive: bool) -> RemoveResult:
        place = self._directories.find(path)
        if place is None:
            raise namespace.root_immovable()
        key = (place.directory.file_id, place.name)
        inode = None if key in self._gone else tree.find(self._tx, *key)
        if inode is None:
            raise tree.not_found(place.path)
        if not inode.is_directory:
            self._gone[key] = inode
            return RemoveResult(1, 0)
        self.flush()
        result = namespace.remove(self._tx, place.path, recursive=recursive, now_ns=self._now_ns)
        self._directories = Directories(self._tx)
        return result
