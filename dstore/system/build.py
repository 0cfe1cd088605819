"""From which sources this installation was made."""

import functools
import re
from pathlib import Path

import dstore

_UNKNOWN = "unknown"
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@functools.lru_cache(maxsize=1)
def commit() -> str:
    """Return the commit that the container image was built from; ``unknown`` where nobody noted it.

    The build of an image writes it into ``dstore/commit.txt``, beside the code that it is about.
    """
    return read_commit(Path(dstore.__file__).with_name("commit.txt"))


def read_commit(file: Path) -> str:
    """Return the commit that a file names; ``unknown`` when there is no file, or none in it."""
    try:
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return _UNKNOWN
    return text if _COMMIT.fullmatch(text) else _UNKNOWN
