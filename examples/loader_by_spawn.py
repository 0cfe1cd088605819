"""Samples loaded by several processes, as PyTorch's DataLoader does it, without PyTorch.

With PyTorch: `DataLoader(Samples(URL), num_workers=2, multiprocessing_context="spawn")`. Spawn, not fork: connections
do not survive a fork. The filesystem is pickled with the dataset, and takes along the name of the key, never the key.
"""

import concurrent.futures
import multiprocessing

import fsspec

URL = "dstore:///loader-example"
COUNT = 64
SIZE_BYTES = 10_000


class Samples:
    """A dataset as loaders want it: a length, and one sample by its number."""

    def __init__(self, url: str) -> None:
        self._fs, path = fsspec.core.url_to_fs(url)
        self._paths = self._fs.find(path)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> bytes:
        content: bytes = self._fs.cat_file(self._paths[index])
        return content


def load(samples: Samples, indices: range) -> int:
    """Run in a worker: load a batch, and return what stands for the work on it."""
    return sum(samples[index][0] for index in indices)


def main() -> None:
    """Store samples, and let two processes load them in batches."""
    fs, path = fsspec.core.url_to_fs(URL)
    # Many at once: those that are small travel together.
    fs.pipe({f"{path}/{number:05}": bytes([number]) * SIZE_BYTES for number in range(COUNT)})

    samples = Samples(URL)
    batches = [range(start, start + 16) for start in range(0, len(samples), 16)]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers:
        sums = list(workers.map(load, [samples] * len(batches), batches))
    print(f"{len(samples)} samples in {len(batches)} batches: {sums}")


if __name__ == "__main__":
    main()
