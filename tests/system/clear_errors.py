"""What every refusal must look like: a code, a reason, and a sentence that says what, why and what to do."""

import asyncio
import contextlib
import io
import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any
from unittest import mock

import grpc
from cluster import LocalTestCluster

from dstore.cli.app import main
from dstore.core.errors import DstoreError
from dstore.rpc.status import to_error

CALL_TIMEOUT_S = 30


def check_sentence(message: str) -> None:
    """The message is for people: whole, with advice, and without the insides of a program."""
    assert len(message) > 30, message
    assert message.rstrip().endswith((".", "?", "…")), message
    for inside in ("Traceback", "Error(", "object has no attribute", 'File "'):
        assert inside not in message, message


def check_refusal(finished: subprocess.CompletedProcess[bytes], reason: str, code: int) -> dict[str, Any]:
    """Return the error of a ``dstore … --json`` that must have failed, and said so on stderr alone."""
    stderr = finished.stderr.decode()
    assert finished.stdout == b"", finished.stdout
    assert stderr.count("\n") == 1, stderr
    error: dict[str, Any] = json.loads(stderr)["error"]
    assert (error["reason"], error["exit_code"], finished.returncode) == (reason, code, code), stderr
    check_sentence(error["message"])
    return error


def refused(
    cluster: LocalTestCluster, *arguments: str, reason: str, code: int, environ: dict[str, str] | None = None
) -> dict[str, Any]:
    """Run ``dstore`` in this process, which is faster; it must refuse, for this reason and with this exit code."""
    out, error = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environ or cluster.environ, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
    ):
        returned = main([*arguments, "--json"])
    finished = subprocess.CompletedProcess(arguments, returned, out.getvalue().encode(), error.getvalue().encode())
    return check_refusal(finished, reason, code)


async def call_raw(address: str, method: str, messages: Sequence[bytes]) -> bytes:
    """Call a method with messages as they are, as a program in any language could; ``WriteChunk`` is a stream.

    Raises:
        AioRpcError: what the server answered.
    """
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        path = f"/dstore.v1.{method}"
        if method.endswith("/WriteChunk"):
            stream: Any = channel.stream_unary(path)
            answer: bytes = await stream(iter(messages), timeout=CALL_TIMEOUT_S)
            return answer
        if method.endswith("/ReadChunk"):
            frames: Any = channel.unary_stream(path)
            return b"".join([frame async for frame in frames(messages[0], timeout=CALL_TIMEOUT_S)])
        unary: Any = channel.unary_unary(path)
        answer = await unary(messages[0], timeout=CALL_TIMEOUT_S)
        return answer


def refused_raw(address: str, method: str, *messages: bytes) -> tuple[str, DstoreError]:
    """Return the status code and the error with which a server must refuse these messages."""
    try:
        answer = asyncio.run(call_raw(address, method, messages))
    except grpc.aio.AioRpcError as failure:
        error = to_error(failure, address=address)
        check_sentence(error.message)
        return failure.code().name, error
    raise AssertionError(f"{method} answered {answer!r}")


def check_logs(cluster: LocalTestCluster) -> None:
    """No server took bad input for a defect."""
    for name in cluster.names:
        assert "Traceback" not in cluster.log(name), cluster.log(name)[-3000:]
