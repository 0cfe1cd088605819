"""Reads from strace's record what a process did to a file after a sync of it had failed.

The kernel may have dropped what it could not write and call the next sync a success, so nothing may rest on that file
any more: it is not synced again, and gets no name.
"""

import re
from pathlib import Path

_SYNC = re.compile(r"\d+ +(?:fsync|fdatasync)\(\d+<([^>]*)>\) += (-?\d+)")
_RENAME = re.compile(r'\d+ +rename\("([^"]*)", "([^"]*)"\) += 0')


def check_nothing_rests_on_failed_syncs(record: Path, directory: Path) -> int:
    """Require that files below ``directory`` whose sync failed are neither synced again nor renamed.

    Directories may be synced again: what is in them by then was put there, and is reported, anew. Returns how many
    syncs failed.
    """
    failed: set[str] = set()
    count = 0
    for line in record.read_text().splitlines():
        if match := _SYNC.match(line):
            path, result = match[1], int(match[2])
            if not path.startswith(f"{directory}/"):
                continue
            assert path not in failed, f"synced again after its sync had failed: {path}"
            if result < 0:
                count += 1
                if not (Path(path).is_dir() or not path.rsplit("/", 1)[-1]):
                    failed.add(path)
        elif match := _RENAME.match(line):
            assert match[1] not in failed, f"renamed to {match[2]} although its sync had failed: {match[1]}"
    return count
