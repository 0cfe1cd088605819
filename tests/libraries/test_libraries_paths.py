"""Paths and local copies: universal-pathlib, ``simplecache::`` and ``filecache::``."""

import gc
import zipfile
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from upath import UPath

# It says so of every protocol that has no class of its own there, once for each process.
pytestmark = pytest.mark.filterwarnings(
    "ignore:UPath 'dstore' filesystem not explicitly implemented. Falling back to default implementation. This "
    "filesystem may not be tested.:UserWarning"
)


def test_upath(home: str) -> None:
    folder = UPath(home)
    assert folder.fs is fsspec.filesystem("dstore")
    assert not folder.exists()
    (folder / "deep").mkdir(parents=True)
    note = folder / "deep" / "note.txt"
    assert note.write_text("Grüße\n", encoding="utf-8") == 6
    assert note.read_text(encoding="utf-8") == "Grüße\n"
    assert (note.name, note.suffix, note.parent.name) == ("note.txt", ".txt", "deep")
    assert note.stat().st_size == 8
    assert note.is_file() and folder.is_dir()
    with (folder / "b.bin").open("wb") as file:
        file.write(bytes(1000))
    assert sorted(str(each) for each in folder.iterdir()) == [f"{home}/b.bin", f"{home}/deep"]
    assert [each.name for each in folder.rglob("*.txt")] == ["note.txt"]
    assert [each.name for each in folder.glob("*.bin")] == ["b.bin"]
    moved = note.rename(folder / "deep" / "moved.txt")
    assert moved.read_bytes() == "Grüße\n".encode() and not note.exists()
    with pytest.raises(FileNotFoundError):
        note.read_bytes()
    with pytest.raises(FileExistsError):
        moved.touch(exist_ok=False)
    (folder / "empty").touch()
    assert (folder / "empty").read_bytes() == b""
    moved.unlink()
    folder.joinpath("deep").rmdir()
    assert sorted(each.name for each in folder.iterdir()) == ["b.bin", "empty"]
    assert UPath(f"{home}/x/../b.bin").resolve().exists()


def test_upath_with_a_library(home: str) -> None:
    path = UPath(home) / "table.parquet"
    # It is no os.PathLike, whatever the protocol: libraries take its text, or its file.
    pd.DataFrame({"a": [1, 2]}).to_parquet(str(path))
    with path.open("rb") as file:
        assert pd.read_parquet(file)["a"].tolist() == [1, 2]


# pyarrow leaves local copies to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file <_io.BufferedReader name=.*test_simplecache:ResourceWarning")
def test_simplecache(home: str, tmp_path: Path) -> None:
    options = {"simplecache": {"cache_storage": str(tmp_path)}}
    pd.DataFrame({"a": [1, 2]}).to_parquet(f"{home}/table.parquet")
    read = pd.read_parquet(f"simplecache::{home}/table.parquet", storage_options=options)
    assert read["a"].tolist() == [1, 2]
    assert len(list(tmp_path.iterdir())) == 1
    # The copy stays what it is.
    pd.DataFrame({"a": [3]}).to_parquet(f"{home}/table.parquet")
    again = pd.read_parquet(f"simplecache::{home}/table.parquet", storage_options=options)
    assert again["a"].tolist() == [1, 2]
    # What is written through the cache arrives.
    with fsspec.open(f"simplecache::{home}/written.txt", "wt", **options) as file:
        file.write("arrived")
    assert UPath(f"{home}/written.txt").read_text() == "arrived"
    gc.collect()


def test_filecache_notices_a_replacement(home: str, tmp_path: Path) -> None:
    options = {"filecache": {"cache_storage": str(tmp_path), "check_files": True}}
    url = f"filecache::{home}/table.csv"
    for content in ([1, 2], [3, 4]):
        pd.DataFrame({"a": content}).to_csv(f"{home}/table.csv", index=False)
        for _ in range(2):
            assert pd.read_csv(url, storage_options=options)["a"].tolist() == content
    fsspec.filesystem("filecache", target_protocol="dstore", cache_storage=str(tmp_path)).clear_cache()


def test_an_archive_inside(home: str) -> None:
    fs, path = fsspec.core.url_to_fs(home)
    with fs.open(f"{path}/archive.zip", "wb") as target, zipfile.ZipFile(target, "w") as archive:
        archive.writestr("inner.csv", "a\n1\n")
    assert pd.read_csv(f"zip://inner.csv::{home}/archive.zip")["a"].tolist() == [1]
