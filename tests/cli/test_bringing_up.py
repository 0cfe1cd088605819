"""What `dstore up` checks before it starts anything."""

import importlib.util
import random
from dataclasses import replace
from pathlib import Path

import pytest

from dstore.cli.app import main
from dstore.cli.bringing_up import profile_line
from dstore.cli.extras import check_server_extra
from dstore.cli.key_files import (
    choose_passphrase,
    create_key_file,
    keep_or_create_key_file,
    read_passphrase,
    show_key_file,
)
from dstore.cli.ports import is_taken, plan_ports
from dstore.client.profile import Profile
from dstore.core.errors import InvalidRequest, NotFound
from dstore.core.ids import ClusterId


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DSTORE_ENDPOINT", "DSTORE_KEY_FILE", "DSTORE_PROFILE", "DSTORE_PASSPHRASE", "DSTORE_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DSTORE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def free_block() -> int:
    """Return a port P such that all ports of `dstore up --port P` are free now."""
    while True:
        port = random.randrange(15_000, 30_000)
        if not any(is_taken(taken) for plan in plan_ports(port, 3) for taken in (plan.port, plan.http_port)):
            return port


def test_missing_server_parts_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    check_server_extra()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "apsw" else find_spec(name))
    with pytest.raises(InvalidRequest, match=r"\(apsw missing\).*pip install 'dstore\[all\]'") as caught:
        check_server_extra()
    assert caught.value.reason == "SERVER_EXTRA_MISSING"


def test_a_profile_of_a_remote_cluster_is_never_overwritten(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = home / "config" / "config.toml"
    configuration.parent.mkdir()
    text = '[profiles.dev]\nendpoint = "store.example.org:7070"\n'
    configuration.write_text(text)
    assert main(["up"]) == 11
    assert "PROFILE_OF_REMOTE_CLUSTER" in capsys.readouterr().err
    assert configuration.read_text() == text
    assert not (home / "data").exists()


def test_a_key_file_that_is_unusable_stops_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = home / "config" / "keys" / "dev.key"
    key.parent.mkdir(parents=True)
    key.write_text("no key")
    key.chmod(0o600)
    assert main(["up", "--port", str(free_block())]) == 2
    assert "KEY_FILE_INVALID" in capsys.readouterr().err
    assert key.read_text() == "no key"
    assert not (home / "data" / "dstore" / "cluster.json").exists()


def test_what_cannot_be_started_leaves_no_key(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--chunkservers", "0"]) == 2
    assert "CHUNKSERVERS_INVALID" in capsys.readouterr().err
    assert not (home / "config").exists()


PROFILE = Profile("dev", "127.0.0.1:7070", Path("/key"), ClusterId("11111111-1111-4111-8111-111111111111"))
MOVED = replace(PROFILE, endpoint="127.0.0.1:8080")
OTHER = replace(MOVED, cluster_id=ClusterId("22222222-2222-4222-8222-222222222222"))


@pytest.mark.parametrize(
    ("known", "saved", "words"),
    [
        (None, PROFILE, "written   dev"),
        (PROFILE, None, "kept      dev"),
        (PROFILE, MOVED, "written   dev"),
        (replace(PROFILE, cluster_id=None), OTHER, "written   dev"),
        (PROFILE, OTHER, "changed   dev   (it was for the cluster at 127.0.0.1:7070; --profile keeps several)"),
    ],
)
def test_a_profile_that_leaves_another_cluster_says_so(
    known: Profile | None, saved: Profile | None, words: str
) -> None:
    assert profile_line("dev", known, saved) == words


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "dev.key"
    made = keep_or_create_key_file(path, None)
    assert made is not None
    assert made.created
    kept = keep_or_create_key_file(path, None)
    assert kept is not None
    assert not kept.created
    assert kept.key_ids == made.key_ids
    assert made.key_ids[0].startswith(made.fingerprint)


def test_a_key_behind_a_passphrase_is_kept_unseen(tmp_path: Path) -> None:
    path = tmp_path / "dev.key"
    made = create_key_file(path, "correct horse")
    assert keep_or_create_key_file(path, None) is None
    assert show_key_file(path, "correct horse").key_ids == made.key_ids


@pytest.mark.parametrize(
    ("data", "passphrase"),
    [
        (b"word", "word"),
        (b"word\n", "word"),
        (b"word\r\nmore\n", "word"),
        (b" spaces stay \n", " spaces stay "),
        (b"x" * 1024, "x" * 1024),
    ],
)
def test_passphrases(tmp_path: Path, data: bytes, passphrase: str) -> None:
    (tmp_path / "file").write_bytes(data)
    assert read_passphrase(tmp_path / "file") == passphrase


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\n", b"x" * 1025, b"x" * 5000])
def test_what_is_no_passphrase(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        read_passphrase(tmp_path / "file")
    assert caught.value.reason == "PASSPHRASE_INVALID"


def test_where_a_passphrase_comes_from(tmp_path: Path) -> None:
    given, noted = tmp_path / "given", tmp_path / "noted"
    given.write_text("given")
    noted.write_text("noted")
    environ = {"DSTORE_PASSPHRASE_FILE": str(noted), "DSTORE_PASSPHRASE": "plain"}
    assert choose_passphrase(environ, given) == "given"
    assert choose_passphrase(environ, None) == "noted"
    assert choose_passphrase({"DSTORE_PASSPHRASE": "plain"}, None) == "plain"
    assert choose_passphrase({}, None) is None
    with pytest.raises(NotFound):
        choose_passphrase({}, tmp_path / "missing")
