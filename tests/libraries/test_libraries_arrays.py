"""zarr and xarray on ``dstore://``: many small objects, asked for at once on a loop of zarr's own."""

import asyncio

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.errors import ZarrUserWarning
from zarr.storage import FsspecStore

from dstore.fsspec import DstoreFileSystem

SHAPE = (400, 300)


def pattern() -> np.ndarray:
    return np.arange(SHAPE[0] * SHAPE[1], dtype="int32").reshape(SHAPE)


def test_zarr_by_url(home: str) -> None:
    array = zarr.create_array(f"{home}/array.zarr", shape=SHAPE, chunks=(50, 100), dtype="int32")
    array[:] = pattern()
    array[10:20, 5] = -1
    again = zarr.open_array(f"{home}/array.zarr", mode="r")
    expected = pattern()
    expected[10:20, 5] = -1
    np.testing.assert_array_equal(again[:], expected)
    np.testing.assert_array_equal(again[390:, 290:], expected[390:, 290:])


def test_zarr_shards_are_read_in_parts(home: str) -> None:
    array = zarr.create_array(f"{home}/array.zarr", shape=SHAPE, chunks=(10, 10), shards=(200, 100), dtype="int32")
    array[:] = pattern()
    fs, path = fsspec.core.url_to_fs(home)
    assert len(fs.find(f"{path}/array.zarr/c")) == 6
    again = zarr.open_array(f"{home}/array.zarr", mode="r")
    np.testing.assert_array_equal(again[195:205, 95:105], pattern()[195:205, 95:105])


def test_zarr_groups(home: str) -> None:
    group = zarr.open_group(f"{home}/group.zarr", mode="w")
    for name in ("one", "two"):
        group.create_array(f"deep/{name}", data=pattern(), attributes={"called": name})
    with pytest.warns(ZarrUserWarning, match="Consolidated metadata is currently not part in the Zarr format 3"):
        zarr.consolidate_metadata(group.store)
    again = zarr.open_group(f"{home}/group.zarr", mode="r+")
    assert sorted(name for name, _ in again["deep"].arrays()) == ["one", "two"]
    assert again["deep/two"].attrs["called"] == "two"
    del again["deep/one"]
    assert sorted(
        name for name, _ in zarr.open_group(f"{home}/group.zarr", use_consolidated=False)["deep"].arrays()
    ) == ["two"]
    # What was there is gone when it is made anew.
    assert not list(zarr.open_group(f"{home}/group.zarr", mode="w").members())


def test_zarr_store_of_a_filesystem(home: str) -> None:
    path = home.removeprefix("dstore://")
    store = FsspecStore(DstoreFileSystem(asynchronous=True), path=path)
    array = zarr.create_array(store, name="array", shape=SHAPE, chunks=(100, 100), dtype="int32")
    array[:] = pattern()
    np.testing.assert_array_equal(zarr.open_array(FsspecStore.from_url(f"{home}/array"), mode="r")[:], pattern())


def test_zarr_on_the_loop_of_a_program(home: str) -> None:
    async def use(name: str) -> np.ndarray:
        store = FsspecStore.from_url(f"{home}/{name}")
        group = await zarr.api.asynchronous.open_group(store, mode="w")
        array = await group.create_array("array", shape=SHAPE, chunks=(100, 100), dtype="int32")
        await array.setitem(slice(None), pattern())
        assert [name async for name in store.list_dir("array/c/0")] == ["0", "1", "2"]
        return np.asarray(await array.getitem((slice(100, 200), slice(None))))

    async def at_once() -> list[np.ndarray]:
        return await asyncio.gather(*(use(name) for name in "abc"))

    for read in asyncio.run(at_once()):
        np.testing.assert_array_equal(read, pattern()[100:200])


def dataset() -> xr.Dataset:
    return xr.Dataset(
        {"temperature": (("time", "place"), pattern().astype("float32"), {"unit": "K"})},
        coords={"time": np.arange(SHAPE[0]), "place": np.arange(SHAPE[1])},
    )


def test_xarray(home: str) -> None:
    dataset().to_zarr(f"{home}/data.zarr", consolidated=False)
    with xr.open_zarr(f"{home}/data.zarr", consolidated=False, chunks=None) as read:
        xr.testing.assert_identical(read.load(), dataset())


def test_xarray_appends(home: str) -> None:
    dataset().to_zarr(f"{home}/data.zarr", consolidated=False, encoding={"temperature": {"chunks": (100, 100)}})
    later = dataset().assign_coords(time=dataset()["time"] + SHAPE[0])
    later.to_zarr(f"{home}/data.zarr", consolidated=False, append_dim="time")
    with xr.open_zarr(f"{home}/data.zarr", consolidated=False, chunks={}) as read:
        assert read["temperature"].chunks is not None
        xr.testing.assert_identical(read.compute(), xr.concat([dataset(), later], dim="time"))


def test_xarray_through_a_cache(home: str, tmp_path: object) -> None:
    dataset().to_zarr(f"{home}/data.zarr", consolidated=False)
    options = {"simplecache": {"cache_storage": str(tmp_path)}, "dstore": {"asynchronous": True}}
    with xr.open_zarr(
        f"simplecache::{home}/data.zarr", consolidated=False, chunks=None, storage_options=options
    ) as read:
        xr.testing.assert_identical(read.load(), dataset())
