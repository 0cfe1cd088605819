"""Entry point of a client process: ``python -m benchmarks.clients NAME SETTINGS``, with settings in JSON."""

import asyncio
import importlib
import json
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvloop

from benchmarks.clients.protocol import Client, Request, error_line


async def serve(name: str, settings: dict[str, Any]) -> None:
    """Open the client of one system and answer requests until standard input ends."""
    opened: AbstractAsyncContextManager[Client] = importlib.import_module(f"benchmarks.clients.{name}").open_client(
        **settings
    )
    async with opened as client:
        _answer(b"{}\n")
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            try:
                answer = (await client.run(Request.from_line(line))).to_line()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told to the benchmark, which shows it
                answer = error_line(error)
            _answer(answer)


def _answer(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], json.loads(sys.argv[2])))
