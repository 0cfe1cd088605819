"""Profiles: which cluster a user means, and with which key.

``config.toml`` in the configuration directory:

    default_profile = "dev"

    [profiles.dev]
    endpoint = "127.0.0.1:7070"
    key_file = "/home/me/.config/dstore/keys/dev.key"
    cluster_id = "6e7f…"
    local_reads = "own"

The environment is an argument, because only ``connect`` and the command line may read it.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dstore.core.chunks import Durability, parse_durability
from dstore.core.errors import DstoreError, InvalidRequest, NotFound, PermissionDenied
from dstore.core.ids import ClusterId, parse_uuid
from dstore.core.local_reads import LocalReads, parse_local_reads

_TOP_KEYS = ("default_profile", "profiles")
_PROFILE_KEYS = ("endpoint", "key_file", "cluster_id", "local_reads", "durability")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\]")


@dataclass(frozen=True, slots=True)
class Profile:
    """A cluster and the key to use with it.

    Attributes:
        name: empty when everything came from arguments or the environment.
        endpoint: host and port of the master.
        key_file: None when none is configured; listing and status need none.
        cluster_id: the only cluster that is accepted; None accepts any.
        local_reads: with which chunkservers on this machine open files are shared.
        durability: what an acknowledged write promises, unless a call says otherwise.
    """

    name: str
    endpoint: str
    key_file: Path | None
    cluster_id: ClusterId | None
    local_reads: LocalReads = LocalReads.OWN
    durability: Durability = Durability.SYNCED


def config_directory(environ: Mapping[str, str]) -> Path:
    """Return where ``config.toml`` and keys are: DSTORE_CONFIG_DIR, else below XDG_CONFIG_HOME or ~/.config."""
    return _directory(environ, "DSTORE_CONFIG_DIR", "XDG_CONFIG_HOME", ".config")


def state_directory(environ: Mapping[str, str]) -> Path:
    """Return where a client remembers what it saw: DSTORE_STATE_DIR, else below XDG_STATE_HOME or ~/.local/state."""
    return _directory(environ, "DSTORE_STATE_DIR", "XDG_STATE_HOME", ".local/state")


def _directory(environ: Mapping[str, str], own: str, xdg: str, home_relative: str) -> Path:
    if environ.get(own):
        return Path(environ[own])
    if environ.get(xdg):
        return Path(environ[xdg]) / "dstore"
    home = environ.get("HOME")
    base = Path(home) if home else Path.home()
    return base / home_relative / "dstore"


def resolve_profile(
    environ: Mapping[str, str],
    *,
    endpoint: str | None = None,
    profile: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
    local_reads: str | None = None,
    durability: str | None = None,
) -> Profile:
    """Return what arguments, environment and configuration file say together; the first of these wins.

    A profile's ``cluster_id`` counts when the profile was asked for by name or gave the endpoint: another endpoint
    may be another cluster.

    Raises:
        InvalidRequest: ``PROFILE_UNKNOWN``, ``PROFILE_INVALID``, ``ENDPOINT_INVALID``, ``NO_ENDPOINT``,
            ``LOCAL_READS_INVALID`` or ``DURABILITY_INVALID``.
        PermissionDenied: the configuration file cannot be read.
    """
    asked = profile or environ.get("DSTORE_PROFILE") or None
    name, table = profile_table(environ, profile)
    given_endpoint = endpoint or environ.get("DSTORE_ENDPOINT") or None
    chosen_endpoint = given_endpoint or table.get("endpoint")
    if chosen_endpoint is None:
        raise InvalidRequest(
            "No cluster is configured. Start one with `dstore up`, or name its master with --endpoint HOST:PORT "
            "or DSTORE_ENDPOINT.",
            reason="NO_ENDPOINT",
        )
    chosen_key_file = key_file or environ.get("DSTORE_KEY_FILE") or table.get("key_file")
    sharing = local_reads or environ.get("DSTORE_LOCAL_READS") or table.get("local_reads") or LocalReads.OWN.value
    promised = durability or environ.get("DSTORE_DURABILITY") or table.get("durability") or Durability.SYNCED.value
    pinned = table.get("cluster_id") if asked or not given_endpoint else None
    return Profile(
        name=name or "",
        endpoint=check_endpoint(chosen_endpoint),
        key_file=Path(chosen_key_file) if chosen_key_file else None,
        cluster_id=ClusterId(pinned) if pinned else None,
        local_reads=parse_local_reads(sharing, what="DSTORE_LOCAL_READS"),
        durability=parse_durability(promised, what="The durability"),
    )


def profile_table(environ: Mapping[str, str], profile: str | None = None) -> tuple[str | None, dict[str, str]]:
    """Return the profile that is meant, and what the configuration file says of it; None and nothing if there is none.

    Raises:
        DstoreError: as ``resolve_profile``, when the file cannot be used, or has no such profile.
    """
    path = config_directory(environ) / "config.toml"
    configuration = _load(path)
    name = profile or environ.get("DSTORE_PROFILE") or configuration.get("default_profile")
    return (None, {}) if name is None else (name, _find_profile(configuration, name, path))


def profile_names(environ: Mapping[str, str]) -> list[str]:
    """Return the names of all profiles of the configuration file, in order.

    Raises:
        DstoreError: as ``resolve_profile``, when the file cannot be used.
    """
    return sorted(_load(config_directory(environ) / "config.toml").get("profiles", {}))


def check_endpoint(endpoint: str) -> str:
    """Return ``endpoint`` if it is host and port.

    Raises:
        InvalidRequest: reason ``ENDPOINT_INVALID``.
    """
    host, colon, port = endpoint.rpartition(":")
    if not colon or not _HOST.fullmatch(host) or not (port.isascii() and port.isdigit()):
        raise _invalid_endpoint(endpoint, "it is not HOST:PORT")
    if not 1 <= int(port) <= 65_535:
        raise _invalid_endpoint(endpoint, f"the port {port} is not between 1 and 65535")
    return endpoint


def save_profile(directory: Path, profile: Profile, *, make_default: bool = False) -> Path:
    """Add or replace one profile in ``<directory>/config.toml``; others stay. Returns the file.

    The file is replaced in one step, and only its owner can read it. Comments in it are not kept.

    Raises:
        InvalidRequest: as ``resolve_profile``, when the present file or the profile is invalid.
        PermissionDenied: the file cannot be read or written.
    """
    path = directory / "config.toml"
    if not _BARE_KEY.fullmatch(profile.name):
        raise InvalidRequest(
            f"{profile.name!r} is no name for a profile; use letters, digits, '-' and '_'.", reason="PROFILE_INVALID"
        )
    configuration = _load(path)
    profiles = dict(configuration.get("profiles", {}))
    table = {"endpoint": check_endpoint(profile.endpoint)}
    if profile.key_file is not None:
        table["key_file"] = str(profile.key_file)
    if profile.cluster_id is not None:
        table["cluster_id"] = parse_uuid(profile.cluster_id, what="cluster id")
    if profile.local_reads is not LocalReads.OWN:
        table["local_reads"] = profile.local_reads.value
    if profile.durability is not Durability.SYNCED:
        table["durability"] = profile.durability.value
    profiles[profile.name] = table
    default = configuration.get("default_profile")
    if make_default or default is None:
        default = profile.name
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(path, _to_toml(default, profiles))
    except OSError as error:
        raise _unusable(path, "written", error) from error
    return path


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".config.toml.{os.getpid()}")
    try:
        with open(temporary, "x", encoding="utf-8", opener=_open_private) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _load(path: Path) -> dict[str, Any]:
    """Return the checked content of the configuration file; empty when there is none."""
    try:
        text = path.read_bytes().decode()
        configuration = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, "read", error) from error
    except (ValueError, RecursionError) as error:
        raise _invalid_file(path, f"it is not TOML: {error}") from error
    _check_keys(path, configuration, _TOP_KEYS, "")
    default = configuration.get("default_profile")
    if default is not None and not isinstance(default, str):
        raise _invalid_file(path, "default_profile is not a text")
    profiles = configuration.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise _invalid_file(path, "profiles is not a set of tables; write [profiles.NAME]")
    for name, table in profiles.items():
        _check_keys(path, table, _PROFILE_KEYS, f" in [profiles.{name}]")
        for key, value in table.items():
            if not isinstance(value, str):
                raise _invalid_file(path, f"{key} in [profiles.{name}] is not a text")
        _check_values(path, name, table)
    return configuration


def _check_keys(path: Path, table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
            raise _invalid_file(path, f"there is no key {key!r}{where}; {hint}", key=key)


def _check_values(path: Path, name: str, table: dict[str, str]) -> None:
    try:
        if "endpoint" in table:
            check_endpoint(table["endpoint"])
        if "cluster_id" in table:
            parse_uuid(table["cluster_id"], what="cluster id")
        if "local_reads" in table:
            parse_local_reads(table["local_reads"], what="local_reads")
        if "durability" in table:
            parse_durability(table["durability"], what="durability")
    except DstoreError as error:
        raise _invalid_file(path, f"[profiles.{name}]: {error.message}") from error


def _find_profile(configuration: dict[str, Any], name: str, path: Path) -> dict[str, str]:
    profiles: dict[str, dict[str, str]] = configuration.get("profiles", {})
    if name in profiles:
        return profiles[name]
    near = difflib.get_close_matches(name, profiles, n=1)
    known = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(profiles)) or 'none'}."
    raise InvalidRequest(
        f"There is no profile {name!r} in {path}; {known} `dstore up` makes one.",
        reason="PROFILE_UNKNOWN",
        metadata={"profile": name},
    )


def _to_toml(default: str | None, profiles: dict[str, dict[str, str]]) -> str:
    lines = [] if default is None else [f"default_profile = {_quote(default)}"]
    for name, table in sorted(profiles.items()):
        lines += ["", f"[profiles.{name if _BARE_KEY.fullmatch(name) else _quote(name)}]"]
        lines += [f"{key} = {_quote(table[key])}" for key in _PROFILE_KEYS if key in table]
    return "\n".join(lines).lstrip("\n") + "\n"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x20 or ord(c) == 0x7F else c for c in escaped) + '"'


def _invalid_endpoint(endpoint: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{endpoint[:200]!r} is no endpoint: {why}; write for example 127.0.0.1:7070.",
        reason="ENDPOINT_INVALID",
        metadata={"endpoint": endpoint[:200]},
    )


def _invalid_file(path: Path, why: str, *, key: str = "") -> InvalidRequest:
    return InvalidRequest(
        f"The configuration file {path} cannot be used: {why.rstrip('.')}{'' if why.endswith('?') else '.'}",
        reason="PROFILE_INVALID",
        metadata={"path": str(path)} | ({"key": key} if key else {}),
    )


def _unusable(path: Path, verb: str, error: OSError) -> DstoreError:
    kind = NotFound if isinstance(error, FileNotFoundError) else PermissionDenied
    return kind(
        f"The configuration file {path} cannot be {verb}: {error.strerror or error}; check its owner and mode, or "
        "set DSTORE_CONFIG_DIR.",
        reason="CONFIGURATION_UNUSABLE",
        metadata={"path": str(path)},
    )
