"""No call, no start, and no round of the upkeep reads all rows of a table that grows with the files."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest
from master_harness import MasterHarness, server_id

from dstore.core.ids import Version
from dstore.master.namespace_check import check_entries

#: They grow with servers, groups and calls under way, and not with files.
SMALL_TABLES = {"counters", "meta", "leader", "servers", "s", "groups", "g", "group_members", "moments", "intents"}
#: As large as what has to be repaired, and counted in every round while that goes on.
REPAIR_TABLES = {"missing_replicas", "lost"}
_SCAN = re.compile(r"SCAN (\w+)")


class Recorder:
    """Every statement that any connection ran, once."""

    def __init__(self) -> None:
        self._seen: dict[str, object] = {}

    def connect(self, connection: apsw.Connection) -> None:
        connection.exec_trace = self._trace

    def _trace(self, cursor: object, sql: str, values: object) -> bool:
        if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            self._seen.setdefault(sql, values)
        return True

    def forget(self) -> None:
        self._seen.clear()

    def plans(self, path: Path) -> dict[str, list[str]]:
        """Return how each statement is carried out."""
        assert self._seen
        database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        plans = {
            sql: [str(row[-1]) for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()]  # type: ignore[arg-type]
            for sql, values in self._seen.items()
        }
        database.close()
        return plans

    def scans(self, path: Path) -> set[str]:
        """Return the statements that read a whole table which grows with the files, with how."""
        found = set()
        for sql, steps in self.plans(path).items():
            for step in steps:
                scan = _SCAN.match(step)
                if scan is not None and scan.group(1) not in SMALL_TABLES | REPAIR_TABLES:
                    found.add(f"{step}: {sql}")
        return found


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    apsw.connection_hooks.append(recorder.connect)
    yield recorder
    apsw.connection_hooks.remove(recorder.connect)


@pytest.fixture
async def recorded(recorder: Recorder, tmp_path: Path) -> AsyncIterator[MasterHarness]:
    harness = MasterHarness(tmp_path)
    await harness.open()
    await harness.join(1, 2, 3)
    yield harness
    assert recorder.scans(tmp_path / "metadata.db") == set()
    await harness.store.close()


async def test_reading(recorded: MasterHarness, recorder: Recorder) -> None:
    info = await recorded.write("/a", chunk_count=2)
    await recorded.make_directory("/b/c")
    recorder.forget()
    name = recorded.namespace
    await name.stat("/b/c")
    await name.list("/", page_size=1, page_token="")
    await name.open_file("/a")
    await name.open_files(("/a", "/b"))
    await name.stat_files(("/a", "/b"))
    await name.list_chunks(info.file_id, info.version, start_index=1, count=1)
    await name.list_removed("/", recursive=True, page_size=0, page_token="")
    await name.list_removed("/b", recursive=False, page_size=0, page_token="")
    await name.list_removed("/a", recursive=False, page_size=0, page_token="")
    await recorded.master.admin.describe_file("/a", start_index=0, count=1)


async def test_changing(recorded: MasterHarness, recorder: Recorder) -> None:
    recorder.forget()
    await recorded.make_directory("/a/b")
    first = await recorded.write("/a/b/c", chunk_count=2, without=[server_id(3)])
    await recorded.write("/a/b/c", chunk_count=2)
    await recorded.write("/d", chunk_count=1)
    await recorded.rename("/d", "/a/b/c")
    await recorded.remove("/a/b/c")
    await recorded.restore("/a/b/c", version=0)
    await recorded.restore("/a/b/c", "/e", version=Version(first.version))
    await recorded.remove("/a", recursive=True)
    await recorded.collect_all()


async def test_rounds_of_the_upkeep(recorded: MasterHarness, recorder: Recorder) -> None:
    await recorded.write("/a", chunk_count=2, without=[server_id(3)])
    await recorded.write("/b", chunk_count=2)
    await recorded.remove("/b")
    await recorded.collect_all()
    recorder.forget()
    for _ in range(20):
        await recorded.advance(10.0)
        await recorded.upkeep.step()
        await recorded.master.audit.step()
    assert recorded.shown[-1].deleted_chunks


async def test_starting(recorded: MasterHarness, recorder: Recorder) -> None:
    await recorded.write("/a", chunk_count=2)
    recorder.forget()
    await recorded.restart()
    await recorded.upkeep.step()


async def test_a_page_of_the_check_sorts_no_directory(empty: MasterHarness, recorder: Recorder, tmp_path: Path) -> None:
    await empty.restart()
    recorder.forget()
    await empty.store.read(lambda tx: check_entries(tx, (0, b"")))
    (steps,) = recorder.plans(tmp_path / "metadata.db").values()
    # What is sorted is one page, which is read before.
    assert "SCAN e" in steps
    assert not any("TEMP B-TREE" in step for step in steps[: steps.index("SCAN e")])
