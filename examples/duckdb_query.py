"""SQL over parquet files in the store, with DuckDB.

DuckDB fetches the footers, and then the columns and the groups of rows that the query needs.
"""

import duckdb
import fsspec

URL = "dstore:///duckdb-example"


def main() -> None:
    """Write a table in parts, and query all of them as one."""
    # A filesystem that DuckDB does not bring itself is registered once for each connection.
    database = duckdb.connect()
    database.register_filesystem(fsspec.filesystem("dstore"))

    for year in (2024, 2025, 2026):
        days = database.sql("SELECT ? AS year, range AS day, (range * 7) % 100 AS sold FROM range(365)", params=[year])
        days.write_parquet(f"{URL}/{year}.parquet")

    query = "SELECT year, count(*), sum(sold) FROM read_parquet(?) GROUP BY year ORDER BY year"
    for year, count, sold in database.execute(query, [f"{URL}/*.parquet"]).fetchall():
        print(f"{year}: {count} days, {sold} sold")

    # Threads of one program take a cursor each.
    with database.cursor() as cursor:
        best = cursor.execute("SELECT max(sold) FROM read_parquet(?) WHERE day < 100", [f"{URL}/2026.parquet"])
        print(f"best day of the first hundred: {best.fetchall()[0][0]}")


if __name__ == "__main__":
    main()
