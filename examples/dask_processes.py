"""A table in parts, worked on by several processes, with dask.

dask sends the names of the cluster and of the key to its workers, never the key; each finds them as this process did.
Workers are started by spawn, dask's default, so what is not a definition stands below `if __name__ == "__main__"`.
"""

import dask
import dask.dataframe as dd
import pandas as pd

URL = "dstore:///dask-example"
PARTS = 4
ROWS = 25_000


def main() -> None:
    """Write text in parts, turn it into parquet, and ask about it."""
    for part in range(PARTS):
        rows = range(part * ROWS, (part + 1) * ROWS)
        pd.DataFrame({"number": rows, "last_digit": [row % 10 for row in rows]}).to_csv(
            f"{URL}/numbers-{part}.csv", index=False
        )

    with dask.config.set(scheduler="processes", num_workers=2):
        numbers = dd.read_csv(f"{URL}/numbers-*.csv")
        # Each part becomes a file of its own, and appears when it is whole.
        numbers.to_parquet(f"{URL}/numbers", overwrite=True, write_index=False)

    # Threads are enough where libraries do the work outside of Python.
    with dask.config.set(scheduler="threads"):
        again = dd.read_parquet(f"{URL}/numbers")
        print(f"{again.npartitions} parts, sum {again['number'].sum().compute()}")
        largest = again.groupby("last_digit")["number"].max().compute()
        print(f"the largest that ends with 7 is {largest[7]}")


if __name__ == "__main__":
    main()
