"""Walks a tree from the top, as ``os.walk`` does."""

from collections.abc import AsyncIterator, Callable

from dstore.core.errors import NotADirectory, NotFound
from dstore.core.files import FileInfo

#: Within the client, ``list`` is a verb.
FileList = list[FileInfo]


async def walk(
    list_directory: Callable[[str], AsyncIterator[FileInfo]], top: str
) -> AsyncIterator[tuple[str, FileList, FileList]]:
    """Yield ``(path, directories, files)`` for a directory and all below it.

    Directories that the caller removes from the list are not entered; ones that vanish meanwhile are left out.
    """
    pending = [top]
    while pending:
        current = pending.pop()
        directories: FileList = []
        files: FileList = []
        try:
            async for info in list_directory(current):
                (directories if info.is_directory else files).append(info)
        except (NotFound, NotADirectory):
            if current == top:
                raise
            continue
        yield current, directories, files
        pending += [info.path for info in reversed(directories)]
