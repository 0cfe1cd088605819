"""Key files as commands handle them: made once, shown by fingerprint only (Invariant 11)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dstore.core.errors import InvalidRequest, NotFound, PermissionDenied
from dstore.crypto.keyring import create_keyring, load_keyring
from dstore.system.directories import make_directory
from dstore.system.environment import SystemRandom

PASSPHRASE_SIZE_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file without its secrets.

    Attributes:
        fingerprint: of the active key, for people.
        key_ids: of all keys, the active one first, in hex.
        created: whether this command made it.
    """

    path: str
    fingerprint: str
    key_ids: tuple[str, ...]
    created: bool


def create_key_file(path: Path, passphrase: str | None) -> KeyFile:
    """Make a key file with one new key, and the directory that it is in.

    Raises:
        AlreadyExists: with reason KEY_FILE_EXISTS; a key file is never replaced.
        OSError: when the directory cannot be made.
    """
    # With the key, everything that was written would be lost.
    make_directory(path.parent)
    keyring = create_keyring(path, SystemRandom(), passphrase)
    return _describe(path, keyring.key_ids, created=True)


def show_key_file(path: Path, passphrase: str | None) -> KeyFile:
    """Read a key file and return what may be known of it.

    Raises:
        DstoreError: what ``load_keyring`` raises.
    """
    return _describe(path, load_keyring(path, passphrase).key_ids, created=False)


def keep_or_create_key_file(path: Path, passphrase: str | None) -> KeyFile | None:
    """Make the key file unless there is one; None when the one that is there needs a passphrase that is not given.

    Raises:
        DstoreError: when the file that is there cannot be used.
    """
    if not os.path.lexists(path):
        return create_key_file(path, passphrase)
    try:
        return show_key_file(path, passphrase)
    except PermissionDenied as error:
        if error.reason != "PASSPHRASE_REQUIRED":
            raise
        return None


def choose_passphrase(environ: Mapping[str, str], passphrase_file: Path | None) -> str | None:
    """Return the passphrase of the key file: from the argument, DSTORE_PASSPHRASE_FILE, or DSTORE_PASSPHRASE.

    None when there is none: key files of machines have no passphrase.

    Raises:
        DstoreError: what ``read_passphrase`` raises.
    """
    chosen = passphrase_file or environ.get("DSTORE_PASSPHRASE_FILE")
    return read_passphrase(Path(chosen)) if chosen else environ.get("DSTORE_PASSPHRASE") or None


def read_passphrase(path: Path) -> str:
    """Return the first line of a passphrase file, without its line end.

    Raises:
        NotFound: with reason PASSPHRASE_FILE_MISSING.
        InvalidRequest: with reason PASSPHRASE_INVALID when it is empty, too long or no text.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(PASSPHRASE_SIZE_BYTES_MAX + 2)
        passphrase = line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except FileNotFoundError:
        raise NotFound(
            f"There is no passphrase file at {path}; write the passphrase into it as one line, mode 600.",
            reason="PASSPHRASE_FILE_MISSING",
            metadata={"path": str(path)},
        ) from None
    except UnicodeDecodeError:
        passphrase = ""
    if not passphrase or len(line) > PASSPHRASE_SIZE_BYTES_MAX:
        raise InvalidRequest(
            f"The first line of {path} is no passphrase; write 1 to {PASSPHRASE_SIZE_BYTES_MAX} bytes of UTF-8.",
            reason="PASSPHRASE_INVALID",
            metadata={"path": str(path)},
        )
    return passphrase


def fingerprint(key_id: bytes) -> str:
    """Write the first four bytes of a key id, as errors about wrong keys do: ``7f3a91c2``."""
    return key_id[:4].hex()


def _describe(path: Path, key_ids: tuple[bytes, ...], *, created: bool) -> KeyFile:
    return KeyFile(
        path=str(path),
        fingerprint=fingerprint(key_ids[0]),
        key_ids=tuple(key_id.hex() for key_id in key_ids),
        created=created,
    )
