"""Key files on disk: private to their owner, written once, never replaced."""

import errno
import os
import stat

from dstore.core.environment import Random
from dstore.core.errors import (
    AlreadyExists,
    DstoreError,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    OutOfSpace,
    PermissionDenied,
)
from dstore.crypto.derivation import KEY_SIZE_BYTES
from dstore.crypto.keyring_format import (
    KEYRING_SIZE_BYTES_MAX,
    decode_keyring,
    encode_keyring,
    encode_protected_keyring,
)
from dstore.crypto.keys import Kek, Keyring

__all__ = [
    "Keyring",
    "create_keyring",
    "decode_keyring",
    "encode_keyring",
    "encode_protected_keyring",
    "load_keyring",
]


def load_keyring(path: str | os.PathLike[str], passphrase: str | None = None) -> Keyring:
    """Read a key file that only its owner can access.

    Raises:
        NotFound: reason ``KEY_FILE_MISSING``.
        PermissionDenied: reason ``KEY_FILE_EXPOSED`` when group or others may access it,
            ``KEY_FILE_UNREADABLE`` when this process may not, ``PASSPHRASE_REQUIRED`` when it is protected
            and no passphrase was given.
        InvalidRequest: reason ``KEY_FILE_INVALID``, when it is no key file.
        WrongKey: reason ``PASSPHRASE_WRONG``.
        LimitExceeded: reason ``PASSPHRASE_NEEDS_MEMORY``.
    """
    shown = os.fspath(path)
    try:
        # Not blocking: a pipe in the place of the file must not hang the client.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_private(descriptor, shown)
            encoded = _read(descriptor)
        finally:
            os.close(descriptor)
    except DstoreError:
        raise
    except FileNotFoundError:
        raise NotFound(
            f"There is no key file at {shown}; make one with `dstore key init`, or name another with "
            "--key-file or DSTORE_KEY_FILE.",
            reason="KEY_FILE_MISSING",
            metadata={"path": shown},
        ) from None
    except OSError as error:
        raise PermissionDenied(
            f"The key file {shown} cannot be read: {error.strerror}. Make it readable for your own user with "
            f"`chmod 600 {shown}`, or name another with --key-file or DSTORE_KEY_FILE.",
            reason="KEY_FILE_UNREADABLE",
            metadata={"path": shown},
        ) from error
    try:
        return decode_keyring(encoded, passphrase)
    except (InvalidRequest, LimitExceeded, PermissionDenied) as error:
        raise type(error)(
            f"{shown}: {error.message}", reason=error.reason, metadata={**error.metadata, "path": shown}
        ) from None


def create_keyring(path: str | os.PathLike[str], random: Random, passphrase: str | None = None) -> Keyring:
    """Write a key file with one new key, durably, and return the keyring. The directory must exist.

    Raises:
        AlreadyExists: reason ``KEY_FILE_EXISTS``: a key file is never replaced, for files may need its keys.
        NotFound: reason ``KEY_FILE_DIRECTORY_MISSING``.
        PermissionDenied: reason ``KEY_FILE_UNWRITABLE``.
        OutOfSpace: reason ``KEY_FILE_UNWRITABLE``; nothing is left behind.
        InvalidRequest: reason ``PASSPHRASE_INVALID``.
    """
    shown = os.fspath(path)
    keyring = Keyring([Kek(random.token_bytes(KEY_SIZE_BYTES))])
    try:
        _write_new(shown, _encode(keyring, random, passphrase))
    except FileExistsError:
        raise AlreadyExists(
            f"The key file {shown} exists and is not replaced, because files may need its keys; choose "
            "another place, or move it away.",
            reason="KEY_FILE_EXISTS",
            metadata={"path": shown},
        ) from None
    except FileNotFoundError:
        raise NotFound(
            f"The directory of the key file {shown} does not exist; make it with "
            f"`mkdir -p {os.path.dirname(shown) or '.'}`.",
            reason="KEY_FILE_DIRECTORY_MISSING",
            metadata={"path": shown},
        ) from None
    except OSError as error:
        kind = OutOfSpace if error.errno in (errno.ENOSPC, errno.EDQUOT) else PermissionDenied
        raise kind(
            f"The key file {shown} cannot be written: {error.strerror}. Choose another place.",
            reason="KEY_FILE_UNWRITABLE",
            metadata={"path": shown},
        ) from error
    return keyring


def _encode(keyring: Keyring, random: Random, passphrase: str | None) -> bytes:
    if passphrase is None:
        return encode_keyring(keyring)
    return encode_protected_keyring(keyring, passphrase, random)


def _check_private(descriptor: int, shown: str) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidRequest(
            f"{shown} is no regular file, so it is no key file; name one with --key-file or DSTORE_KEY_FILE.",
            reason="KEY_FILE_INVALID",
            metadata={"path": shown},
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise PermissionDenied(
            f"The key file {shown} is open to other users (mode {mode:04o}), so its keys may be known to them; "
            f"close it with `chmod 600 {shown}`, and make a new key if somebody may have read it.",
            reason="KEY_FILE_EXPOSED",
            metadata={"path": shown, "mode": f"{mode:04o}"},
        )


def _read(descriptor: int) -> bytes:
    """Return the content, or one byte more than a key file may have."""
    pieces: list[bytes] = []
    left = KEYRING_SIZE_BYTES_MAX + 1
    while left > 0 and (piece := os.read(descriptor, left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _write_new(path: str, encoded: bytes) -> None:
    """Create a private file; on failure it is gone again."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, 0o600)
            view = memoryview(encoded)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync_directory(os.path.dirname(path) or ".")
    except OSError:
        os.unlink(path)
        raise


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
