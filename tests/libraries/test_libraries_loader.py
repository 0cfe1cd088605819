"""Loaders as PyTorch has them: a dataset that holds the filesystem is sent to processes that are started by spawn."""

import multiprocessing
from typing import Any

import fsspec
import numpy as np

SPAWN = multiprocessing.get_context("spawn")


class Samples:
    """A dataset as loaders want it: its length, and one item by its number. It holds the filesystem, and is pickled."""

    def __init__(self, url: str) -> None:
        self._fs, path = fsspec.core.url_to_fs(url)
        self._paths = self._fs.find(path)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        with self._fs.open(self._paths[index], "rb") as file:
            return np.load(file)


def serve(samples: Samples, wanted: "multiprocessing.Queue[int | None]", loaded: "multiprocessing.Queue[Any]") -> None:
    while (index := wanted.get()) is not None:
        loaded.put((index, samples[index].sum()))


def test_a_loader_of_several_processes(home: str) -> None:
    fs, path = fsspec.core.url_to_fs(home)
    for number in range(40):
        with fs.open(f"{path}/{number:03}.npy", "wb") as file:
            np.save(file, np.full((8, 8), number))
    samples = Samples(home)
    wanted, loaded = SPAWN.Queue(), SPAWN.Queue()
    # The parent has used the filesystem, and goes on using it.
    assert samples[3].sum() == 64 * 3
    workers = [SPAWN.Process(target=serve, args=(samples, wanted, loaded)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for index in range(len(samples)):
        wanted.put(index)
    try:
        assert dict(loaded.get() for _ in samples._paths) == {number: 64 * number for number in range(40)}
    finally:
        for _ in workers:
            wanted.put(None)
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
