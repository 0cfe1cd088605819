"""What a transaction promises, against a real cluster."""

from pathlib import Path

import pytest
from cluster import LocalTestCluster, wait_until

from dstore.fsspec import DstoreFileSystem

LARGE = bytes(range(256)) * 10_000  # of three chunks


def write_all(fs: DstoreFileSystem, home: str, tmp_path: Path) -> dict[str, bytes]:
    """Write in every way that is part of a transaction; return what is to be there."""
    with fs.open(f"{home}/opened", "wb", block_size=100_000) as file:
        file.write(LARGE)
    with fs.open(f"{home}/text", "w") as file:
        file.write("text")
    with fs.open(f"{home}/packed.gz", "wb", compression="gzip") as file:
        file.write(b"packed")
    fs.pipe_file(f"{home}/piped", LARGE)
    fs.pipe({f"{home}/new/small": b"small", f"{home}/created": b"1"}, mode="create")
    (tmp_path / "local").write_bytes(LARGE)
    fs.put(str(tmp_path / "local"), f"{home}/put")
    fs.put_file(str(tmp_path / "local"), f"{home}/replaced")
    return {"opened": LARGE, "text": b"text", "piped": LARGE, "new/small": b"small", "created": b"1", "put": LARGE}


def test_everything_appears_at_the_end(fs: DstoreFileSystem, home: str, tmp_path: Path) -> None:
    fs.pipe_file(f"{home}/replaced", b"old")
    with fs.transaction:
        expected = write_all(fs, home, tmp_path)
        assert fs.find(home) == [f"{home}/replaced"]
        assert fs.cat_file(f"{home}/replaced") == b"old"
    for name, content in {**expected, "replaced": LARGE}.items():
        assert fs.cat_file(f"{home}/{name}") == content, name
    with fs.open(f"{home}/packed.gz", "rb", compression="gzip") as file:
        assert file.read() == b"packed"
    fs.pipe_file(f"{home}/after", b"at once again")
    assert fs.exists(f"{home}/after")


def test_an_exception_discards_everything(
    fs: DstoreFileSystem, home: str, tmp_path: Path, store: LocalTestCluster
) -> None:
    fs.pipe_file(f"{home}/replaced", b"old")
    with pytest.raises(KeyError), fs.transaction:
        write_all(fs, home, tmp_path)
        raise KeyError
    assert fs.find(home) == [f"{home}/replaced"]
    assert fs.cat_file(f"{home}/replaced") == b"old"

    def none_is_under_way() -> bool:
        return "writes:  0 in progress" in store.check("status").decode()

    wait_until(none_is_under_way, what="no write is in progress", timeout_s=30)


def test_one_that_failed_within_is_left_out(fs: DstoreFileSystem, home: str) -> None:
    with fs.transaction:
        with pytest.raises(KeyError), fs.open(f"{home}/failed", "wb") as file:
            file.write(LARGE)
            raise KeyError
        fs.pipe_file(f"{home}/good", b"")
    assert fs.find(home) == [f"{home}/good"]


def test_a_file_that_is_still_open_ends_it_all(fs: DstoreFileSystem, home: str) -> None:
    fs.start_transaction()
    fs.pipe_file(f"{home}/first", b"1")
    file = fs.open(f"{home}/open", "wb")
    file.write(b"2")
    with pytest.raises(ValueError, match="still open when its transaction ended"):
        fs.end_transaction()
    assert fs.find(home) == []
    assert file.closed


def test_a_commit_that_fails_says_what_is_visible(fs: DstoreFileSystem, home: str) -> None:
    other = DstoreFileSystem(skip_instance_cache=True)
    with pytest.raises(FileExistsError) as caught, fs.transaction:
        fs.pipe_file(f"{home}/first", LARGE)
        fs.pipe_file(f"{home}/contested", LARGE, mode="create")
        fs.pipe_file(f"{home}/last", LARGE)
        other.pipe_file(f"{home}/contested", b"of another")
    assert caught.value.__notes__ == [f"Of 3 files of the transaction, these are visible: {home}/first."]
    assert fs.find(home) == [f"{home}/contested", f"{home}/first"]
    assert fs.cat_file(f"{home}/contested") == b"of another"
    other.close()


def test_a_name_that_is_taken_is_refused_at_once(fs: DstoreFileSystem, home: str) -> None:
    fs.pipe_file(f"{home}/taken", b"")
    with fs.transaction:
        with pytest.raises(FileExistsError):
            fs.pipe_file(f"{home}/taken", b"1", mode="create")
        with pytest.raises(FileExistsError):
            fs.open(f"{home}/taken", "xb")
    assert fs.cat_file(f"{home}/taken") == b""


def test_an_asynchronous_filesystem_has_none(fs: DstoreFileSystem, home: str) -> None:
    with pytest.raises(ValueError, match="without asynchronous=True"), DstoreFileSystem(asynchronous=True).transaction:
        raise AssertionError("it began")


def test_one_file_that_is_committed_by_hand(fs: DstoreFileSystem, home: str) -> None:
    for size in (10, len(LARGE)):
        file = fs.open(f"{home}/f", "wb", autocommit=False)
        file.write(LARGE[:size])
        file.close()
        assert not fs.exists(f"{home}/f")
        file.commit()
        file.commit()
        assert fs.cat_file(f"{home}/f") == LARGE[:size]
        fs.rm(f"{home}/f")
        given_up = fs.open(f"{home}/f", "wb", autocommit=False)
        given_up.write(LARGE[:size])
        given_up.close()
        given_up.discard()
        given_up.commit()
        assert not fs.exists(f"{home}/f")
