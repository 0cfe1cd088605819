"""Ports follow from one number, and a taken one is an error that says who has it."""

import os
import socket
from pathlib import Path

import pytest

from dstore.cli.ports import (
    CHUNKSERVERS_MAX,
    ServerPorts,
    check_ports,
    is_taken,
    listening_sockets,
    plan_ports,
    port_holder,
)
from dstore.core.errors import InvalidRequest, Unavailable

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1B9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1B9E 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 00000000:1B9F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""


def test_plan() -> None:
    assert plan_ports(7070, 2) == (
        ServerPorts("master", 7070, 7170),
        ServerPorts("cs-1", 7071, 7171),
        ServerPorts("cs-2", 7072, 7172),
    )


@pytest.mark.parametrize("chunkservers", [1, CHUNKSERVERS_MAX])
def test_no_port_is_used_twice(chunkservers: int) -> None:
    plan = plan_ports(7070, chunkservers)
    ports = [port for server in plan for port in (server.port, server.http_port)]
    assert len(set(ports)) == len(ports) == 2 * (chunkservers + 1)


@pytest.mark.parametrize("chunkservers", [-1, 0, CHUNKSERVERS_MAX + 1])
def test_a_number_of_chunkservers_that_does_not_fit(chunkservers: int) -> None:
    with pytest.raises(InvalidRequest, match="--chunkservers") as caught:
        plan_ports(7070, chunkservers)
    assert caught.value.reason == "CHUNKSERVERS_INVALID"


@pytest.mark.parametrize("port", [1, 65_535 - 100 - 3])
def test_ports_at_the_ends(port: int) -> None:
    assert all(0 < server.http_port <= 65_535 for server in plan_ports(port, 3))


@pytest.mark.parametrize("port", [-1, 0, 65_535 - 100 - 3 + 1, 65_536])
def test_a_port_that_does_not_fit(port: int) -> None:
    with pytest.raises(InvalidRequest, match="--port") as caught:
        plan_ports(port, 3)
    assert caught.value.reason == "PORT_INVALID"


def test_a_taken_port_is_named_with_its_holder_and_the_flag() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert is_taken(port)
        with pytest.raises(Unavailable) as caught:
            check_ports([ServerPorts("cs-1", port, port)])
    error = caught.value
    assert error.reason == "ADDRESS_IN_USE"
    assert str(port) in error.message
    assert "cs-1" in error.message
    assert "--port" in error.message
    assert f"(pid {os.getpid()})" in error.message
    check_ports([ServerPorts("cs-1", port, port)])


def test_the_side_port_is_checked_too() -> None:
    with socket.socket() as listener, socket.socket() as free:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        free.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
        free.close()
        with pytest.raises(Unavailable):
            check_ports([ServerPorts("cs-1", free_port, listener.getsockname()[1])])


def test_listening_sockets() -> None:
    assert listening_sockets(TABLE, 0x1B9E) == {"4711"}
    assert listening_sockets(TABLE, 0x1B9F) == {"4713"}
    assert listening_sockets(TABLE, 1) == set()


def test_a_holder_that_cannot_be_seen(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TABLE)
    assert port_holder(0x1B9E, proc=tmp_path) is None
