"""Profiles: precedence, checks, and a writer whose output reads back."""

import stat
import tomllib
from pathlib import Path

import pytest

from dstore.client.profile import (
    Profile,
    check_endpoint,
    config_directory,
    resolve_profile,
    save_profile,
    state_directory,
)
from dstore.core.chunks import Durability
from dstore.core.errors import InvalidRequest, PermissionDenied
from dstore.core.ids import ClusterId
from dstore.core.local_reads import LocalReads

CLUSTER = ClusterId("6b1f8a52-0c3d-4e9f-8a7b-112233445566")
CONFIGURATION = f"""
default_profile = "dev"

[profiles.dev]
endpoint = "127.0.0.1:7070"
key_file = "/keys/dev.key"
cluster_id = "{CLUSTER}"

[profiles.far]
endpoint = "[::1]:7071"
"""


def environment(tmp_path: Path, text: str | None = CONFIGURATION, **more: str) -> dict[str, str]:
    if text is not None:
        (tmp_path / "config.toml").write_text(text)
    return {"DSTORE_CONFIG_DIR": str(tmp_path), **more}


class TestPrecedence:
    def test_the_default_profile(self, tmp_path: Path) -> None:
        assert resolve_profile(environment(tmp_path)) == Profile(
            "dev", "127.0.0.1:7070", Path("/keys/dev.key"), CLUSTER
        )

    @pytest.mark.parametrize(
        ("argument", "variable", "key", "expected"),
        [
            (None, None, None, LocalReads.OWN),
            (None, None, "any", LocalReads.ANY),
            (None, "off", "any", LocalReads.OFF),
            ("own", "off", "any", LocalReads.OWN),
        ],
    )
    def test_local_reads(
        self, tmp_path: Path, argument: str | None, variable: str | None, key: str | None, expected: LocalReads
    ) -> None:
        text = CONFIGURATION + (f'local_reads = "{key}"\n' if key else "")
        environ = environment(tmp_path, text, DSTORE_PROFILE="far", DSTORE_LOCAL_READS=variable or "")
        chosen = resolve_profile(environ, local_reads=argument)
        assert chosen.local_reads is expected
        save_profile(tmp_path, chosen)
        assert resolve_profile(environ, local_reads=argument) == chosen

    @pytest.mark.parametrize(
        ("argument", "variable", "key", "expected"),
        [
            (None, None, None, Durability.SYNCED),
            (None, None, "replicated", Durability.REPLICATED),
            (None, "synced", "replicated", Durability.SYNCED),
            ("replicated", "synced", "synced", Durability.REPLICATED),
        ],
    )
    def test_durability(
        self, tmp_path: Path, argument: str | None, variable: str | None, key: str | None, expected: Durability
    ) -> None:
        text = CONFIGURATION + (f'durability = "{key}"\n' if key else "")
        environ = environment(tmp_path, text, DSTORE_PROFILE="far", DSTORE_DURABILITY=variable or "")
        chosen = resolve_profile(environ, durability=argument)
        assert chosen.durability is expected
        save_profile(tmp_path, chosen)
        assert resolve_profile(environ, durability=argument) == chosen

    def test_a_durability_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="synced, replicated") as caught:
            resolve_profile(environment(tmp_path), durability="eventually")
        assert caught.value.reason == "DURABILITY_INVALID"

    def test_local_reads_that_are_none(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="off, own, any") as caught:
            resolve_profile(environment(tmp_path), local_reads="yes")
        assert caught.value.reason == "LOCAL_READS_INVALID"
        with pytest.raises(InvalidRequest, match=r"profiles\.far.*off, own, any") as caught:
            resolve_profile(environment(tmp_path, CONFIGURATION + 'local_reads = "yes"\n'))
        assert caught.value.reason == "PROFILE_INVALID"

    def test_arguments_before_environment_before_profile(self, tmp_path: Path) -> None:
        environ = environment(tmp_path, DSTORE_ENDPOINT="env:1", DSTORE_KEY_FILE="/keys/env.key")
        assert resolve_profile(environ, endpoint="arg:2", key_file="/keys/arg.key") == Profile(
            "dev", "arg:2", Path("/keys/arg.key"), None
        )
        assert resolve_profile(environ) == Profile("dev", "env:1", Path("/keys/env.key"), None)

    def test_profiles_by_name(self, tmp_path: Path) -> None:
        environ = environment(tmp_path, DSTORE_PROFILE="far")
        assert resolve_profile(environ) == Profile("far", "[::1]:7071", None, None)
        assert resolve_profile(environ, profile="dev").name == "dev"

    def test_the_cluster_stays_pinned_for_a_profile_that_was_asked_for(self, tmp_path: Path) -> None:
        environ = environment(tmp_path)
        assert resolve_profile(environ, profile="dev", endpoint="moved:1").cluster_id == CLUSTER
        assert resolve_profile(environ, endpoint="other:1").cluster_id is None

    def test_no_file_is_fine_when_the_endpoint_is_given(self, tmp_path: Path) -> None:
        environ = environment(tmp_path, None)
        assert resolve_profile(environ, endpoint="host:1") == Profile("", "host:1", None, None)

    def test_nothing_at_all_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="dstore up") as caught:
            resolve_profile(environment(tmp_path, None))
        assert caught.value.reason == "NO_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "config", "state"),
    [
        ({"DSTORE_CONFIG_DIR": "/c", "DSTORE_STATE_DIR": "/s", "HOME": "/h"}, "/c", "/s"),
        ({"XDG_CONFIG_HOME": "/xc", "XDG_STATE_HOME": "/xs", "HOME": "/h"}, "/xc/dstore", "/xs/dstore"),
        ({"HOME": "/h"}, "/h/.config/dstore", "/h/.local/state/dstore"),
        ({"DSTORE_CONFIG_DIR": "", "XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.config/dstore", "/h/.local/state/dstore"),
    ],
)
def test_directories(environ: dict[str, str], config: str, state: str) -> None:
    assert (config_directory(environ), state_directory(environ)) == (Path(config), Path(state))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('endpont = "x"', "no key 'endpont'; known are default_profile, profiles"),
        ('default_profle = "x"', "did you mean default_profile?"),
        ('[profiles.dev]\nendpiont = "h:1"', "no key 'endpiont' in [profiles.dev]; did you mean endpoint?"),
        ("[profiles.dev]\nendpoint = 7070", "endpoint in [profiles.dev] is not a text"),
        ('[profiles.dev]\nendpoint = "7070"', "not HOST:PORT"),
        ('[profiles.dev]\ncluster_id = "abc"', "not a lower-case uuid"),
        ('profiles = "dev"', "write [profiles.NAME]"),
        ("[profiles]\ndev = 3", "write [profiles.NAME]"),
        ("default_profile = 3", "default_profile is not a text"),
        ("default_profile = ", "it is not TOML"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve_profile(environment(tmp_path, text), endpoint="host:1")
    assert caught.value.reason == "PROFILE_INVALID"
    assert message in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match="not TOML"):
        resolve_profile(environment(tmp_path, None))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(PermissionDenied, match="DSTORE_CONFIG_DIR"):
        resolve_profile(environment(tmp_path, None))


def test_an_unknown_profile(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'dev'") as caught:
        resolve_profile(environment(tmp_path), profile="dve")
    assert caught.value.reason == "PROFILE_UNKNOWN"
    with pytest.raises(InvalidRequest, match="known are: dev, far"):
        resolve_profile(environment(tmp_path), profile="something")


@pytest.mark.parametrize("endpoint", ["h:1", "h:65535", "127.0.0.1:7070", "a-b.c_d:80", "[::1]:1", "[fe80::1%eth0]:1"])
def test_endpoints(endpoint: str) -> None:
    assert check_endpoint(endpoint) == endpoint


@pytest.mark.parametrize(
    "endpoint",
    ["", ":", "h", "h:", ":1", "h:0", "h:65536", "h:-1", "h:x", "h:1:2", "::1:80", "http://h:1", "h :1", "h:١"],
)
def test_no_endpoints(endpoint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_endpoint(endpoint)
    assert caught.value.reason == "ENDPOINT_INVALID"


class TestSaving:
    def test_reads_back_and_keeps_the_others(self, tmp_path: Path) -> None:
        directory = tmp_path / "deep" / "config"
        odd = Path('/keys/"quoted"\\ \t\x7fü\n.key')
        first = Profile("dev", "127.0.0.1:7070", odd, CLUSTER)
        second = Profile("other-1", "h:1", None, None)
        path = save_profile(directory, first)
        save_profile(directory, second)
        environ = {"DSTORE_CONFIG_DIR": str(directory)}
        assert resolve_profile(environ) == first
        assert resolve_profile(environ, profile="other-1") == second
        save_profile(directory, Profile("other-1", "h:2", None, None), make_default=True)
        assert resolve_profile(environ).endpoint == "h:2"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [entry.name for entry in directory.iterdir()] == ["config.toml"]
        assert set(tomllib.loads(path.read_text())["profiles"]) == {"dev", "other-1"}

    def test_the_whole_text(self, tmp_path: Path) -> None:
        path = save_profile(tmp_path, Profile("dev", "h:1", Path("/k"), CLUSTER))
        assert path.read_text() == (
            f'default_profile = "dev"\n\n[profiles.dev]\nendpoint = "h:1"\nkey_file = "/k"\ncluster_id = "{CLUSTER}"\n'
        )

    @pytest.mark.parametrize(
        "profile",
        [
            Profile("", "h:1", None, None),
            Profile("a.b", "h:1", None, None),
            Profile("a", "h", None, None),
            Profile("a", "h:1", None, ClusterId("no")),
        ],
    )
    def test_nothing_invalid_is_written(self, tmp_path: Path, profile: Profile) -> None:
        with pytest.raises(InvalidRequest):
            save_profile(tmp_path, profile)
        assert list(tmp_path.iterdir()) == []

    def test_a_broken_file_is_not_overwritten(self, tmp_path: Path) -> None:
        environment(tmp_path, "broken")
        with pytest.raises(InvalidRequest):
            save_profile(tmp_path, Profile("dev", "h:1", None, None))
        assert (tmp_path / "config.toml").read_text() == "broken"
