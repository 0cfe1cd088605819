"""Rules for docker-compose.yml and Dockerfile that need no engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVERS = ("master", "cs-1", "cs-2", "cs-3")


def option(server: str, name: str) -> str:
    """The value that the command of a server gives to ``--name``, with the default ports."""
    command: list[str] = COMPOSE["services"][server]["command"]
    values = [word.split("=", 1)[1] for word in command if word.startswith(f"--{name}=")]
    assert len(values) == 1
    return values[0].replace("${DSTORE_PORT_PREFIX:-7}", "7")


def published() -> set[str]:
    return {port.replace("${DSTORE_PORT_PREFIX:-7}", "7") for port in COMPOSE["services"]["network"]["ports"]}


def test_services_and_keys() -> None:
    assert set(COMPOSE["services"]) == {"network", *SERVERS}
    assert "version" not in COMPOSE
    assert not any("container_name" in service for service in COMPOSE["services"].values())


@pytest.mark.parametrize("server", SERVERS)
def test_server_keeps_its_data_in_its_own_volume_and_writes_nowhere_else(server: str) -> None:
    service = COMPOSE["services"][server]
    assert service["volumes"] == [f"{server}:/var/lib/dstore"]
    assert server in COMPOSE["volumes"]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]


@pytest.mark.parametrize("number", range(len(SERVERS)))
def test_ports_are_published_on_loopback_under_the_same_number(number: int) -> None:
    server, port, side_port = SERVERS[number], 7070 + number, 7170 + number
    assert option(server, "listen") == f"0.0.0.0:{port}"
    assert option(server, "http-listen") == f"0.0.0.0:{side_port}"
    assert {f"127.0.0.1:{port}:{port}", f"127.0.0.1:{side_port}:{side_port}"} <= published()
    probe = COMPOSE["services"][server]["healthcheck"]["test"][-1].replace("${DSTORE_PORT_PREFIX:-7}", "7")
    assert probe == f"http://127.0.0.1:{side_port}/readyz"


def test_nothing_else_is_published() -> None:
    assert all(port.startswith("127.0.0.1:") for port in published())
    assert len(published()) == 2 * len(SERVERS)


@pytest.mark.parametrize("server", SERVERS[1:])
def test_chunkserver_advertises_what_is_published(server: str) -> None:
    service = COMPOSE["services"][server]
    assert option(server, "advertise") == option(server, "listen").replace("0.0.0.0", "127.0.0.1")
    assert option(server, "master") == "127.0.0.1:7070"
    assert option(server, "name") == option(server, "host-label") == server
    assert service["network_mode"] == "service:network"
    assert service["depends_on"] == {"master": {"condition": "service_healthy"}}


def test_image_runs_the_command_itself_as_a_user_without_rights() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r'^ENTRYPOINT \["dstore"\]$', text, flags=re.MULTILINE)
    assert re.search(r"^USER 10001:10001$", text, flags=re.MULTILINE)
    assert text.count("--require-hashes") == 2
