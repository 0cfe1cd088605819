"""The probe that health checks run, against the real side port."""

import asyncio
import subprocess
import sys

import pytest
from cluster import free_ports

from dstore.system.probe import ask, main
from dstore.system.side_port import Readiness, SidePort


class Server:
    """A side port whose readiness the test sets."""

    def __init__(self) -> None:
        self.ready = False
        self.port = SidePort("127.0.0.1:0", metrics=lambda: b"", readiness=self.readiness)

    def readiness(self) -> Readiness:
        return Readiness(ready=self.ready, checks={"master": "ok" if self.ready else "not reached"})


async def test_ready_server_passes_and_one_that_is_not_says_why() -> None:
    server = Server()
    url = f"http://{await server.port.start()}/readyz"
    try:
        answer = await asyncio.to_thread(ask, url)
        assert answer is not None
        assert "503" in answer
        assert "not reached" in answer
        server.ready = True
        assert await asyncio.to_thread(ask, url) is None
    finally:
        await server.port.stop()


async def test_waits_until_every_server_is_ready() -> None:
    ready, late = Server(), Server()
    ready.ready = True
    urls = [f"http://{await server.port.start()}/readyz" for server in (ready, late)]
    try:
        waiting = asyncio.create_task(asyncio.to_thread(main, ["--wait-s", "30", *urls]))
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done
        late.ready = True
        assert await waiting == 0
    finally:
        await ready.port.stop()
        await late.port.stop()


def test_nobody_there_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_ports(0)}/readyz"
    assert main([url]) == 1
    assert f"{url} does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:7170/readyz", "https://127.0.0.1/readyz", "http:///readyz", ""])
def test_what_is_no_url_is_named(url: str) -> None:
    assert "is not a URL" in (ask(url) or "")


def test_runs_as_a_module_and_imports_no_grpc() -> None:
    code = "import sys, dstore.system.probe; sys.exit(any(m in sys.modules for m in ('grpc', 'uvloop', 'apsw')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    finished = subprocess.run([sys.executable, "-m", "dstore.system.probe"], capture_output=True, check=False)
    assert finished.returncode == 2
