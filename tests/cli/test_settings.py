"""Where settings come from; it must agree with what a client really uses."""

import json
from pathlib import Path

import pytest

from dstore.cli.app import main
from dstore.cli.settings import Setting, settings_of
from dstore.client.profile import resolve_profile
from dstore.core.errors import InvalidRequest

CONFIGURATION = """\
default_profile = "dev"
[profiles.dev]
endpoint = "dev:1"
key_file = "/dev.key"
cluster_id = "6b1f8a52-0c3d-4e9f-8a7b-112233445566"
[profiles.other]
endpoint = "other:1"
durability = "replicated"
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config.toml").write_text(CONFIGURATION)
    return {"DSTORE_CONFIG_DIR": str(tmp_path), "HOME": "/home/me"}


def found(
    environ: dict[str, str], *, endpoint: str | None = None, profile: str | None = None, key_file: Path | None = None
) -> dict[str, Setting]:
    return {each.name: each for each in settings_of(environ, endpoint=endpoint, profile=profile, key_file=key_file)}


def test_origins(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    settings = found(environ)
    assert settings["config_file"] == Setting("config_file", str(file), "DSTORE_CONFIG_DIR")
    assert settings["profile"] == Setting("profile", "dev", f"default_profile in {file}")
    assert settings["endpoint"] == Setting("endpoint", "dev:1", f"[profiles.dev] in {file}")
    assert settings["durability"] == Setting("durability", "synced", "default")
    assert settings["passphrase"] == Setting("passphrase", None, "")
    environ |= {"DSTORE_ENDPOINT": "variable:1", "DSTORE_KEY_FILE": "/variable.key", "DSTORE_PASSPHRASE": "hidden"}
    settings = found(environ, endpoint="option:1", profile="other")
    assert settings["profile"].origin == "--profile"
    assert settings["endpoint"] == Setting("endpoint", "option:1", "--endpoint")
    assert settings["key_file"] == Setting("key_file", "/variable.key", "DSTORE_KEY_FILE")
    assert settings["durability"] == Setting("durability", "replicated", f"[profiles.other] in {file}")
    assert settings["passphrase"].origin == "DSTORE_PASSPHRASE"
    assert "hidden" not in str(settings)


@pytest.mark.parametrize("endpoint", [None, "option:1"])
@pytest.mark.parametrize("profile", [None, "dev", "other"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DSTORE_PROFILE": "other"},
        {"DSTORE_ENDPOINT": "variable:1"},
        {"DSTORE_KEY_FILE": "/k", "DSTORE_LOCAL_READS": "off", "DSTORE_DURABILITY": "replicated"},
    ],
)
def test_it_agrees_with_the_client(
    environ: dict[str, str], variables: dict[str, str], profile: str | None, endpoint: str | None
) -> None:
    environ |= variables
    settings = found(environ, endpoint=endpoint, profile=profile)
    used = resolve_profile(environ, endpoint=endpoint, profile=profile)
    assert settings["profile"].value == used.name
    assert settings["endpoint"].value == used.endpoint
    assert settings["cluster_id"].value == used.cluster_id
    assert settings["key_file"].value == (None if used.key_file is None else str(used.key_file))
    assert settings["local_reads"].value == used.local_reads.value
    assert settings["durability"].value == used.durability.value


def test_nothing_is_configured(tmp_path: Path) -> None:
    settings = found({"DSTORE_CONFIG_DIR": str(tmp_path), "XDG_DATA_HOME": "/data", "XDG_STATE_HOME": "/state"})
    assert {name for name, each in settings.items() if each.value is None} == {
        "profile",
        "endpoint",
        "cluster_id",
        "key_file",
        "passphrase",
    }
    assert settings["directory"] == Setting("directory", "/data/dstore", "XDG_DATA_HOME")
    assert settings["state_directory"] == Setting("state_directory", "/state/dstore", "XDG_STATE_HOME")
    with pytest.raises(InvalidRequest):
        found({"DSTORE_CONFIG_DIR": str(tmp_path)}, profile="unknown")


def test_the_command(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DSTORE_ENDPOINT", raising=False)
    monkeypatch.delenv("DSTORE_PROFILE", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(["config", "show"]) == 0
    assert "  endpoint:          dev:1\n" in capsys.readouterr().out
    assert main(["config", "show", "--origin", "--endpoint", "o:1"]) == 0
    assert "  endpoint:          o:1  (--endpoint)\n" in capsys.readouterr().out
    assert main(["config", "show", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"name": "durability", "value": "synced", "origin": "default"} in rows
