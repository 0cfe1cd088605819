"""Tables in the store, with pandas and nothing else: every library that takes fsspec URLs takes dstore://.

Nothing of dstore is imported. fsspec finds it, and it finds the cluster and the key that `dstore up` wrote down.
"""

import pandas as pd

URL = "dstore:///pandas-example"


def main() -> None:
    """Write tables, and read parts of them."""
    days = pd.date_range("2026-01-01", periods=365, name="day")
    sales = pd.DataFrame({"day": days, "shop": ["Oslo", "Lima", "Kyoto", "Accra", "Quito"] * 73, "sold": range(365)})

    # Directories are made as needed; the file appears as a whole.
    sales.to_parquet(f"{URL}/sales.parquet")

    # Only the columns and the groups of rows that are asked for travel.
    lima = pd.read_parquet(f"{URL}/sales.parquet", columns=["sold"], filters=[("shop", "==", "Lima")])
    print(f"Lima sold {lima['sold'].sum()} on {len(lima)} days")

    # A directory for each shop.
    sales.to_parquet(f"{URL}/by-shop", partition_cols=["shop"])
    print(f"{len(pd.read_parquet(f'{URL}/by-shop'))} rows in {sales['shop'].nunique()} directories")

    # Text, compressed as the name says.
    sales.to_csv(f"{URL}/sales.csv.gz", index=False)
    first = pd.read_csv(f"{URL}/sales.csv.gz", parse_dates=["day"], nrows=2)
    print(first.to_string(index=False))


if __name__ == "__main__":
    main()
