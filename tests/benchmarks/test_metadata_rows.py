"""What is filled in bulk is what a master would have written: it serves it, and finds nothing wrong with it."""

from pathlib import Path

import pytest

from benchmarks import metadata_rows
from benchmarks.metadata import sample_paths
from benchmarks.metadata_master import open_model
from dstore.master.namespace_check import check_chunk_tables, check_entries, check_inodes

FILES = 10_000


async def test_a_filled_database_is_whole_and_served(tmp_path: Path) -> None:
    await metadata_rows.fill(tmp_path, FILES, lambda _: None, check=True)
    async with open_model(tmp_path) as model:
        name, store = model.master.namespace, model.master.shared.store
        for path in sample_paths(FILES, 50, seed=1):
            assert (await name.stat(path)).path == path
        for directory in metadata_rows.plan(FILES):
            count, token = 0, ""
            while True:
                page = await name.list(directory.path, page_size=1_000, page_token=token)
                count, token = count + len(page.entries), page.next_page_token
                if not token:
                    break
            assert count == directory.count
        for check in (check_entries, check_inodes):
            position: tuple[int, bytes] | None = (0, b"")
            while position is not None:
                found = await store.read(lambda tx: check(tx, position))  # type: ignore[arg-type]  # noqa: B023
                assert found.findings == ()
                position = found.position
        assert await store.read(check_chunk_tables) == ()
        await model.lead()
        assert (await model.master.admin.get_collection()).deleted_chunks == FILES // metadata_rows.DELETED_EVERY


@pytest.mark.parametrize("files", [0, 1_000, 10_001])
def test_too_few_files_cannot_be_spread(files: int) -> None:
    with pytest.raises(ValueError, match="cannot be spread"):
        metadata_rows.plan(files)


@pytest.mark.parametrize("files", [10_000, 1_000_000, 10_000_000])
def test_all_files_are_planned(files: int) -> None:
    directories = metadata_rows.plan(files)
    assert sum(directory.count for directory in directories) == files
    assert len({directory.path for directory in directories}) == len(directories)
