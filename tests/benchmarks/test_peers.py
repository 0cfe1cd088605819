import sys
from pathlib import Path

import pytest

from benchmarks.systems import ceph, seaweedfs


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    monkeypatch.setattr(seaweedfs, "program", lambda: "weed")
    addresses = seaweedfs.Addresses("127.0.0.1:1", "127.0.0.1:2", ("127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5"))
    return seaweedfs.server_commands(Path("/data"), addresses)


def test_seaweedfs_keeps_three_copies_on_three_servers(commands: dict[str, list[str]]) -> None:
    assert list(commands) == ["master", "volume-1", "volume-2", "volume-3", "filer"]
    assert "-defaultReplication=002" in commands["master"]
    assert len({option for command in commands.values() for option in command if option.startswith("-dir=")}) == 3


def test_seaweedfs_listens_on_loopback_and_reports_to_nobody(commands: dict[str, list[str]]) -> None:
    for command in commands.values():
        assert {"-ip=127.0.0.1", "-ip.bind=127.0.0.1"} <= set(command)
    assert "-telemetry=false" in commands["master"]


def test_ceph_listens_on_loopback_and_keeps_three_copies() -> None:
    text = ceph.configuration(Path("/data"), "an id", (3300, 6789))
    assert "mon host = [v2:127.0.0.1:3300,v1:127.0.0.1:6789]" in text
    assert "public addr = 127.0.0.1" in text
    assert "osd pool default size = 3" in text


def test_a_peer_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(RuntimeError, match="make bench"):
        seaweedfs.program()
    with pytest.raises(RuntimeError, match="install ceph-mon ceph-mgr ceph-osd"):
        ceph.check_installed()
