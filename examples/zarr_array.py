"""An array in chunks, with zarr: each chunk is an object of its own, and only those that are needed are fetched."""

import numpy as np
import zarr

URL = "dstore:///zarr-example/heights.zarr"
SIZE = 2_000


def main() -> None:
    """Write an array, change a part of it, and read parts back."""
    heights = zarr.create_array(
        URL,
        shape=(SIZE, SIZE),
        # What is read at once, and what is stored at once: 16 chunks in one object need one sixteenth of the calls.
        chunks=(250, 250),
        shards=(1000, 1000),
        dtype="float32",
        attributes={"unit": "m"},
        overwrite=True,
    )
    row, column = np.ogrid[:SIZE, :SIZE]
    heights[:] = row + column / 10

    # Another process would begin here.
    again = zarr.open_array(URL, mode="r+")
    print(f"{again.shape[0]} × {again.shape[1]} in {again.attrs['unit']}")
    print(f"one row of a part: {again[1000, 10:13]}")

    # The object that holds this part is replaced, in one step.
    again[0:10, 0:10] = -1
    print(f"mean of the corner: {zarr.open_array(URL, mode='r')[:20, :20].mean():.3f}")


if __name__ == "__main__":
    main()
