"""What was done is told until a report that told it was answered."""

from upkeep_cluster import GROUP, chunk

from dstore.chunkserver.outcomes import OutcomeBox
from dstore.core.ids import ChunkId, ServerId
from dstore.core.limits import CORRUPT_REPORTED_MAX, DISCARDS_PER_ORDER_MAX
from dstore.core.upkeep import Filled, Outcomes

A, B = ServerId("a"), ServerId("b")


def test_outcomes_are_told_until_they_are_forgotten() -> None:
    box = OutcomeBox(set())
    box.add_held(chunk(1))
    box.add_discarded([chunk(2), chunk(3)])
    box.add_dropped(GROUP)
    box.add_filled(Filled(GROUP, 2, (A,)))
    told = box.report()
    assert told == Outcomes((Filled(GROUP, 2, (A,)),), (chunk(1),), (), (chunk(2), chunk(3)), (GROUP,))
    assert box.report() == told
    box.forget(told)
    assert box.report() == Outcomes()


def test_what_changed_since_the_report_is_told_next_time() -> None:
    box = OutcomeBox(set())
    box.add_filled(Filled(GROUP, 2, (A,)))
    box.add_discarded([chunk(1)])
    told = box.report()
    box.add_filled(Filled(GROUP, 2, (A, B)))
    box.add_discarded([chunk(2)])
    box.forget(told)
    assert box.report() == Outcomes(filled=(Filled(GROUP, 2, (A, B)),), discarded=(chunk(2),))


def test_damaged_chunks_are_told_with_every_report_and_are_not_held() -> None:
    corrupt: set[ChunkId] = set()
    box = OutcomeBox(corrupt)
    box.add_held(chunk(1))
    corrupt.add(chunk(1))
    for _ in range(2):
        told = box.report()
        assert told == Outcomes(corrupt=(chunk(1),))
        box.forget(told)
    corrupt.clear()
    assert box.report() == Outcomes()


def test_reports_are_bounded_and_nothing_is_lost() -> None:
    box = OutcomeBox({chunk(number) for number in range(CORRUPT_REPORTED_MAX + 1)})
    wanted = [chunk(number) for number in range(2 * DISCARDS_PER_ORDER_MAX + 1)]
    box.add_discarded(wanted)
    told: list[ChunkId] = []
    for size in (DISCARDS_PER_ORDER_MAX, DISCARDS_PER_ORDER_MAX, 1, 0):
        report = box.report()
        assert len(report.corrupt) == CORRUPT_REPORTED_MAX
        assert len(report.discarded) == size
        told += report.discarded
        box.forget(report)
    assert told == wanted
