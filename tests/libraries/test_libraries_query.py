"""DuckDB on ``dstore://``. Its threads hold no lock of Python's while they wait for each other, and files call back."""

import concurrent.futures

import duckdb
import fsspec
import numpy as np
import pandas as pd
import pytest

ROWS = 50_000


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    """A database in memory, with several threads, that knows ``dstore://``."""
    connection = duckdb.connect(config={"threads": 4})
    connection.register_filesystem(fsspec.filesystem("dstore"))
    return connection


def write_tables(home: str, count: int) -> None:
    for number in range(count):
        rows = np.arange(number * ROWS, (number + 1) * ROWS)
        pd.DataFrame({"number": rows, "square": rows * rows}).to_parquet(
            f"{home}/part={number}/table.parquet", row_group_size=5_000
        )


def test_read_parquet(home: str, connection: duckdb.DuckDBPyConnection) -> None:
    write_tables(home, 1)
    rows = connection.sql(f"SELECT count(*), sum(square) FROM read_parquet('{home}/part=0/table.parquet')").fetchall()
    assert rows == [(ROWS, sum(number * number for number in range(ROWS)))]
    with pytest.raises(duckdb.Error, match="missing"):
        connection.sql(f"SELECT * FROM read_parquet('{home}/missing.parquet')").fetchall()


def test_globs_and_hive_partitions(home: str, connection: duckdb.DuckDBPyConnection) -> None:
    write_tables(home, 3)
    query = (
        f"SELECT part, count(*) FROM read_parquet('{home}/*/*.parquet', hive_partitioning = true) GROUP BY 1 ORDER BY 1"
    )
    assert connection.sql(query).fetchall() == [(0, ROWS), (1, ROWS), (2, ROWS)]


def test_copy_to(home: str, connection: duckdb.DuckDBPyConnection) -> None:
    for form in ("parquet", "csv"):
        target = f"{home}/table.{form}"
        connection.execute(f"COPY (SELECT range AS number FROM range({ROWS})) TO '{target}' (FORMAT {form})")
        assert connection.sql(f"SELECT sum(number) FROM '{target}'").fetchall() == [(sum(range(ROWS)),)]
    assert len(pd.read_parquet(f"{home}/table.parquet")) == ROWS


def test_several_threads_query_at_once(home: str, connection: duckdb.DuckDBPyConnection) -> None:
    write_tables(home, 4)

    def query(number: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT max(number) FROM read_parquet('{home}/part={number}/*.parquet')")
            return int(cursor.fetchall()[0][0])

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        assert list(threads.map(query, [0, 1, 2, 3] * 3)) == [(number + 1) * ROWS - 1 for number in range(4)] * 3
