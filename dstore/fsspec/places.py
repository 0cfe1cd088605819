"""Which cluster and which key a filesystem means, so that two that mean different ones are never taken for one.

fsspec gives the same object to all who ask with the same arguments. But what arguments mean depends on the
environment and on files: that is looked up first, and counts as well. It is not part of what is pickled: another
process looks it up anew, with the same arguments. Keys are named, never carried.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fsspec.config import apply_config
from fsspec.spec import _Cached

from dstore.client.profile import Profile, resolve_profile
from dstore.core.errors import InvalidRequest

#: Arguments that name a cluster and a key; each is the name of an environment variable of fsspec as well, for example
#: ``FSSPEC_DSTORE_ENDPOINT``.
PLACE_OPTIONS = ("endpoint", "profile", "key_file", "local_reads", "durability")

#: What fsspec itself takes, besides the arguments of ``DstoreFileSystem``.
_FSSPEC_OPTIONS = ("listings_expiry_time", "max_paths", "add_docs", "add_aliases")
_SECRET_WORDS = ("secret", "password", "passphrase", "key", "keyring", "token")


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster and a key.

    Attributes:
        key_file_state: tells a key file from another one that is at the same path later; None when there is none.
    """

    profile: Profile
    key_file_state: tuple[int, ...] | None


def find_place(environ: Mapping[str, str], options: Mapping[str, Any]) -> Place:
    """Return what the arguments of a filesystem mean now.

    Raises:
        InvalidRequest: as ``resolve_profile``, and reason ``OPTION_INVALID``, when one is no text.
        PermissionDenied: the configuration file cannot be read.
    """
    names = {name: options[name] for name in PLACE_OPTIONS if options.get(name) is not None}
    for name, value in names.items():
        if not isinstance(value, str | os.PathLike):
            raise InvalidRequest(
                f"The option {name!r} of dstore:// is the name of something, as text, not {type(value).__name__}. Keys "
                "are never passed themselves: name their file.",
                reason="OPTION_INVALID",
            )
    profile = resolve_profile(environ, **names)
    return Place(profile, _file_state(profile))


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse arguments that mean nothing, and above all keys, which would travel wherever the filesystem is sent.

    Raises:
        InvalidRequest: reason ``OPTION_INVALID``.
    """
    for name in options:
        if name in _FSSPEC_OPTIONS:
            continue
        if any(word in name.lower() for word in _SECRET_WORDS):
            why = (
                "keys and secrets are never passed as options, which are pickled and logged; name a key_file or profile"
            )
        else:
            near = difflib.get_close_matches(name, PLACE_OPTIONS, n=1)
            why = f"did you mean {near[0]}?" if near else f"there are {', '.join(PLACE_OPTIONS)}"
        raise InvalidRequest(f"dstore:// has no option {name!r:.100}: {why}", reason="OPTION_INVALID")


def _file_state(profile: Profile) -> tuple[int, ...] | None:
    if profile.key_file is None:
        return None
    try:
        status = profile.key_file.expanduser().stat()
    except OSError:
        # Names can be listed without a key; whoever needs it hears what is wrong with it.
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class PlacedFileSystemType(_Cached):
    """Gives out one filesystem for each place and each set of arguments."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the filesystem for these arguments, an old one or a new one."""
        options = apply_config(cls, kwargs)
        filesystem = super().__call__(*args, **options, place=find_place(os.environ, options))
        filesystem.storage_options.pop("place", None)
        return filesystem
