"""Several files that become visible together, as far as that is possible; see ``DstoreTransaction``."""

from typing import Any

from fsspec.asyn import sync
from fsspec.transaction import Transaction

from dstore.core.errors import InvalidRequest
from dstore.fsspec.files import WriteFile
from dstore.fsspec.uploads import Upload


class DstoreTransaction(Transaction):
    """What ``with fs.transaction:`` promises, exactly.

    - While it lasts, nothing that is written is visible: not what ``open``, ``pipe``, ``pipe_file``, ``put`` and
      ``put_file`` of this filesystem write, whatever the size, and also from other threads.
    - An exception discards all of it. So does the end of the process: nothing is left but what expires by itself.
    - At the end, everything is durable on the servers before the first file becomes visible, but for files of at most
      16 KiB, which take one call each. Then the files become visible in the order in which they were written, one
      commit each. **Each file is atomic**: it appears as a whole or not at all, and replaces what was there in one
      step. **All of them together are not**: a reader may see the first and not yet the last. If a commit fails, the
      files after it are discarded, those before it stay, and a note on the error says which.
    - ``rm``, ``mv``, ``cp`` and ``mkdir`` are no part of it: they take effect at once. Readers see what was there
      before.

    Directories that are missing above a file are made when it is begun, and stay when it is discarded.
    """

    fs: Any

    def __init__(self, fs: Any, **options: Any) -> None:
        """Made by ``DstoreFileSystem.transaction``."""
        super().__init__(fs, **options)
        self._pending: list[WriteFile | Upload] = []

    def start(self) -> None:
        """Begin: from now on, what is written waits.

        Raises:
            InvalidRequest: reason ``TRANSACTION_NEEDS_BLOCKING``.
        """
        if self.fs.asynchronous:
            raise InvalidRequest(
                "A transaction ends with blocking calls, which a filesystem for asynchronous ones does not have; make "
                "one without asynchronous=True.",
                reason="TRANSACTION_NEEDS_BLOCKING",
            )
        super().start()
        self._pending = []

    def add(self, file: WriteFile | Upload) -> None:
        """Let a file wait for the end."""
        self._pending.append(file)

    def complete(self, commit: bool = True) -> None:
        """Make everything visible, or nothing.

        Raises:
            InvalidRequest: reason ``FILE_STILL_OPEN``; everything was discarded.
            DstoreError: of the first file that could not be committed; it and those after it were discarded.
        """
        fs, pending = self.fs, self._pending
        self._pending = []
        self.files.clear()
        fs._intrans = False
        fs._transaction = None
        self.fs = None
        done: list[str] = []
        try:
            if commit:
                _check_closed(pending)
                for file in pending:
                    _commit(fs, file)
                    done.append(file.path)
        except BaseException as error:
            if done:
                error.add_note(f"Of {len(pending)} files of the transaction, these are visible: {', '.join(done)}.")
            raise
        finally:
            # What was committed is not touched by this.
            for file in pending:
                _discard(fs, file)


def _check_closed(pending: list[WriteFile | Upload]) -> None:
    for file in pending:
        if isinstance(file, WriteFile) and not file.closed:
            raise InvalidRequest(
                f"{file.path} was still open when its transaction ended, so all of it was discarded; close files "
                "before the end.",
                reason="FILE_STILL_OPEN",
                metadata={"path": file.path},
            )


def _commit(fs: Any, file: WriteFile | Upload) -> None:
    if isinstance(file, Upload):
        sync(fs.loop, file.commit)
        fs.invalidate_cache(file.path)
    else:
        file.commit()


def _discard(fs: Any, file: WriteFile | Upload) -> None:
    if isinstance(file, Upload):
        sync(fs.loop, file.discard)
    else:
        file.discard()
