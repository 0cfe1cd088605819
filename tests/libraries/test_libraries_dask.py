"""dask on ``dstore://``, in threads and in processes that are started by spawn."""

import concurrent.futures
import multiprocessing
from collections.abc import Iterator
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

ROWS = 10_000


@pytest.fixture(scope="module")
def pool() -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """A process that inherits the environment and nothing else."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def write_csvs(home: str) -> None:
    for number in range(4):
        pd.DataFrame({"part": number, "value": np.arange(ROWS)}).to_csv(f"{home}/in-{number}.csv", index=False)


@pytest.mark.filterwarnings(
    "ignore:The inplace keyword in DataFrame.reset_index is deprecated and will be removed in a future version"
)
@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(home: str, scheduler: str, pool: concurrent.futures.ProcessPoolExecutor) -> None:
    write_csvs(home)
    chosen: dict[str, Any] = {"scheduler": scheduler} | ({"pool": pool} if scheduler == "processes" else {})
    with dask.config.set(chosen):
        table = dd.read_csv(f"{home}/in-*.csv")
        assert table.npartitions == 4
        assert table["value"].sum().compute() == 4 * sum(range(ROWS))
        table.to_parquet(f"{home}/table", write_index=False)
        again = dd.read_parquet(f"{home}/table", filters=[("part", ">", 1)])
        assert again.groupby("part")["value"].count().compute().to_dict() == {2: ROWS, 3: ROWS}
        again.to_csv(f"{home}/out-*.csv", index=False)
    assert sum(len(pd.read_csv(path)) for path in (f"{home}/out-0.csv", f"{home}/out-1.csv")) == 2 * ROWS
