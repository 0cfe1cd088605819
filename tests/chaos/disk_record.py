"""What one process did to its directory, read from the record of strace: every call with its times and its data."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from injection import Injection, require

_FUNCTIONS = (
    "openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,"
    "write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync"
)
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(.*?)(?: <(\d+\.\d+)>)?$", re.DOTALL)
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_FILE = r"(\d+)<([^>]*)>(?:\(deleted\))?"
_PATTERNS = {
    "openat": re.compile(rf"\S+, {_TEXT}, ([A-Z_|0-9a-z]+)"),
    "mkdir": re.compile(_TEXT),
    "rename": re.compile(rf"{_TEXT}, {_TEXT}"),
    "unlink": re.compile(_TEXT),
    "rmdir": re.compile(_TEXT),
    "write": re.compile(rf"{_FILE}, {_TEXT}, \d+"),
    "pwrite64": re.compile(rf"{_FILE}, {_TEXT}, \d+, (\d+)"),
    "pwritev2": re.compile(rf"{_FILE}, \[(.*)\], \d+, (\d+), 0", re.DOTALL),
    "ftruncate": re.compile(rf"{_FILE}, (\d+)"),
    "fsync": re.compile(_FILE),
    "fdatasync": re.compile(_FILE),
}
_VECTOR = re.compile(rf"iov_base={_TEXT}, iov_len=\d+")


@dataclass(frozen=True, slots=True)
class DiskCall:
    """One call that succeeded, or a sync that failed.

    Attributes:
        function: ``open`` (which may create or empty the file), ``mkdir``, ``rename``, ``unlink``, ``rmdir``,
            ``write``, ``truncate`` or ``sync``.
        path: below the directory of the record; empty for the directory itself.
        file: the descriptor; -1 where there is none.
        offset: of a write, or the new length of a truncate; -1 for a write at the file's position.
    """

    function: str
    path: str
    begin_s: float
    end_s: float
    file: int = -1
    target: str = ""
    offset: int = -1
    data: bytes = b""
    creates: bool = False
    empties: bool = False
    failed: bool = False


def recording_command(record: Path, *, preload: str = "", failing: Injection | None = None) -> list[str]:
    """Return the strace command line that goes before the one of a process.

    Args:
        preload: a library for the process.
        failing: a call that fails with EIO.
    """
    options = ["--follow-forks", "--seccomp-bpf", "--decode-fds=path", "--quiet=all", f"--string-limit={1 << 24}"]
    options += ["--absolute-timestamps=format:unix,precision:us", "--syscall-times=us", f"--trace={_FUNCTIONS}"]
    if preload:
        options.append(f"--env=LD_PRELOAD={preload}")
    if failing is not None:
        options.append(failing.option)
    return [require("strace"), *options, f"--output={record}"]


def read_record(record: Path, directory: Path) -> list[DiskCall]:
    """Return the calls that touched ``directory``, in the order in which they began."""
    calls = [call for call in _calls(record.read_text(errors="strict"), directory) if call is not None]
    return sorted(calls, key=lambda call: call.begin_s)


def _calls(text: str, directory: Path) -> Iterator[DiskCall | None]:
    unfinished: dict[str, tuple[float, str]] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        assert match, f"not a line of strace: {line[:200]}"
        thread, time_s, rest = match[1], float(match[2]), match[3]
        if rest.startswith(("---", "+++")):
            continue
        if rest.endswith(_UNFINISHED):
            unfinished[thread] = (time_s, rest.removesuffix(_UNFINISHED))
            continue
        if resumed := _RESUMED.fullmatch(rest):
            time_s, start = unfinished.pop(thread)
            rest = start + resumed[2]
        yield _parse(rest, time_s, directory)
    for time_s, start in unfinished.values():
        # The process was killed during the call; what it wrote may have happened, what it synced has not.
        yield _parse(f"{start}) = 0", time_s, directory) if not start.startswith("f") else None


def _parse(text: str, begin_s: float, directory: Path) -> DiskCall | None:
    match = _CALL.fullmatch(text)
    if match is None:
        assert str(directory) not in text, f"a call that is not understood: {text[:300]}"
        return None
    function, arguments, result = match[1], match[2], int(match[3])
    end_s = begin_s + float(match[5] or 0)
    is_sync = function in ("fsync", "fdatasync")
    if str(directory) not in arguments or (result < 0 and not is_sync):
        return None
    assert function in _PATTERNS, f"{function} is not modelled: {text[:300]}"
    found = _PATTERNS[function].match(arguments)
    assert found, f"arguments that are not understood: {text[:300]}"
    return _build(function, found, result, begin_s, end_s, directory)


def _build(
    function: str, found: re.Match[str], result: int, begin_s: float, end_s: float, directory: Path
) -> DiskCall | None:
    if function in ("openat", "mkdir", "rename", "unlink", "rmdir"):
        path = _relative(found[1], directory)
        if path is None:
            return None
        if function == "openat":
            flags = found[2].split("|")
            return DiskCall(
                "open", path, begin_s, end_s, result, creates="O_CREAT" in flags, empties="O_TRUNC" in flags
            )
        target = _relative(found[2], directory) if function == "rename" else ""
        assert target is not None, f"a rename out of the directory: {found[0]}"
        return DiskCall(function, path, begin_s, end_s, target=target)
    path = _relative(found[2], directory)
    if path is None:
        return None
    file = int(found[1])
    if function in ("fsync", "fdatasync"):
        return DiskCall("sync", path, begin_s, end_s, file, failed=result < 0)
    if function == "ftruncate":
        return DiskCall("truncate", path, begin_s, end_s, file, offset=int(found[3]))
    offset = int(found[4]) if function != "write" else -1
    data = b"".join(map(_decode, _VECTOR.findall(found[3]))) if function == "pwritev2" else _decode(found[3])
    return DiskCall("write", path, begin_s, end_s, file, offset=offset, data=data[:result])


def _relative(path: str, directory: Path) -> str | None:
    pure = PurePosixPath(path)
    if not pure.is_relative_to(directory):
        return None
    relative = str(pure.relative_to(directory))
    return "" if relative == "." else relative


def _decode(text: str) -> bytes:
    data, _ = codecs.escape_decode(text.encode("ascii"))
    assert isinstance(data, bytes)
    return data
