"""``dstore config show``: the settings in force, and which option, variable or file each comes from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dstore.cli.exit_codes import ExitCode
from dstore.cli.local_directory import find_directory, profile_name
from dstore.cli.output import Output
from dstore.cli.target import Target
from dstore.client.profile import config_directory, profile_table, state_directory
from dstore.core.chunks import Durability
from dstore.core.local_reads import LocalReads
from dstore.core.text import printable

_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        value: None when it is not set, and has no default.
        origin: an option, a variable, a profile with its file, or ``default``; empty when it is not set.
    """

    name: str
    value: str | None
    origin: str


def show(target: Target, *, with_origin: bool) -> int:
    """Show each setting."""
    output = Output(as_json=target.as_json)
    found = settings_of(os.environ, endpoint=target.endpoint, profile=target.profile, key_file=target.key_file)
    for each in found:
        origin = f"  ({printable(each.origin)})" if with_origin and each.origin else ""
        value = "not set" if each.value is None else printable(each.value)
        output.result(each, f"  {each.name + ':':<18} {value}{origin}")
    return ExitCode.OK


def settings_of(
    environ: Mapping[str, str], *, endpoint: str | None, profile: str | None, key_file: Path | None
) -> list[Setting]:
    """Return all settings, found in the order in which ``resolve_profile`` looks for them.

    Raises:
        DstoreError: the configuration file, or the name of the profile, cannot be used.
    """
    file = config_directory(environ) / "config.toml"
    name, table = profile_table(environ, profile)
    in_profile = f"[profiles.{name}] in {file}"

    def find(key: str, option: str, given: str | None, variable: str, default: str | None) -> Setting:
        if given:
            return Setting(key, given, option)
        if variable and environ.get(variable):
            return Setting(key, environ[variable], variable)
        if key in table:
            return Setting(key, table[key], in_profile)
        return Setting(key, default, "" if default is None else _DEFAULT)

    if profile or environ.get("DSTORE_PROFILE"):
        profile_origin = "--profile" if profile else "DSTORE_PROFILE"
    else:
        profile_origin = f"default_profile in {file}" if name else ""
    reached = find("endpoint", "--endpoint", endpoint, "DSTORE_ENDPOINT", None)
    # The cluster of a profile counts with the endpoint of that profile, or when the profile was asked for.
    is_pinned = profile_origin in ("--profile", "DSTORE_PROFILE") or reached.origin == in_profile
    pinned = find("cluster_id", "", None, "", None)
    return [
        _file_setting("config_file", file, environ, "DSTORE_CONFIG_DIR", "XDG_CONFIG_HOME"),
        Setting("profile", name, profile_origin),
        reached,
        pinned if is_pinned else Setting("cluster_id", None, ""),
        find("key_file", "--key-file", None if key_file is None else str(key_file), "DSTORE_KEY_FILE", None),
        _passphrase(environ),
        find("local_reads", "", None, "DSTORE_LOCAL_READS", LocalReads.OWN.value),
        find("durability", "", None, "DSTORE_DURABILITY", Durability.SYNCED.value),
        _file_setting("state_directory", state_directory(environ), environ, "DSTORE_STATE_DIR", "XDG_STATE_HOME"),
        _cluster_directory(environ, profile),
    ]


def _file_setting(name: str, path: Path, environ: Mapping[str, str], *variables: str) -> Setting:
    origin = next((variable for variable in variables if environ.get(variable)), _DEFAULT)
    return Setting(name, str(path), origin)


def _passphrase(environ: Mapping[str, str]) -> Setting:
    """Return where the passphrase comes from; itself it is shown nowhere (Invariant 11)."""
    for variable in ("DSTORE_PASSPHRASE_FILE", "DSTORE_PASSPHRASE"):
        if environ.get(variable):
            value = environ[variable] if variable.endswith("FILE") else "set, and not shown"
            return Setting("passphrase", value, variable)
    return Setting("passphrase", None, "")


def _cluster_directory(environ: Mapping[str, str], profile: str | None) -> Setting:
    name = profile_name(environ, profile)
    unnoted = find_directory(environ, None, "")
    noted = find_directory(environ, None, name)
    if noted != unnoted:
        return Setting("directory", str(noted), f"`dstore up` of the profile {name}")
    return Setting("directory", str(noted), "XDG_DATA_HOME" if environ.get("XDG_DATA_HOME") else _DEFAULT)
