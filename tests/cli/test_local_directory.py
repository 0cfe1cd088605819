"""Which directory, profile and key a command means: argument, then environment, then what was noted, then default."""

from pathlib import Path

import pytest

from dstore.cli.local_directory import (
    default_directory,
    find_directory,
    key_path,
    note_directory,
    profile_name,
)
from dstore.core.errors import InvalidRequest


@pytest.mark.parametrize(
    ("environ", "argument", "name"),
    [
        ({}, None, "dev"),
        ({"DSTORE_PROFILE": ""}, None, "dev"),
        ({"DSTORE_PROFILE": "lab"}, None, "lab"),
        ({"DSTORE_PROFILE": "lab"}, "home", "home"),
    ],
)
def test_profile(environ: dict[str, str], argument: str | None, name: str) -> None:
    assert profile_name(environ, argument) == name


@pytest.mark.parametrize("name", ["../up", "a b", ".", "a/b", "x" * 65, "é"])
def test_a_profile_that_is_no_file_name(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        profile_name({}, name)
    assert caught.value.reason == "PROFILE_INVALID"


def test_key(tmp_path: Path) -> None:
    assert key_path({"DSTORE_CONFIG_DIR": str(tmp_path)}, "lab") == tmp_path / "keys" / "lab.key"
    assert key_path({"XDG_CONFIG_HOME": "/x"}, "dev") == Path("/x/dstore/keys/dev.key")
    assert key_path({"DSTORE_CONFIG_DIR": "relative"}, "dev").is_absolute()


def test_default_directory() -> None:
    assert default_directory({"XDG_DATA_HOME": "/data"}) == Path("/data/dstore")
    assert default_directory({}) == Path.home() / ".local/share/dstore"


def test_argument_before_note_before_default(tmp_path: Path) -> None:
    environ = {"DSTORE_CONFIG_DIR": str(tmp_path / "config"), "XDG_DATA_HOME": "/data"}
    assert find_directory(environ, None, "dev") == Path("/data/dstore")
    note_directory(environ, Path("/noted"), "dev")
    assert find_directory(environ, None, "dev") == Path("/noted")
    assert find_directory(environ, None, "lab") == Path("/data/dstore")
    assert find_directory(environ, Path("/given"), "dev") == Path("/given")
    assert find_directory(environ, Path("relative"), "dev") == Path.cwd() / "relative"


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"directory": 1}'])
def test_a_damaged_note_counts_as_none(tmp_path: Path, note: str) -> None:
    environ = {"DSTORE_CONFIG_DIR": str(tmp_path), "XDG_DATA_HOME": "/data"}
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "dev.json").write_text(note)
    assert find_directory(environ, None, "dev") == Path("/data/dstore")
