"""Files, ranges, names and callbacks through ``dstore://``, against a real cluster."""

import os
import random
import tracemalloc
import uuid
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.caching import caches
from fsspec.callbacks import Callback

from dstore.core.limits import INLINE_SIZE_BYTES_MAX
from dstore.fsspec import DstoreFileSystem

MIB = 1024 * 1024
CONTENT = random.Random(5).randbytes(3 * MIB + 17)  # of four chunks
BLOCK = 64 * 1024


@pytest.fixture(scope="module")
def content_path(store: object) -> str:
    path = f"/content-{uuid.uuid4().hex}"
    DstoreFileSystem().pipe_file(path, CONTENT)
    return path


# The caches of fsspec that map local files do not close them.
LEAVES_FILES_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class TestReading:
    @LEAVES_FILES_OPEN
    @pytest.mark.parametrize("name", sorted(str(name) for name in caches if name is not None))
    def test_every_kind_of_cache(self, fs: DstoreFileSystem, content_path: str, name: str) -> None:
        dice = random.Random(name)
        options = {"data": {(0, len(CONTENT)): CONTENT}} if name == "parts" else {}
        with fs.open(content_path, "rb", block_size=BLOCK, cache_type=name, cache_options=options) as file:
            assert file.read(10) == CONTENT[:10]
            for _ in range(12):
                start = dice.randrange(len(CONTENT))
                size = dice.choice([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK])
                file.seek(start)
                assert file.read(size) == CONTENT[start : start + size]
            file.seek(-5, os.SEEK_END)
            assert file.read() == CONTENT[-5:]
            # That one knows the parts that it was given, and no end.
            assert name == "parts" or file.read(1) == b""

    def test_an_open_file_stays_at_its_version(self, fs: DstoreFileSystem, home: str) -> None:
        fs.pipe_file(f"{home}/f", CONTENT)
        with fs.open(f"{home}/f", "rb", block_size=BLOCK) as file:
            version = file.details["version"]
            assert file.read(5) == CONTENT[:5]
            fs.pipe_file(f"{home}/f", b"replaced")
            file.seek(2 * MIB)
            assert file.read() == CONTENT[2 * MIB :]
        assert fs.info(f"{home}/f")["version"] > version

    @pytest.mark.parametrize("start", [None, 0, 1, MIB - 1, -(MIB + 1), -5, len(CONTENT), len(CONTENT) + 1])
    @pytest.mark.parametrize("end", [None, 0, 2, MIB + 1, -1, -MIB, len(CONTENT), len(CONTENT) + 1])
    def test_parts_of_a_file(self, fs: DstoreFileSystem, content_path: str, start: int | None, end: int | None) -> None:
        assert fs.cat_file(content_path, start, end) == CONTENT[start:end]

    def test_ranges_of_several_files(self, fs: DstoreFileSystem, content_path: str, home: str) -> None:
        fs.pipe_file(f"{home}/small", b"0123456789")
        fs.pipe_file(f"{home}/empty", b"")
        wanted = [
            (content_path, 5, 10),
            (f"{home}/small", -3, None),
            (content_path, -10, -5),
            (content_path, MIB - 2, MIB + 2),
            (f"{home}/empty", None, None),
            (f"{home}/missing", 0, 1),
            (content_path, None, 3),
            (content_path, 7, 3),
            (f"dstore://{content_path}", len(CONTENT) - 1, len(CONTENT) + 10),
        ]
        paths, starts, ends = (list(column) for column in zip(*wanted, strict=True))
        expected = {content_path: CONTENT, f"{home}/small": b"0123456789", f"{home}/empty": b""}
        answers = fs.cat_ranges(paths, starts, ends)
        assert isinstance(answers.pop(5), FileNotFoundError)
        del wanted[5]
        assert answers == [expected[path.removeprefix("dstore://")][start:end] for path, start, end in wanted]
        with pytest.raises(FileNotFoundError):
            fs.cat_ranges(paths, starts, ends, on_error="raise")
        assert fs.cat_ranges([content_path] * 2, 1, 3) == [CONTENT[1:3]] * 2

    def test_text_and_compression(self, fs: DstoreFileSystem, home: str) -> None:
        with fs.open(f"{home}/t", "w", encoding="utf-8", newline="") as file:
            file.write("größe\r\n")
        assert fs.cat_file(f"{home}/t") == "größe\r\n".encode()
        with fs.open(f"{home}/t", "r", encoding="utf-8") as file:
            assert file.read() == "größe\n"
        with fs.open(f"{home}/t.xz", "wt", compression="infer") as file:
            file.write("text")
        with fs.open(f"{home}/t.xz", "rt", compression="xz") as file:
            assert file.read() == "text"
        with fs.open(f"{home}/t", "rb", compression="infer") as file:
            assert len(file.read()) == 9
        with fs.open(f"{home}/t.gz", "wb", compression="gzip") as file:
            file.write(CONTENT)
        with fs.open(f"{home}/t.gz", "rb", compression="infer") as file:
            assert file.read() == CONTENT

    def test_a_local_copy_that_notices_a_replacement(self, fs: DstoreFileSystem, home: str, tmp_path: Path) -> None:
        url, options = f"filecache::dstore://{home}/f", {"cache_storage": str(tmp_path), "check_files": True}
        for content in (b"first", b"second"):
            fs.pipe_file(f"{home}/f", content)
            for _ in range(2):
                with fsspec.open(url, filecache=options) as file:
                    assert file.read() == content

    @LEAVES_FILES_OPEN
    @pytest.mark.parametrize("kind", ["simplecache", "blockcache"])
    def test_other_local_copies(
        self, fs: DstoreFileSystem, content_path: str, home: str, tmp_path: Path, kind: str
    ) -> None:
        options = {kind: {"cache_storage": str(tmp_path)}}
        with fsspec.open(f"{kind}::dstore://{content_path}", **options) as file:
            file.seek(MIB)
            assert file.read(100) == CONTENT[MIB : MIB + 100]
        if kind == "simplecache":
            with fsspec.open(f"{kind}::dstore://{home}/written", "wb", **options) as file:
                file.write(CONTENT)
            assert fs.cat_file(f"{home}/written") == CONTENT


class TestWriting:
    @pytest.mark.parametrize("size", [0, 1, INLINE_SIZE_BYTES_MAX, INLINE_SIZE_BYTES_MAX + 1, MIB, len(CONTENT)])
    @pytest.mark.parametrize("block_size", [1000, 5 * MIB])
    def test_sizes(self, fs: DstoreFileSystem, home: str, size: int, block_size: int) -> None:
        with fs.open(f"{home}/not/yet/f", "wb", block_size=block_size) as file:
            view = memoryview(CONTENT)[:size]
            for start in range(0, size, 300_001):
                file.write(view[start : start + 300_001])
            assert file.tell() == size
            assert not fs.exists(f"{home}/not/yet/f")
        assert fs.cat_file(f"{home}/not/yet/f") == CONTENT[:size]

    @pytest.mark.parametrize("mode", ["wb", "xb"])
    @pytest.mark.parametrize("size", [10, len(CONTENT)])
    def test_an_exception_leaves_nothing(self, fs: DstoreFileSystem, home: str, mode: str, size: int) -> None:
        with pytest.raises(KeyError), fs.open(f"{home}/f", mode, block_size=BLOCK) as file:
            file.write(CONTENT[:size])
            raise KeyError
        with pytest.raises(KeyError), fs.open(f"{home}/f", mode[0], block_size=BLOCK) as file:
            file.write("x" * size)
            raise KeyError
        with pytest.raises(KeyError), fs.open(f"{home}/f", mode, compression="gzip") as file:
            file.write(CONTENT[:size])
            raise KeyError
        with pytest.raises(KeyError), fs.open(f"{home}/f", mode[0], compression="bz2") as file:
            file.write("x" * size)
            raise KeyError
        assert fs.ls(home) == []

    def test_what_is_forgotten_never_appears(self, fs: DstoreFileSystem, home: str) -> None:
        file = fs.open(f"{home}/f", "wb", block_size=BLOCK)
        file.write(CONTENT)
        with pytest.warns(ResourceWarning, match="neither closed nor committed"):
            del file
        assert fs.ls(home) == []

    def test_memory_is_bounded(self, fs: DstoreFileSystem, home: str) -> None:
        piece = bytes(MIB)
        with fs.open(f"{home}/warm", "wb") as file:
            file.write(bytes(20 * MIB))
        tracemalloc.start()
        try:
            with fs.open(f"{home}/f", "wb") as file:
                for _ in range(48):
                    file.write(piece)
            written = tracemalloc.get_traced_memory()[1]
            fs.cp_file(f"{home}/f", f"{home}/copy")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert fs.size(f"{home}/copy") == 48 * MIB
        assert (written, peak) < (24 * MIB, 32 * MIB)

    def test_modes_that_a_store_of_whole_files_does_not_have(self, fs: DstoreFileSystem, content_path: str) -> None:
        for mode in ("ab", "r+b", "a"):
            with pytest.raises(ValueError, match="replaced as a whole"):
                fs.open(content_path, mode)
        assert fs.size(content_path) == len(CONTENT)

    def test_a_closed_file_takes_nothing(self, fs: DstoreFileSystem, home: str) -> None:
        file = fs.open(f"{home}/f", "wb")
        file.write(b"1")
        file.close()
        file.close()
        with pytest.raises(ValueError, match="closed"):
            file.write(b"2")
        file.discard()
        assert fs.cat_file(f"{home}/f") == b"1"

    def test_two_create_the_same(self, fs: DstoreFileSystem, home: str) -> None:
        first, second = fs.open(f"{home}/f", "xb"), fs.open(f"{home}/f", "xb")
        first.write(b"first")
        second.write(b"second")
        first.close()
        with pytest.raises(FileExistsError):
            second.close()
        assert fs.cat_file(f"{home}/f") == b"first"


class Counting(Callback):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int | None] = []
        self.steps: list[int] = []

    def set_size(self, size: int | None) -> None:
        self.sizes.append(size)

    def relative_update(self, inc: int = 1) -> None:
        self.steps.append(inc)


class TestTransfers:
    @pytest.mark.parametrize("size", [0, 1, INLINE_SIZE_BYTES_MAX, len(CONTENT)])
    def test_callbacks_count_the_bytes(self, fs: DstoreFileSystem, home: str, tmp_path: Path, size: int) -> None:
        (tmp_path / "f").write_bytes(CONTENT[:size])
        putting, getting = Counting(), Counting()
        fs.put_file(str(tmp_path / "f"), f"{home}/deep/f", callback=putting)
        fs.get_file(f"{home}/deep/f", str(tmp_path / "new" / "g"), callback=getting)
        assert (tmp_path / "new" / "g").read_bytes() == CONTENT[:size]
        assert putting.sizes == getting.sizes == [size]
        assert sum(putting.steps) == sum(getting.steps) == size
        assert min(putting.steps + getting.steps, default=0) >= 0

    def test_into_an_open_file(self, fs: DstoreFileSystem, content_path: str, tmp_path: Path) -> None:
        with (tmp_path / "f").open("wb") as target:
            fs.get_file(content_path, target)
        assert (tmp_path / "f").read_bytes() == CONTENT

    def test_creating_only(self, fs: DstoreFileSystem, home: str, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"1")
        fs.put_file(str(tmp_path / "f"), f"{home}/f", mode="create")
        with pytest.raises(FileExistsError):
            fs.put_file(str(tmp_path / "f"), f"{home}/f", mode="create")

    def test_a_missing_source_makes_nothing(self, fs: DstoreFileSystem, home: str, tmp_path: Path) -> None:
        for work in (
            lambda: fs.cp_file(f"{home}/no", f"{home}/new/f"),
            lambda: fs.mv(f"{home}/no", f"{home}/new/f"),
            lambda: fs.get_file(f"{home}/no", str(tmp_path / "f")),
            lambda: fs.put_file(str(tmp_path / "no"), f"{home}/new/f"),
            lambda: fs.rm(f"{home}/no"),
            lambda: fs.rm(f"{home}/no*"),
        ):
            with pytest.raises(FileNotFoundError):
                work()
        assert fs.ls(home) == []
        assert list(tmp_path.iterdir()) == []


class TestNames:
    def test_what_is_said_of_a_file(self, fs: DstoreFileSystem, home: str) -> None:
        before = datetime.now(UTC)
        fs.pipe_file(f"{home}/f", b"123")
        info = fs.info(f"dstore://{home}/f")
        assert set(info) == {"name", "size", "type", "created", "mtime", "version", "etag", "islink"}
        assert (info["name"], info["size"], info["type"]) == (f"{home}/f", 3, "file")
        assert before <= fs.created(f"{home}/f") <= fs.modified(f"{home}/f") <= datetime.now(UTC)
        assert fs.modified(f"{home}/f").timestamp() == pytest.approx(info["mtime"])
        assert fs.ls(home, detail=True) == [info]
        assert fs.ls(f"{home}/f", detail=False) == [f"{home}/f"]
        assert fs.info(home)["type"] == "directory"
        assert not fs.exists(f"{home}/f/below")
        with pytest.raises(FileNotFoundError):
            fs.ls(f"{home}/missing")

    def test_a_replacement_has_another_key(self, fs: DstoreFileSystem, home: str) -> None:
        fs.pipe_file(f"{home}/f", b"same")
        first = fs.ukey(f"{home}/f"), fs.checksum(f"{home}/f")
        assert (fs.ukey(f"{home}/f"), fs.checksum(f"{home}/f")) == first
        fs.pipe_file(f"{home}/f", b"same")
        assert fs.ukey(f"{home}/f") != first[0]
        assert fs.checksum(f"{home}/f") > first[1]

    def test_walks(self, fs: DstoreFileSystem, home: str) -> None:
        fs.pipe({f"{home}/{name}": name.encode() for name in ("b", "a/1", "a/2", "a/x/3")})
        fs.mkdir(f"{home}/empty")
        assert fs.find(home) == [f"{home}/{name}" for name in ("a/1", "a/2", "a/x/3", "b")]
        assert fs.find(home, maxdepth=1) == [f"{home}/b"]
        assert fs.find(home, maxdepth=2) == [f"{home}/{name}" for name in ("a/1", "a/2", "b")]
        assert fs.find(f"{home}/b") == [f"{home}/b"]
        assert fs.find(f"{home}/missing") == []
        directories = [
            name for name, info in fs.find(home, withdirs=True, detail=True).items() if info["type"] != "file"
        ]
        assert directories == [home, f"{home}/a", f"{home}/a/x", f"{home}/empty"]
        assert fs.glob(f"{home}/**/[13]") == [f"{home}/a/1", f"{home}/a/x/3"]
        assert fs.du(home) == 3 + 3 + 5 + 1
        assert fs.du(home, total=False)[f"{home}/a/x/3"] == 5
        with pytest.raises(ValueError, match="maxdepth"):
            fs.find(home, maxdepth=0)

    def test_moving_keeps_the_content_and_takes_one_step(self, fs: DstoreFileSystem, home: str) -> None:
        fs.pipe({f"{home}/{name}": name.encode() for name in ("tree/1", "tree/a/2", "f", "g", "into/x")})
        created = fs.created(f"{home}/tree/a/2")
        fs.mv(f"{home}/tree", f"{home}/not/yet/moved", recursive=True)
        assert fs.find(f"{home}/not") == [f"{home}/not/yet/moved/1", f"{home}/not/yet/moved/a/2"]
        assert fs.created(f"{home}/not/yet/moved/a/2") == created
        fs.mv(f"{home}/f", f"{home}/into")
        fs.mv([f"{home}/g"], f"{home}/new")
        fs.mv(f"{home}/into/x", f"{home}/into/f")
        assert fs.cat_file(f"{home}/into/f") == b"into/x"
        assert fs.find(home, maxdepth=2) == [f"{home}/into/f", f"{home}/new/g"]
        with pytest.raises(NotImplementedError):
            fs.mv(f"{home}/into", f"{home}/other", recursive=True, maxdepth=1)

    def test_removing(self, fs: DstoreFileSystem, home: str) -> None:
        fs.pipe({f"{home}/{name}": b"" for name in ("a/1", "a/b/2", "c1", "c2", "d")})
        with pytest.raises(OSError, match=r"not empty|recursive"):
            fs.rmdir(f"{home}/a")
        with pytest.raises(NotADirectoryError):
            fs.rmdir(f"{home}/d")
        fs.rm([f"{home}/a", f"{home}/a/b", f"{home}/c*"], recursive=True)
        assert fs.find(home, withdirs=True) == [home, f"{home}/d"]
        fs.rm(f"{home}/d")
        fs.rmdir(home)
        assert not fs.exists(home)

    def test_listings_that_are_kept_are_dropped_by_changes(self, fs: DstoreFileSystem, home: str) -> None:
        keeping = DstoreFileSystem(use_listings_cache=True)
        assert keeping.ls(home) == []
        fs.pipe_file(f"{home}/of-another", b"")
        assert keeping.ls(home) == []
        assert keeping.ls(home, refresh=True, detail=False) == [f"{home}/of-another"]
        keeping.mv(f"{home}/of-another", f"{home}/moved")
        assert keeping.ls(home, detail=False) == [f"{home}/moved"]
        changes: list[Any] = [
            lambda: keeping.pipe_file(f"{home}/a", b""),
            lambda: keeping.cp_file(f"{home}/a", f"{home}/b"),
            lambda: keeping.mkdir(f"{home}/c"),
            lambda: keeping.touch(f"{home}/d"),
            lambda: keeping.rm(f"{home}/a"),
        ]
        for change in changes:
            before = keeping.ls(home, detail=False)
            change()
            assert keeping.ls(home, detail=False) != before

    def test_impossible_paths_are_refused(self, fs: DstoreFileSystem) -> None:
        for path in ("/a/../b", "/a/./b", "/nul\0"):
            with pytest.raises(ValueError, match="Not a valid path"):
                fs.pipe_file(path, b"")


def test_nothing_warns_when_a_written_file_is_forgotten_after_it_was_closed(fs: DstoreFileSystem, home: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = fs.open(f"{home}/f", "wb")
        file.close()
        del file
