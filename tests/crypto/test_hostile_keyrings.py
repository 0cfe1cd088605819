"""Key files that were made to stop the program: each is refused soon, by an error of ours, in bounded memory."""

import subprocess
import sys
import time

import pytest

from dstore.core.errors import InvalidRequest
from dstore.crypto.keyring_format import (
    KEYRING_KEYS_MAX,
    KEYRING_SIZE_BYTES_MAX,
    MAGIC_LINE,
    decode_keyring,
    encode_keyring,
    encode_protected_keyring,
)
from dstore.crypto.keys import Kek, Keyring
from dstore.system.environment import SystemRandom

FRONT = MAGIC_LINE.encode() + b"\n"
ROOM = KEYRING_SIZE_BYTES_MAX - len(FRONT)

BOMBS = {
    "nested arrays": b"a = " + b"[" * (ROOM - 4),
    "nested arrays on many lines": b"a = [\n" + b"[\n" * (ROOM // 2 - 4),
    "nested tables": b"a = " + b"{a=" * (ROOM // 3 - 4),
    "a long number": b"active = " + b"9" * (ROOM - 9),
    "a number of 4,301 digits": b"active = [\n" + b"9" * 4_301 + b"]",
    "a key with many dots": b".".join([b"a"] * (ROOM // 2 - 2)) + b"=1",
    "many keys with many dots": b"\n".join(b".".join([b"a"] * 2_000) + b".c%d=1" % index for index in range(16)),
    "a table with many dots": b"[" + b".".join([b"a"] * (ROOM // 2 - 2)) + b"]",
    "many tables": b"[[a]]\n" * (ROOM // 6),
    "a day that is none": b"active = 2020-02-31T25:61:61Z",
    "a character that is none": b'active = "\\UFFFFFFFF"',
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    encoded = FRONT + BOMBS[name]
    assert len(encoded) <= KEYRING_SIZE_BYTES_MAX
    started_s = time.monotonic()
    with pytest.raises(InvalidRequest) as caught:
        decode_keyring(encoded)
    assert caught.value.reason == "KEY_FILE_INVALID"
    assert time.monotonic() - started_s < 5


def test_a_full_keyring_passes() -> None:
    random = SystemRandom()
    keyring = Keyring([Kek(random.token_bytes(32)) for _ in range(KEYRING_KEYS_MAX)])
    assert decode_keyring(encode_keyring(keyring)).key_ids == keyring.key_ids
    protected = encode_protected_keyring(keyring, "passphrase", random)
    assert decode_keyring(protected, "passphrase").key_ids == keyring.key_ids


STARVED = """
import resource, sys
from dstore.core.errors import LimitExceeded
from dstore.crypto.keyring_format import decode_keyring
encoded = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    decode_keyring(encoded, "passphrase")
except LimitExceeded as error:
    print(error.reason)
"""


def test_more_memory_than_there_is() -> None:
    encoded = encode_protected_keyring(Keyring([Kek(bytes(32))]), "passphrase", SystemRandom())
    greedy = encoded.replace(b"memory_kib = 65536", b"memory_kib = 4194304")
    assert greedy != encoded
    finished = subprocess.run([sys.executable, "-c", STARVED], input=greedy, capture_output=True, check=True)
    assert finished.stdout.decode().strip() == "PASSPHRASE_NEEDS_MEMORY"
