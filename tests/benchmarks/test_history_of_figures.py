from pathlib import Path

import pytest
from figure_samples import figure, results

from benchmarks import history
from benchmarks.figures import Results


def test_one_file_for_each_commit_in_the_order_of_time(tmp_path: Path) -> None:
    newer, older = results(commit="a" * 40, day=9), results(commit="b" * 40, day=2)
    for each in (newer, older, newer):
        history.save(each, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2030-01-02-bbbbbbbbbbbb.json",
        "2030-01-09-aaaaaaaaaaaa.json",
    ]
    assert history.load(tmp_path) == [older, newer]


def test_what_is_not_the_commit_itself_does_not_take_its_place() -> None:
    names = {history.file_name(each) for each in (results(), results(has_changes=True), results(scale="quick"))}
    assert len(names) == 3


@pytest.mark.parametrize("other", [results(cores=4), results(scale="quick"), results(load=1.1)])
def test_other_machines_and_scales_and_busy_ones_are_not_compared(other: Results) -> None:
    newest, same = results(day=5), results(day=4)
    assert history.comparable(newest, [other, same, newest]) == [same]


@pytest.mark.parametrize(
    ("median", "reference", "is_slower"),
    [
        pytest.param(100.0, 100.0, False, id="as before"),
        pytest.param(89.0, 100.0, True, id="slower by itself and against the reference"),
        pytest.param(91.0, 100.0, False, id="within the tolerance"),
        pytest.param(60.0, 60.0, False, id="the whole machine was slower"),
        pytest.param(100.0, 150.0, False, id="only the reference was faster"),
    ],
)
def test_slower_is_what_fell_by_itself_and_against_the_reference(
    median: float, reference: float, is_slower: bool
) -> None:
    older = [
        results(figure("dstore", 100.0), figure("bare grpc", 100.0, variant="files"), day=day) for day in (1, 2, 3)
    ]
    newest = results(figure("dstore", median), figure("bare grpc", reference, variant="files"), day=4)
    (change,) = history.changes(newest, older)
    assert change.is_slower is is_slower
    assert change.ratio == median / 100


def test_without_a_reference_the_figure_speaks_for_itself() -> None:
    (change,) = history.changes(results(figure("dstore", 50.0), day=2), [results(figure("dstore", 100.0))])
    assert change.reference_ratio is None
    assert change.is_slower


def test_new_figures_and_those_of_others_are_not_compared() -> None:
    older = [results(figure("dstore", 100.0), figure("seaweedfs", 100.0))]
    newest = results(figure("dstore", 1.0, variant="replicated"), figure("seaweedfs", 1.0), figure("dstore"), day=2)
    assert history.changes(newest, older) == []


def test_the_timeline_has_a_column_for_each_commit() -> None:
    first, second = results(figure("dstore", 100.0), commit="a" * 40), results(commit="b" * 40, day=2)
    heading, line = history.timeline([first, second])
    assert heading == "commits: aaaaaaa bbbbbbb"
    assert line.split() == ["tmpfs", "write-large", "synced", "100", "–"]
