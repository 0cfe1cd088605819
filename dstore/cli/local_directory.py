"""Where a cluster on this machine keeps its data, and how later commands know it.

``dstore up --dir`` writes the directory into ``local/<profile>.json`` in the configuration directory, so that
``dstore down`` or ``dstore node kill cs-2`` need no option.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from dstore.client.profile import config_directory
from dstore.core.errors import InvalidRequest

PROFILE_DEFAULT = "dev"
_PROFILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def profile_name(environ: Mapping[str, str], profile: str | None) -> str:
    """Return the profile of a cluster on this machine: the argument, DSTORE_PROFILE, or "dev".

    Raises:
        InvalidRequest: with reason PROFILE_INVALID; the name becomes part of file names.
    """
    name = profile or environ.get("DSTORE_PROFILE") or PROFILE_DEFAULT
    if _PROFILE_NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{name!r} is no name for a profile; use up to 64 letters, digits, '-' and '_'.",
            reason="PROFILE_INVALID",
            metadata={"profile": name},
        )
    return name


def key_path(environ: Mapping[str, str], profile: str) -> Path:
    """Return where the key of a profile is unless the user says otherwise."""
    return (config_directory(environ) / "keys" / f"{profile}.key").absolute()


def default_directory(environ: Mapping[str, str]) -> Path:
    """Return the place for data below XDG_DATA_HOME, or ~/.local/share."""
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "dstore"


def find_directory(environ: Mapping[str, str], directory: Path | None, profile: str) -> Path:
    """Return the directory of the cluster: the argument, the one that ``dstore up`` noted, or the default."""
    if directory is not None:
        return directory.absolute()
    try:
        noted = json.loads(_note_path(environ, profile).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        noted = None
    if isinstance(noted, dict) and isinstance(noted.get("directory"), str):
        return Path(noted["directory"])
    return default_directory(environ).absolute()


def note_directory(environ: Mapping[str, str], directory: Path, profile: str) -> None:
    """Remember the directory of a profile's cluster.

    Raises:
        OSError: when the configuration directory cannot be written.
    """
    path = _note_path(environ, profile)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(json.dumps({"directory": str(directory)}) + "\n", encoding="utf-8")


def _note_path(environ: Mapping[str, str], profile: str) -> Path:
    return config_directory(environ) / "local" / f"{profile}.json"
