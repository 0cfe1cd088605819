"""Programs that do the client's work: what they print, and how much memory they took."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

_POLL_INTERVAL_S = 0.02


async def run_measured(
    *command: str, directory: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[bytes, int]:
    """Run a program to its end; return its output with its errors, and its peak resident memory in bytes.

    Raises:
        RuntimeError: it failed, with the end of what it printed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=directory,
        env=environ,
    )
    peak_bytes = asyncio.create_task(_watch_peak(process.pid))
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output[-400:]!r}")
    return output, await peak_bytes


async def _watch_peak(pid: int) -> int:
    """Return the largest resident memory that was seen before the process ended."""
    peak_bytes = 0
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return peak_bytes
        found = re.search(r"VmHWM:\s+(\d+)", status)
        if found is None:
            return peak_bytes
        peak_bytes = max(peak_bytes, int(found[1]) * 1024)
        await asyncio.sleep(_POLL_INTERVAL_S)
