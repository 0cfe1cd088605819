"""The text of a key file: keys in clear or sealed under a passphrase; docs/format.md, "Keyring file"."""

import base64
import binascii
import contextlib
import hmac
import struct
import tomllib
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from dstore.core.environment import Random
from dstore.core.errors import InvalidRequest, LimitExceeded, PermissionDenied, WrongKey
from dstore.crypto.derivation import (
    KEY_SIZE_BYTES,
    NONCE_SIZE_BYTES,
    TAG_SIZE_BYTES,
    derive_key,
    length_prefixed,
)
from dstore.crypto.keys import Kek, Keyring

MAGIC_LINE = "# dstore keyring v1"
KEYRING_SIZE_BYTES_MAX = 64 * 1024
#: The sealed keys of a full keyring take less. A TOML key of as many dots as the file has bytes takes 13 s to parse.
KEYRING_LINE_SIZE_BYTES_MAX = 4 * 1024
#: Keys of one keyring: the active one and those that older files still need.
KEYRING_KEYS_MAX = 64

SALT_SIZE_BYTES = 16
#: The second recommendation of RFC 9106, section 4, which fits beside a client's buffers. Also the least that
# is  accepted, so that nobody who can write the file can make guessing cheap.
ITERATIONS = 3
LANES = 4
MEMORY_KIB = 64 * 1024
#: More would only serve to stop the program by exhausting its host.
ITERATIONS_MAX = 64
LANES_MAX = 64
MEMORY_KIB_MAX = 4 * 1024 * 1024

_WARNING = (
    "# Keep this file secret, and keep a copy in a safe place: whoever has it can read the files\n"
    "# that were written with it, and without it nobody can.\n"
)


@dataclass(frozen=True, slots=True)
class _Hardening:
    """How the passphrase is turned into a key; every field is authenticated with the sealed keys."""

    iterations: int
    lanes: int
    memory_kib: int
    salt: bytes

    def binding(self) -> bytes:
        numbers = struct.pack(">III", self.iterations, self.lanes, self.memory_kib)
        return length_prefixed(b"dstore/keyring/v1", numbers, self.salt)


def encode_keyring(keyring: Keyring) -> bytes:
    """Return a key file with the keys in clear, for machines; its protection is the mode of the file."""
    lines = [f"{MAGIC_LINE}\n{_WARNING}protection = 'none'\nactive = '{keyring.active.key_id.hex()}'\n"]
    lines += [
        f"\n[[keys]]\nid = '{key.key_id.hex()}'\nsecret = '{base64.b64encode(key.reveal()).decode()}'\n"
        for key in keyring.keys
    ]
    return "".join(lines).encode()


def encode_protected_keyring(keyring: Keyring, passphrase: str, random: Random) -> bytes:
    """Return a key file whose keys are sealed under a passphrase.

    Raises:
        InvalidRequest: reason ``PASSPHRASE_INVALID``, when it is empty or not text.
    """
    hardening = _Hardening(ITERATIONS, LANES, MEMORY_KIB, random.token_bytes(SALT_SIZE_BYTES))
    key, check = _harden(passphrase, hardening)
    nonce = random.token_bytes(NONCE_SIZE_BYTES)
    secrets = b"".join(kek.reveal() for kek in keyring.keys)
    sealed = AESGCMSIV(key).encrypt(nonce, secrets, hardening.binding())
    fields = (("salt", hardening.salt), ("check", check), ("data", nonce + sealed))
    encoded = "".join(f"{name} = '{base64.b64encode(value).decode()}'\n" for name, value in fields)
    return (
        f"{MAGIC_LINE}\n{_WARNING}protection = 'passphrase'\niterations = {ITERATIONS}\nlanes = {LANES}\n"
        f"memory_kib = {MEMORY_KIB}\n{encoded}"
    ).encode()


def decode_keyring(encoded: bytes, passphrase: str | None = None) -> Keyring:
    """Read a key file of either protection; ``passphrase`` is ignored when the keys are in clear.

    Raises:
        InvalidRequest: reason ``KEY_FILE_INVALID`` or ``PASSPHRASE_INVALID``.
        PermissionDenied: reason ``PASSPHRASE_REQUIRED``.
        WrongKey: reason ``PASSPHRASE_WRONG``.
        LimitExceeded: reason ``PASSPHRASE_NEEDS_MEMORY``.
    """
    table = _parse(encoded)
    protection = table.pop("protection", None)
    if protection == "none":
        return _decode_clear(table)
    if protection == "passphrase":
        return _decode_protected(table, passphrase)
    _refuse("its protection is neither 'none' nor 'passphrase'")


def _parse(encoded: bytes) -> dict[str, object]:
    if len(encoded) > KEYRING_SIZE_BYTES_MAX:
        _refuse(f"it has more than {KEYRING_SIZE_BYTES_MAX} bytes")
    if encoded.split(b"\n", 1)[0].rstrip(b"\r") != MAGIC_LINE.encode():
        _refuse(f"its first line is not {MAGIC_LINE!r}")
    if max(map(len, encoded.split(b"\n"))) > KEYRING_LINE_SIZE_BYTES_MAX:
        _refuse(f"it has a line of more than {KEYRING_LINE_SIZE_BYTES_MAX} bytes")
    table: dict[str, object] | None = None
    # These errors hold the text of the file, so they must not become the context of the one that is raised. Besides
    # its own, which are ``ValueError``, the parser lets those of deep nesting through, and of long numbers.
    with contextlib.suppress(ValueError, RecursionError):
        table = tomllib.loads(encoded.decode())
    if table is None:
        _refuse("it is not TOML in UTF-8")
    return table


def _decode_clear(table: dict[str, object]) -> Keyring:
    entries = table.get("keys")
    if set(table) != {"active", "keys"} or not isinstance(entries, list):
        _refuse("it must have protection, active and [[keys]], and nothing else")
    if not 1 <= len(entries) <= KEYRING_KEYS_MAX:
        _refuse(f"it has {len(entries)} keys, not 1 to {KEYRING_KEYS_MAX}")
    keys: dict[str, Kek] = {}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"id", "secret"}:
            _refuse("a key must have id and secret, and nothing else")
        key = Kek(_take_bytes(entry, "secret", KEY_SIZE_BYTES))
        if entry["id"] != key.key_id.hex():
            _refuse("the id of a key does not belong to its secret, so one of them was altered")
        if key.key_id.hex() in keys:
            _refuse("a key is in it twice")
        keys[key.key_id.hex()] = key
    active = table["active"]
    if not isinstance(active, str) or active not in keys:
        _refuse("the active key is not among its keys")
    return Keyring([keys.pop(active), *keys.values()])


def _decode_protected(table: dict[str, object], passphrase: str | None) -> Keyring:
    if set(table) != {"iterations", "lanes", "memory_kib", "salt", "check", "data"}:
        _refuse("it must have protection, iterations, lanes, memory_kib, salt, check and data, and nothing else")
    hardening = _Hardening(
        _take_number(table, "iterations", ITERATIONS, ITERATIONS_MAX),
        _take_number(table, "lanes", 1, LANES_MAX),
        _take_number(table, "memory_kib", MEMORY_KIB, MEMORY_KIB_MAX),
        _take_bytes(table, "salt", SALT_SIZE_BYTES),
    )
    check = _take_bytes(table, "check", KEY_SIZE_BYTES)
    data = _take_bytes(table, "data", None)
    count, rest = divmod(len(data) - NONCE_SIZE_BYTES - TAG_SIZE_BYTES, KEY_SIZE_BYTES)
    if rest or not 1 <= count <= KEYRING_KEYS_MAX:
        _refuse(f"its data do not hold 1 to {KEYRING_KEYS_MAX} keys")
    if passphrase is None:
        raise PermissionDenied(
            "The key file is protected by a passphrase, and none was given; set DSTORE_PASSPHRASE_FILE or "
            "DSTORE_PASSPHRASE.",
            reason="PASSPHRASE_REQUIRED",
        )
    key, expected = _harden(passphrase, hardening)
    if not hmac.compare_digest(check, expected):
        raise WrongKey(
            "The passphrase does not open the key file: it is wrong, or the file was altered. Type it again, "
            "or take the key file from a backup.",
            reason="PASSPHRASE_WRONG",
        )
    secrets = b""
    try:
        secrets = AESGCMSIV(key).decrypt(data[:NONCE_SIZE_BYTES], data[NONCE_SIZE_BYTES:], hardening.binding())
    except InvalidTag:
        _refuse("the passphrase is right, but the sealed keys were altered")
    keys = [Kek(secrets[start : start + KEY_SIZE_BYTES]) for start in range(0, len(secrets), KEY_SIZE_BYTES)]
    return Keyring(keys)


def _harden(passphrase: str, hardening: _Hardening) -> tuple[bytes, bytes]:
    """Return the sealing key and a value that tells a wrong passphrase from an altered file."""
    raw = b""
    # The error holds the passphrase, so it must not become the context of the one that is raised.
    with contextlib.suppress(UnicodeEncodeError):
        # The same characters have several codings; which one is typed depends on the system.
        raw = unicodedata.normalize("NFC", passphrase).encode()
    if raw == b"":
        raise InvalidRequest(
            "A passphrase must be text and not empty; choose another one.", reason="PASSPHRASE_INVALID"
        )
    argon2 = Argon2id(
        salt=hardening.salt,
        length=KEY_SIZE_BYTES,
        iterations=hardening.iterations,
        lanes=hardening.lanes,
        memory_cost=hardening.memory_kib,
    )
    try:
        hardened = argon2.derive(raw)
    except MemoryError:
        raise LimitExceeded(
            f"The passphrase of this key file takes {hardening.memory_kib} KiB of memory to check, which this process "
            "does not get; free some, or raise its limit.",
            reason="PASSPHRASE_NEEDS_MEMORY",
        ) from None
    return derive_key(hardened, b"dstore/keyring/v1"), derive_key(hardened, b"dstore/keyring-check/v1")


def _take_number(table: dict[str, object], name: str, minimum: int, maximum: int) -> int:
    value = table[name]
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        _refuse(f"{name} is not a number from {minimum} to {maximum}")
    return value


def _take_bytes(table: dict[str, object], name: str, size_bytes: int | None) -> bytes:
    value = table[name]
    decoded: bytes | None = None
    if isinstance(value, str):
        try:
            decoded = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            decoded = None
    # Encoding again refuses the second spellings that base64 has: stray bits in the last digit.
    if decoded is None or base64.b64encode(decoded).decode() != value:
        _refuse(f"{name} is not base64")
    if size_bytes is not None and len(decoded) != size_bytes:
        _refuse(f"{name} has {len(decoded)} bytes, not {size_bytes}")
    return decoded


def _refuse(why: str) -> NoReturn:
    raise InvalidRequest(
        f"This is no valid key file: {why}. Take it from a backup, or make a new one with `dstore key init`.",
        reason="KEY_FILE_INVALID",
    )
