"""pandas, pyarrow and polars on ``dstore://``, called as they are called for local files."""

import subprocess
import sys
import textwrap

import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest

from dstore.testing import LocalCluster

ROWS = 10_000


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Numbers that hardly compress, text, and times."""
    random = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "number": np.arange(ROWS),
            "value": random.random(ROWS),
            "city": random.choice(["Oslo", "Lima", "Zürich"], ROWS),
            "at": pd.date_range("2026-01-01", periods=ROWS, freq="s", tz="UTC"),
        }
    )


def run(script: str, environment: dict[str, str]) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_pandas_in_a_process_that_was_told_nothing(
    home: str, frame: pd.DataFrame, process_environment: dict[str, str]
) -> None:
    frame.to_parquet("dstore:///demo.parquet")
    script = """
        import sys

        import pandas as pd

        assert not [name for name in sys.modules if name.startswith("dstore")]
        table = pd.read_parquet("dstore:///demo.parquet")
        print(len(table), table["number"].sum(), *table.columns)
        """
    assert run(script, process_environment) == f"{ROWS} {sum(range(ROWS))} number value city at\n"


def test_pandas_parquet(home: str, frame: pd.DataFrame, dstore_cluster: LocalCluster) -> None:
    # Directories are made as needed.
    frame.to_parquet(f"{home}/deep/er/table.parquet", row_group_size=1000)
    pd.testing.assert_frame_equal(pd.read_parquet(f"{home}/deep/er/table.parquet"), frame)
    some = pd.read_parquet(f"{home}/deep/er/table.parquet", columns=["value"], filters=[("number", ">=", ROWS - 10)])
    assert some["value"].tolist() == frame["value"].tolist()[-10:]
    # A file that is replaced is replaced as a whole.
    frame.head(3).to_parquet(f"{home}/deep/er/table.parquet")
    options = {"endpoint": dstore_cluster.endpoint}
    assert len(pd.read_parquet(f"{home}/deep/er/table.parquet", storage_options=options)) == 3
    with pytest.raises(FileNotFoundError):
        pd.read_parquet(f"{home}/missing.parquet")


def test_pandas_partitioned_parquet(home: str, frame: pd.DataFrame) -> None:
    frame.to_parquet(f"{home}/table", partition_cols=["city"])
    again = pd.read_parquet(f"{home}/table", filters=[("city", "==", "Lima")])
    assert sorted(again["number"]) == frame["number"][frame["city"] == "Lima"].tolist()


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.csv.xz", "table.csv.zip"])
def test_pandas_csv(home: str, frame: pd.DataFrame, name: str) -> None:
    frame.to_csv(f"{home}/{name}", index=False)
    pd.testing.assert_frame_equal(
        pd.read_csv(f"{home}/{name}", parse_dates=["at"]), frame, check_dtype=False, check_freq=False
    )
    pieces = pd.read_csv(f"{home}/{name}", chunksize=4_000, usecols=["number"])
    assert [len(piece) for piece in pieces] == [4_000, 4_000, 2_000]


def test_pandas_json_lines_and_pickle(home: str, frame: pd.DataFrame) -> None:
    frame[["number", "city"]].to_json(f"{home}/table.jsonl", orient="records", lines=True)
    assert pd.read_json(f"{home}/table.jsonl", lines=True)["city"].tolist() == frame["city"].tolist()
    frame.to_pickle(f"{home}/table.pickle")
    pd.testing.assert_frame_equal(pd.read_pickle(f"{home}/table.pickle"), frame)


def test_pyarrow_parquet(home: str, frame: pd.DataFrame) -> None:
    fs, path = fsspec.core.url_to_fs(home)
    table = pa.Table.from_pandas(frame)
    pa.parquet.write_table(table, f"{path}/table.parquet", filesystem=fs, row_group_size=1000)
    assert pa.parquet.read_table(f"{path}/table.parquet", filesystem=fs).equals(table)
    # Without an object: pyarrow asks fsspec when the URL says so.
    assert pa.parquet.read_table(f"fsspec+{home}/table.parquet", columns=["city"]).equals(table.select(["city"]))
    with fs.open(f"{path}/table.parquet") as file, pa.parquet.ParquetFile(file, pre_buffer=True) as parquet:
        assert parquet.num_row_groups == ROWS // 1000
        assert parquet.read_row_group(3).equals(table.slice(3000, 1000))
    with pa.parquet.ParquetWriter(f"{path}/pieces.parquet", table.schema, filesystem=fs) as writer:
        for start in range(0, ROWS, 5000):
            writer.write_table(table.slice(start, 5000))
    assert pa.parquet.read_metadata(f"{path}/pieces.parquet", filesystem=fs).num_rows == ROWS


def test_pyarrow_csv(home: str, frame: pd.DataFrame) -> None:
    fs, path = fsspec.core.url_to_fs(home)
    table = pa.Table.from_pandas(frame[["number", "city"]])
    fs.makedirs(path)
    with fs.open(f"{path}/table.csv", "wb") as file:
        pa.csv.write_csv(table, file)
    with fs.open(f"{path}/table.csv", "rb") as file:
        assert pa.csv.read_csv(file).to_pydict() == table.to_pydict()


def test_pyarrow_dataset(home: str, frame: pd.DataFrame) -> None:
    fs, path = fsspec.core.url_to_fs(home)
    table = pa.Table.from_pandas(frame)

    def write() -> None:
        pa.dataset.write_dataset(
            table,
            path,
            filesystem=fs,
            format="parquet",
            partitioning=["city"],
            partitioning_flavor="hive",
            existing_data_behavior="delete_matching",
            max_rows_per_group=1000,
        )

    # The second time replaces the first.
    write()
    write()
    dataset = pa.dataset.dataset(path, filesystem=fs, partitioning="hive")
    assert sorted(each.split("/")[-2] for each in dataset.files) == ["city=Lima", "city=Oslo", "city=Z%C3%BCrich"]
    assert dataset.count_rows() == ROWS
    lima = dataset.to_table(columns=["number"], filter=pa.dataset.field("city") == "Lima")
    assert sorted(lima["number"].to_pylist()) == frame["number"][frame["city"] == "Lima"].tolist()


def test_pyarrow_filesystem(home: str) -> None:
    fs, path = fsspec.core.url_to_fs(home)
    arrow = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(fs))
    arrow.create_dir(f"{path}/a/b")
    with arrow.open_output_stream(f"{path}/a/b/one") as file:
        file.write(b"one")
    arrow.copy_file(f"{path}/a/b/one", f"{path}/a/two")
    arrow.move(f"{path}/a/two", f"{path}/a/three")
    listed = arrow.get_file_info(pa.fs.FileSelector(path, recursive=True))
    assert [(each.base_name, each.type.name, each.size) for each in sorted(listed, key=lambda each: each.path)] == [
        ("a", "Directory", None),
        ("b", "Directory", None),
        ("one", "File", 3),
        ("three", "File", 3),
    ]
    assert all(each.mtime is not None for each in listed if each.is_file)
    arrow.delete_dir_contents(f"{path}/a")
    assert not arrow.get_file_info(pa.fs.FileSelector(f"{path}/a"))
    assert arrow.get_file_info(f"{path}/missing").type == pa.fs.FileType.NotFound


def test_polars(home: str, frame: pd.DataFrame) -> None:
    table = pl.from_pandas(frame)
    fs, path = fsspec.core.url_to_fs(home)
    with fs.open(f"{path}/table.parquet", "wb") as file:
        table.write_parquet(file, row_group_size=1000)
    with fs.open(f"{path}/table.csv", "wb") as file:
        table.write_csv(file)
    with fs.open(f"{path}/table.parquet", "rb") as file:
        assert pl.read_parquet(file).equals(table)
    with fs.open(f"{path}/table.parquet", "rb") as file:
        few = pl.scan_parquet(file).filter(pl.col("number") < 5).select("city").collect()
    assert few["city"].to_list() == frame["city"].tolist()[:5]
    with fs.open(f"{path}/table.csv", "rb") as file:
        assert pl.read_csv(file)["city"].to_list() == frame["city"].tolist()
