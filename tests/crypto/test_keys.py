"""Keys show their ids and nothing else; wrapped keys open in their place with their key, or say what is wrong."""

import copy
import pickle

import independent
import pytest

from dstore.core.errors import Corrupt, InvalidRequest, WrongKey
from dstore.core.files import WrappedKey
from dstore.core.ids import ClusterId, FileId
from dstore.crypto.keys import Kek, Keyring, show_key_id, unwrap_dek, wrap_dek

CLUSTER = ClusterId(independent.CLUSTER)
OTHER_CLUSTER = ClusterId("00000000-0c3d-4e9f-8a7b-112233445566")
FILE = FileId(42)
KEK = Kek(independent.KEK)
OTHER = Kek(independent.OTHER_KEK)
WRAPPED = wrap_dek(KEK, CLUSTER, FILE, independent.DEK, independent.NONCE)


def test_round_trip_with_any_key_of_the_ring() -> None:
    for keyring in (Keyring([KEK]), Keyring([OTHER, KEK])):
        assert unwrap_dek(keyring, [WRAPPED], CLUSTER, FILE, "/x") == independent.DEK


def test_the_key_is_found_among_several_recipients() -> None:
    unknown = WrappedKey(7, KEK.key_id, b"another kind for the same id")
    for_other = wrap_dek(OTHER, CLUSTER, FILE, independent.DEK, independent.NONCE)
    assert unwrap_dek(Keyring([KEK]), [unknown, for_other, WRAPPED], CLUSTER, FILE, "/x") == independent.DEK


def test_every_flipped_byte_is_detected() -> None:
    for position in range(len(WRAPPED.data)):
        altered = WrappedKey(1, KEK.key_id, independent.flip(WRAPPED.data, position))
        with pytest.raises(Corrupt) as caught:
            unwrap_dek(Keyring([KEK]), [altered], CLUSTER, FILE, "/x")
        assert caught.value.reason == "WRAPPED_KEY_CORRUPT"
    for position in range(len(WRAPPED.key_id)):
        altered = WrappedKey(1, independent.flip(KEK.key_id, position), WRAPPED.data)
        with pytest.raises(WrongKey):
            unwrap_dek(Keyring([KEK]), [altered], CLUSTER, FILE, "/x")


def test_a_wrapped_key_opens_only_in_its_place() -> None:
    for cluster, file_id in ((OTHER_CLUSTER, FILE), (CLUSTER, FileId(43))):
        with pytest.raises(Corrupt) as caught:
            unwrap_dek(Keyring([KEK]), [WRAPPED], cluster, file_id, "/x")
        assert caught.value.reason == "WRAPPED_KEY_CORRUPT"
        assert caught.value.metadata["path"] == "/x"


def test_wrong_key_names_both_sides() -> None:
    with pytest.raises(WrongKey) as caught:
        unwrap_dek(Keyring([OTHER]), [WRAPPED], CLUSTER, FILE, "/reports/x")
    assert str(caught.value) == (
        f"Wrong key for /reports/x: this keyring has {show_key_id(OTHER.key_id)}, the file wants "
        f"{show_key_id(KEK.key_id)}; give the right key file with --key-file or DSTORE_KEY_FILE."
    )
    assert caught.value.reason == "WRONG_KEY"
    assert caught.value.metadata == {
        "path": "/reports/x",
        "have": OTHER.key_id.hex(),
        "want": KEK.key_id.hex(),
    }
    assert isinstance(caught.value, PermissionError)


def test_wrong_key_stays_short_with_many_or_no_recipients() -> None:
    many = [WrappedKey(1, bytes([index]) * 8, b"") for index in range(64)]
    with pytest.raises(WrongKey, match="03030303…, 60 more; give"):
        unwrap_dek(Keyring([KEK]), many, CLUSTER, FILE, "/x")
    with pytest.raises(WrongKey, match="the file wants none;"):
        unwrap_dek(Keyring([KEK]), [], CLUSTER, FILE, "/x")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Kek(bytes(size))
    assert caught.value.reason == "KEY_SIZE_INVALID"
    with pytest.raises(InvalidRequest) as caught:
        wrap_dek(KEK, CLUSTER, FILE, bytes(size), independent.NONCE)
    assert caught.value.reason == "KEY_SIZE_INVALID"
    with pytest.raises(InvalidRequest) as caught:
        wrap_dek(KEK, CLUSTER, FILE, independent.DEK, bytes(size))
    assert caught.value.reason == "NONCE_SIZE_INVALID"


def test_keyring() -> None:
    keyring = Keyring([OTHER, KEK])
    assert keyring.active is OTHER
    assert keyring.key_ids == (OTHER.key_id, KEK.key_id)
    assert keyring.find(KEK.key_id) is KEK
    assert keyring.find(bytes(8)) is None


def test_a_keyring_has_each_key_once_and_at_least_one() -> None:
    for keys in ([], [KEK, Kek(independent.KEK)]):
        with pytest.raises(InvalidRequest) as caught:
            Keyring(keys)
        assert caught.value.reason == "KEYRING_INVALID"


def test_repr_shows_ids_only() -> None:
    assert repr(KEK) == f"Kek({KEK.key_id[:4].hex()}…)"
    assert repr(Keyring([KEK, OTHER])) == f"Keyring({KEK.key_id[:4].hex()}…, {OTHER.key_id[:4].hex()}…)"
    assert show_key_id(bytes.fromhex("7f3a91c2d4e5f607")) == "7f3a91c2…"


@pytest.mark.parametrize("secret", [KEK, Keyring([KEK])], ids=["Kek", "Keyring"])
def test_secrets_do_not_leave_the_process(secret: object) -> None:
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(InvalidRequest, match="its secret would leave this process") as caught:
            leave(secret)
        assert caught.value.reason == "KEY_NOT_PICKLABLE"
    assert not hasattr(secret, "__dict__")
