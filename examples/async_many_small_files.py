"""Store and read thousands of small files: in lists, or as many tasks that ask at once.

Calls that are made at the same time travel together, so both ways need few messages and few transactions.
"""

import asyncio
import time

import dstore

COUNT = 2_000
DIRECTORY = "/many-small-files"


async def in_lists(store: dstore.AsyncClient) -> None:
    """Say in advance what is wanted; each item has an outcome or an error of its own."""
    paths = [f"{DIRECTORY}/listed-{number}" for number in range(COUNT)]
    outcomes = await store.put_many((path, path.encode()) for path in paths)
    failed = [outcome for outcome in outcomes if isinstance(outcome, dstore.DstoreError)]
    print(f"put_many: {len(outcomes)} files, {len(failed)} failed")
    contents = await store.get_many([*paths, f"{DIRECTORY}/missing"])
    right = sum(content == path.encode() for path, content in zip(paths, contents, strict=False))
    print(f"get_many: {right} as they were stored; of the one that is missing: {contents[-1]!r:.40}…")


async def in_tasks(store: dstore.AsyncClient) -> None:
    """Ask one by one, from many tasks."""

    async def keep(number: int) -> bool:
        path = f"{DIRECTORY}/task-{number}"
        await store.put(path, str(number).encode())
        return await store.get(path) == str(number).encode()

    kept = await asyncio.gather(*(keep(number) for number in range(COUNT)))
    print(f"tasks: {sum(kept)} files stored and read back")


async def main() -> None:
    """Do it both ways, and clean up."""
    async with dstore.connect_async() as store:
        await store.make_directory(DIRECTORY, exist_ok=True)
        for way in (in_lists, in_tasks):
            started_s = time.monotonic()
            await way(store)
            print(f"  {time.monotonic() - started_s:.2f} s")
        await store.remove(DIRECTORY, recursive=True)


if __name__ == "__main__":
    asyncio.run(main())
