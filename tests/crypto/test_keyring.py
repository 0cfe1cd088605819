"""Key files: private, durable, never replaced; every way in which one can be bad has its own error."""

import base64
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import independent
import pytest

from dstore.core.errors import AlreadyExists, DstoreError, InvalidRequest, NotFound, PermissionDenied, WrongKey
from dstore.crypto.keyring import (
    create_keyring,
    decode_keyring,
    encode_keyring,
    encode_protected_keyring,
    load_keyring,
)
from dstore.crypto.keys import Kek, Keyring

PASSPHRASE = "correct horse, bätterie"


class CountingRandom:
    """Gives 0, 1, 2 and so on: the same in every run, never the same twice."""

    def __init__(self) -> None:
        self.next_byte = 0

    def token_bytes(self, count: int) -> bytes:
        start, self.next_byte = self.next_byte, self.next_byte + count
        return bytes(number % 256 for number in range(start, start + count))

    def uuid(self) -> str:
        raise NotImplementedError

    def uniform(self) -> float:
        raise NotImplementedError


KEYRING = Keyring([Kek(independent.KEK), Kek(independent.OTHER_KEK)])
CLEAR = encode_keyring(KEYRING)
PROTECTED = encode_protected_keyring(KEYRING, PASSPHRASE, CountingRandom())
ID = KEYRING.active.key_id.hex().encode()
OTHER_ID = KEYRING.key_ids[1].hex().encode()


def write_private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def edit_protected(name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Change one base64 field of the protected key file."""
    lines = PROTECTED.decode().splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"{name} = "):
            value = base64.b64decode(line.split("'")[1])
            lines[number] = f"{name} = '{base64.b64encode(change(value)).decode()}'"
    return "\n".join(lines).encode()


def test_clear_round_trip() -> None:
    read = decode_keyring(CLEAR)
    assert read.key_ids == KEYRING.key_ids
    assert [key.reveal() for key in read.keys] == [independent.KEK, independent.OTHER_KEK]
    assert encode_keyring(read) == CLEAR


def test_protected_round_trip() -> None:
    read = decode_keyring(PROTECTED, PASSPHRASE)
    assert [key.reveal() for key in read.keys] == [independent.KEK, independent.OTHER_KEK]


def test_a_protected_file_shows_no_key() -> None:
    for key in KEYRING.keys:
        for shape in (key.reveal(), base64.b64encode(key.reveal()), key.reveal().hex().encode()):
            assert shape not in PROTECTED
    assert base64.b64encode(independent.KEK) in CLEAR


def test_the_passphrase_may_be_typed_in_either_unicode_form() -> None:
    decomposed = PASSPHRASE.replace("ä", "a\u0308")
    assert decomposed != PASSPHRASE
    assert decode_keyring(PROTECTED, decomposed).key_ids == KEYRING.key_ids


def test_a_passphrase_for_a_clear_file_is_ignored() -> None:
    assert decode_keyring(CLEAR, "unneeded").key_ids == KEYRING.key_ids


def test_comments_and_line_ends_do_not_matter() -> None:
    edited = CLEAR.replace(b"\n[[keys]]", b"\n# made on the old laptop\n[[keys]]").replace(b"\n", b"\r\n")
    assert decode_keyring(edited).key_ids == KEYRING.key_ids


def test_the_active_key_need_not_be_the_first() -> None:
    edited = CLEAR.replace(b"active = '" + ID, b"active = '" + OTHER_ID)
    assert decode_keyring(edited).active.key_id.hex().encode() == OTHER_ID


INVALID_CLEAR = {
    "empty": b"",
    "other magic": CLEAR.replace(b"keyring v1", b"keyring v2"),
    "no magic": CLEAR.split(b"\n", 1)[1],
    "not TOML": CLEAR + b"= =",
    "a key of TOML twice": CLEAR.replace(b"active =", b"active = ''\nactive ="),
    "not UTF-8": CLEAR + b"# \xff",
    "too long": CLEAR + b"#" * 65_536,
    "no protection": CLEAR.replace(b"protection = 'none'\n", b""),
    "other protection": CLEAR.replace(b"'none'", b"'rot13'"),
    "unknown field": CLEAR.replace(b"active", b"extra = 1\nactive"),
    "no active": CLEAR.replace(b"active = '" + ID + b"'\n", b""),
    "active is a number": CLEAR.replace(b"active = '" + ID + b"'", b"active = 1"),
    "active not there": CLEAR.replace(b"active = '" + ID, b"active = '" + b"0" * 16),
    "no keys": CLEAR.split(b"\n[[keys]]")[0],
    "keys empty": CLEAR.split(b"\n[[keys]]")[0] + b"\nkeys = []",
    "keys no list": CLEAR.split(b"\n[[keys]]")[0] + b"\nkeys = 1",
    "keys no tables": CLEAR.split(b"\n[[keys]]")[0] + b"\nkeys = [1]",
    "key with an unknown field": CLEAR + b"extra = 1\n",
    "key twice": CLEAR + b"[[keys]]" + CLEAR.split(b"[[keys]]")[1],
    "65 keys": encode_keyring(Keyring([Kek(bytes([number]) * 32) for number in range(65)])),
    "id altered": CLEAR.replace(b"id = '" + OTHER_ID, b"id = '" + b"0" * 16),
    "secret not base64": CLEAR.replace(base64.b64encode(independent.KEK), b"???"),
    "secret a number": CLEAR.replace(b"'" + base64.b64encode(independent.KEK) + b"'", b"1"),
    "secret cut": CLEAR.replace(base64.b64encode(independent.KEK), base64.b64encode(independent.KEK[:31])),
    "secret altered": CLEAR.replace(base64.b64encode(independent.KEK), base64.b64encode(bytes(32))),
    "stray bits": CLEAR.replace(
        base64.b64encode(independent.KEK), base64.b64encode(independent.KEK).replace(b"8=", b"9=")
    ),
}


@pytest.mark.parametrize("case", INVALID_CLEAR)
def test_invalid_clear_files(case: str) -> None:
    assert INVALID_CLEAR[case] != CLEAR
    with pytest.raises(InvalidRequest) as caught:
        decode_keyring(INVALID_CLEAR[case])
    assert caught.value.reason == "KEY_FILE_INVALID"
    assert base64.b64encode(independent.KEK).decode() not in caught.value.message


INVALID_PROTECTED = {
    "a field missing": PROTECTED.replace(b"lanes = 4\n", b""),
    "unknown field": PROTECTED + b"extra = 1\n",
    "fewer iterations than the minimum": PROTECTED.replace(b"iterations = 3", b"iterations = 2"),
    "less memory than the minimum": PROTECTED.replace(b"memory_kib = 65536", b"memory_kib = 65535"),
    "iterations without bound": PROTECTED.replace(b"iterations = 3", b"iterations = 65"),
    "memory without bound": PROTECTED.replace(b"memory_kib = 65536", b"memory_kib = 4194305"),
    "lanes without bound": PROTECTED.replace(b"lanes = 4", b"lanes = 65"),
    "no lanes": PROTECTED.replace(b"lanes = 4", b"lanes = 0"),
    "lanes true": PROTECTED.replace(b"lanes = 4", b"lanes = true"),
    "lanes text": PROTECTED.replace(b"lanes = 4", b"lanes = '4'"),
    "salt cut": edit_protected("salt", lambda value: value[:-1]),
    "check cut": edit_protected("check", lambda value: value[:-1]),
    "data cut": edit_protected("data", lambda value: value[:-1]),
    "no keys in data": edit_protected("data", lambda value: value[:28]),
    "65 keys in data": edit_protected("data", lambda value: bytes(28 + 65 * 32)),
    "ciphertext altered": edit_protected("data", lambda value: independent.flip(value, 12)),
    "nonce altered": edit_protected("data", lambda value: independent.flip(value, 0)),
    "tag altered": edit_protected("data", lambda value: independent.flip(value, -1)),
    "one key dropped": edit_protected("data", lambda value: value[:-32]),
}


@pytest.mark.parametrize("case", INVALID_PROTECTED)
def test_invalid_protected_files(case: str) -> None:
    assert INVALID_PROTECTED[case] != PROTECTED
    with pytest.raises(InvalidRequest) as caught:
        decode_keyring(INVALID_PROTECTED[case], PASSPHRASE)
    assert caught.value.reason == "KEY_FILE_INVALID"


@pytest.mark.parametrize(
    ("encoded", "passphrase"),
    [
        (PROTECTED, PASSPHRASE + "x"),
        (PROTECTED.replace(b"iterations = 3", b"iterations = 4"), PASSPHRASE),
        (PROTECTED.replace(b"lanes = 4", b"lanes = 3"), PASSPHRASE),
        (PROTECTED.replace(b"memory_kib = 65536", b"memory_kib = 65600"), PASSPHRASE),
        (edit_protected("salt", lambda value: independent.flip(value, 0)), PASSPHRASE),
        (edit_protected("check", lambda value: independent.flip(value, 0)), PASSPHRASE),
    ],
    ids=["passphrase", "iterations", "lanes", "memory", "salt", "check"],
)
def test_wrong_passphrase_or_altered_parameters(encoded: bytes, passphrase: str) -> None:
    with pytest.raises(WrongKey) as caught:
        decode_keyring(encoded, passphrase)
    assert caught.value.reason == "PASSPHRASE_WRONG"
    assert passphrase not in caught.value.message


def test_missing_passphrase() -> None:
    with pytest.raises(PermissionDenied) as caught:
        decode_keyring(PROTECTED)
    assert caught.value.reason == "PASSPHRASE_REQUIRED"


@pytest.mark.parametrize("passphrase", ["", "\udcff"])
def test_passphrases_that_cannot_be(passphrase: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        encode_protected_keyring(KEYRING, passphrase, CountingRandom())
    assert caught.value.reason == "PASSPHRASE_INVALID"


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_create_and_load(tmp_path: Path, passphrase: str | None) -> None:
    path = tmp_path / "keyring"
    created = create_keyring(path, CountingRandom(), passphrase)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert created.active.reveal() == bytes(range(32))
    assert load_keyring(path, passphrase).key_ids == created.key_ids


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "keyring"
    before = os.umask(mask)
    try:
        create_keyring(path, CountingRandom())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_create_syncs_the_file_and_then_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real_sync = os.fsync

    def record_sync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", record_sync)
    create_keyring(tmp_path / "keyring", CountingRandom())
    assert synced == [str(tmp_path / "keyring"), str(tmp_path)]


def test_a_failed_create_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_sync(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_sync)
    with pytest.raises(DstoreError) as caught:
        create_keyring(tmp_path / "keyring", CountingRandom())
    assert caught.value.reason == "KEY_FILE_UNWRITABLE"
    assert list(tmp_path.iterdir()) == []


def test_create_never_replaces(tmp_path: Path) -> None:
    path = write_private(tmp_path / "keyring", b"precious")
    with pytest.raises(AlreadyExists) as caught:
        create_keyring(path, CountingRandom())
    assert caught.value.reason == "KEY_FILE_EXISTS"
    assert path.read_bytes() == b"precious"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyExists):
        create_keyring(link, CountingRandom())
    assert not (tmp_path / "elsewhere").exists()


def test_create_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        create_keyring(tmp_path / "no" / "keyring", CountingRandom())
    assert caught.value.reason == "KEY_FILE_DIRECTORY_MISSING"
    assert f"mkdir -p {tmp_path / 'no'}" in caught.value.message


def test_create_where_nothing_can_be_written(tmp_path: Path) -> None:
    parent = write_private(tmp_path / "file", b"")
    with pytest.raises(PermissionDenied) as caught:
        create_keyring(parent / "keyring", CountingRandom())
    assert caught.value.reason == "KEY_FILE_UNWRITABLE"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_private(tmp_path / "keyring", CLEAR)
    path.chmod(mode)
    with pytest.raises(PermissionDenied) as caught:
        load_keyring(path)
    assert caught.value.reason == "KEY_FILE_EXPOSED"
    assert f"`chmod 600 {path}`" in caught.value.message
    assert caught.value.metadata == {"path": str(path), "mode": f"{mode:04o}"}
    path.chmod(0o400)
    assert load_keyring(path).key_ids == KEYRING.key_ids


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="`dstore key init`") as caught:
        load_keyring(tmp_path / "keyring")
    assert caught.value.reason == "KEY_FILE_MISSING"


@pytest.mark.parametrize("make", [lambda path: path.mkdir(mode=0o700), lambda path: os.mkfifo(path, 0o600)])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "keyring")
    with pytest.raises(InvalidRequest, match="no regular file") as caught:
        load_keyring(tmp_path / "keyring")
    assert caught.value.reason == "KEY_FILE_INVALID"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    parent = write_private(tmp_path / "file", b"")
    with pytest.raises(PermissionDenied) as caught:
        load_keyring(parent / "keyring")
    assert caught.value.reason == "KEY_FILE_UNREADABLE"


@pytest.mark.parametrize(
    ("content", "passphrase", "reason"),
    [
        (b"not a key file", None, "KEY_FILE_INVALID"),
        (CLEAR + b"#" * 65_536, None, "KEY_FILE_INVALID"),
        (PROTECTED, None, "PASSPHRASE_REQUIRED"),
        (PROTECTED, "wrong", "PASSPHRASE_WRONG"),
    ],
    ids=["magic", "length", "no passphrase", "wrong passphrase"],
)
def test_errors_name_the_file_and_leak_nothing(
    tmp_path: Path, content: bytes, passphrase: str | None, reason: str
) -> None:
    path = write_private(tmp_path / "keyring", content)
    with pytest.raises(DstoreError) as caught:
        load_keyring(path, passphrase)
    assert caught.value.reason == reason
    assert str(path) in caught.value.message
    assert caught.value.metadata["path"] == str(path)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), type(caught.value))


def test_the_text_of_a_broken_file_is_not_in_the_chain_of_errors() -> None:
    secret = base64.b64encode(independent.KEK).decode()
    with pytest.raises(InvalidRequest) as caught:
        decode_keyring(CLEAR + b"= =")
    error: BaseException | None = caught.value
    while error is not None:
        assert secret not in repr(error) + repr(vars(error))
        assert not isinstance(error, UnicodeError | ValueError) or isinstance(error, DstoreError)
        error = error.__context__
