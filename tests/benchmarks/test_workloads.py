from benchmarks.workloads import CALLERS, GIB, MIB, Scale, Unit, workloads


def test_names_are_unique_and_what_is_needed_comes_before() -> None:
    seen: set[str] = set()
    for workload in workloads(Scale.full()):
        assert workload.name not in seen
        assert workload.needs is None or workload.needs in seen, workload
        seen.add(workload.name)


def test_the_promised_workloads_are_there() -> None:
    names = {workload.name for workload in workloads(Scale.full())}
    assert {"write-large", "read-large", "read-4k-ranges", "read-64k-ranges", "put-many", "get-many"} <= names
    assert {f"{verb}-small-{callers}" for verb in ("write", "read") for callers in CALLERS} <= names
    assert {f"names-{verb}" for verb in ("create", "stat", "list", "rename", "remove")} <= names


def test_what_changes_its_source_needs_one() -> None:
    consuming = [workload for workload in workloads(Scale.full()) if workload.is_consuming]
    assert [workload.verb for workload in consuming] == ["rename", "remove"]
    assert all(workload.needs for workload in consuming)


def test_a_full_run_moves_what_the_figures_say() -> None:
    full = {workload.name: workload for workload in workloads(Scale.full())}
    assert full["write-large"].size_bytes == full["read-large"].size_bytes == GIB
    assert full["write-large"].unit is Unit.MIB_PER_S
    assert full["put-many"].count == 10_000
    assert full["write-small-16"].size_bytes == 1024


def test_a_quick_run_does_the_same_with_less() -> None:
    full, quick = workloads(Scale.full()), workloads(Scale.quick())
    assert [workload.name for workload in full] == [workload.name for workload in quick]
    assert all(
        less.size_bytes * less.count <= more.size_bytes * more.count for less, more in zip(quick, full, strict=True)
    )
    assert quick[0].size_bytes == 128 * MIB
