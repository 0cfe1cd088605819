"""Read parts of a large file: one, several at once, or as a seekable file; only what is needed is fetched.

The file here is an archive of records with an index behind them, as Parquet and Zarr have it.
"""

import struct

import dstore

PATH = "/archive.bin"
RECORD_SIZE_BYTES = 1_000
RECORDS = 50_000
FOOTER = struct.Struct("<QQ")


def write_archive(store: dstore.Client) -> None:
    """Write records, and behind them where they end and how many there are."""
    with store.open(PATH, "wb") as file:
        for number in range(RECORDS):
            file.write(number.to_bytes(4, "little") * (RECORD_SIZE_BYTES // 4))
        file.write(FOOTER.pack(RECORDS * RECORD_SIZE_BYTES, RECORDS))


def main() -> None:
    """Write an archive, and read it in three ways."""
    with dstore.connect() as store:
        write_archive(store)
        size_bytes = store.stat(PATH).size_bytes

        # One range: the footer.
        end, records = FOOTER.unpack(store.get(PATH, offset=size_bytes - FOOTER.size, length=FOOTER.size))
        print(f"{size_bytes} bytes, {records} records before byte {end}")

        # Several ranges, all of one version of the file; those that are close to each other are fetched together.
        wanted = [7, 8, 9, 31_337, 49_999]
        pieces = store.get(PATH, ranges=[(number * RECORD_SIZE_BYTES, RECORD_SIZE_BYTES) for number in wanted])
        for number, piece in zip(wanted, pieces, strict=True):
            print(f"record {number} begins with {int.from_bytes(piece[:4], 'little')}")

        # A seekable file, for libraries that want one; it reads ahead while it is read in order.
        with store.open(PATH, "rb") as file:
            file.seek(12_345 * RECORD_SIZE_BYTES)
            print(f"after a seek: {int.from_bytes(file.read(4), 'little')}")

        store.remove(PATH)


if __name__ == "__main__":
    main()
