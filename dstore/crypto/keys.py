"""Key-encryption keys (KEK) and what they wrap: the data-encryption key (DEK) of each file version.

docs/format.md, sections "Key ids" and "Wrapped keys".
"""

from collections.abc import Sequence
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from dstore.core.errors import Corrupt, InvalidRequest, WrongKey
from dstore.core.files import WrappedKey
from dstore.core.ids import ClusterId, FileId
from dstore.crypto.derivation import (
    KEY_SIZE_BYTES,
    NONCE_SIZE_BYTES,
    TAG_SIZE_BYTES,
    bind_file,
    check_key_size,
    check_nonce_size,
    derive_key,
    length_prefixed,
)

KEY_ID_SIZE_BYTES = 8
#: Wrapped with AES-256-GCM-SIV under a symmetric KEK; other kinds of recipients are for later clients.
KIND_SYMMETRIC = 1
WRAPPED_DATA_SIZE_BYTES = NONCE_SIZE_BYTES + KEY_SIZE_BYTES + TAG_SIZE_BYTES
#: Ids that an error message lists before it says how many more there are.
_KEY_IDS_SHOWN_MAX = 4


class Kek:
    """A key-encryption key. Shows its id, never itself.

    Attributes:
        key_id: 8 bytes that name the key and disclose nothing of it.
    """

    __slots__ = ("_cipher", "_secret", "key_id")

    key_id: bytes

    def __init__(self, secret: bytes) -> None:
        """Take 32 random bytes.

        Raises:
            InvalidRequest: reason ``KEY_SIZE_INVALID``.
        """
        check_key_size(secret)
        self._secret = bytes(secret)
        self._cipher = AESGCMSIV(derive_key(secret, b"dstore/wrap/v1"))
        self.key_id = derive_key(secret, b"dstore/kek-id/v1", size_bytes=KEY_ID_SIZE_BYTES)

    def __repr__(self) -> str:
        return f"Kek({show_key_id(self.key_id)})"

    def __reduce__(self) -> NoReturn:
        raise _not_picklable("key")

    def reveal(self) -> bytes:
        """Return the secret, for writing a key file and for nothing else."""
        return self._secret

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Encrypt under the wrapping key that is derived from this one."""
        return self._cipher.encrypt(nonce, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Undo ``encrypt``; raises ``cryptography.exceptions.InvalidTag``."""
        return self._cipher.decrypt(nonce, data, associated_data)


class Keyring:
    """The keys that a client holds; the active one wraps what is written.

    Attributes:
        keys: each once, the active one first.
    """

    __slots__ = ("_by_id", "keys")

    keys: tuple[Kek, ...]

    def __init__(self, keys: Sequence[Kek]) -> None:
        """Hold at least one key; the first is the active one.

        Raises:
            InvalidRequest: reason ``KEYRING_INVALID``, when there is none or one is there twice.
        """
        self.keys = tuple(keys)
        self._by_id = {key.key_id: key for key in self.keys}
        if not self.keys or len(self._by_id) != len(self.keys):
            raise InvalidRequest(
                "A keyring needs at least one key, and each only once; check the list.",
                reason="KEYRING_INVALID",
            )

    def __repr__(self) -> str:
        return f"Keyring({', '.join(show_key_id(key_id) for key_id in self.key_ids)})"

    def __reduce__(self) -> NoReturn:
        raise _not_picklable("keyring")

    @property
    def active(self) -> Kek:
        """The key that wraps what is written."""
        return self.keys[0]

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The ids of all keys, the active one first."""
        return tuple(key.key_id for key in self.keys)

    def find(self, key_id: bytes) -> Kek | None:
        """Return the key with this id, or None."""
        return self._by_id.get(key_id)


def show_key_id(key_id: bytes) -> str:
    """Return the form of a key id for people: its first four bytes, as ``7f3a91c2…``."""
    return f"{key_id[:4].hex()}…"


def wrap_dek(kek: Kek, cluster_id: ClusterId, file_id: FileId, dek: bytes, nonce: bytes) -> WrappedKey:
    """Encrypt a DEK for the holders of ``kek``, bound to one file. ``nonce`` is 12 random bytes.

    Raises:
        InvalidRequest: reason ``KEY_SIZE_INVALID`` or ``NONCE_SIZE_INVALID``.
    """
    check_key_size(dek)
    check_nonce_size(nonce)
    sealed = kek.encrypt(nonce, dek, _binding(cluster_id, file_id, kek.key_id))
    return WrappedKey(KIND_SYMMETRIC, kek.key_id, nonce + sealed)


def unwrap_dek(
    keyring: Keyring, wrapped_keys: Sequence[WrappedKey], cluster_id: ClusterId, file_id: FileId, path: str
) -> bytes:
    """Return the DEK of a file; ``path`` is for the error only.

    The key is chosen by its id, and only one is tried: trying several on one ciphertext would tell an
    attacker which of them fit. Kinds of recipients that this program does not know are skipped.

    Raises:
        WrongKey: none of the wrapped keys is for this keyring.
        Corrupt: reason ``WRAPPED_KEY_CORRUPT``: the one for this keyring is damaged, altered or another
            file's.
    """
    for wrapped in wrapped_keys:
        kek = keyring.find(wrapped.key_id) if wrapped.kind == KIND_SYMMETRIC else None
        if kek is not None:
            return _unwrap(kek, wrapped, cluster_id, file_id, path)
    have = [key_id.hex() for key_id in keyring.key_ids]
    want = [wrapped.key_id.hex() for wrapped in wrapped_keys]
    raise WrongKey(
        f"Wrong key for {path}: this keyring has {_list_ids(have)}, the file wants {_list_ids(want)}; give "
        "the right key file with --key-file or DSTORE_KEY_FILE.",
        metadata={"path": path, "have": ",".join(have), "want": ",".join(want)},
    )


def _unwrap(kek: Kek, wrapped: WrappedKey, cluster_id: ClusterId, file_id: FileId, path: str) -> bytes:
    if len(wrapped.data) == WRAPPED_DATA_SIZE_BYTES:
        nonce, sealed = wrapped.data[:NONCE_SIZE_BYTES], wrapped.data[NONCE_SIZE_BYTES:]
        try:
            return kek.decrypt(nonce, sealed, _binding(cluster_id, file_id, kek.key_id))
        except InvalidTag:
            pass
    raise Corrupt(
        f"The wrapped key of {path} is damaged, was altered or belongs to another file; the metadata of the "
        "master cannot be trusted. Restore the file from another version or a backup.",
        reason="WRAPPED_KEY_CORRUPT",
        metadata={"path": path, "file_id": str(file_id), "key_id": kek.key_id.hex()},
    )


def _binding(cluster_id: ClusterId, file_id: FileId, key_id: bytes) -> bytes:
    return bind_file(b"dstore/dek/v1", cluster_id, file_id) + length_prefixed(key_id)


def _list_ids(key_ids: list[str]) -> str:
    shown = [f"{key_id[:8]}…" for key_id in key_ids[:_KEY_IDS_SHOWN_MAX]]
    if len(key_ids) > len(shown):
        shown.append(f"{len(key_ids) - len(shown)} more")
    return ", ".join(shown) or "none"


def _not_picklable(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"A {what} cannot be pickled or copied, because its secret would leave this process; load the key "
        "file again where it is needed.",
        reason="KEY_NOT_PICKLABLE",
    )
