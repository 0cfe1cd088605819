"""The checker, on histories written by hand: it must accept the good ones and refuse the bad ones."""

from typing import Any

import pytest

from simulation.history import Certainty, History, Operation
from simulation.linearizability import check
from simulation.namespace_model import DIRECTORY, State

START = State({"/a": DIRECTORY})


class Script:
    """A history that is written down event by event."""

    def __init__(self) -> None:
        self.history = History()

    def begin(self, kind: str, path: str, **options: Any) -> Operation:
        if kind == "put":
            options = {"content": len(self.history.operations), "size": 10, **options}
        return self.history.begin("someone", kind, path, **options)

    def end(self, operation: Operation, result: object = None) -> Operation:
        """Answer; a text is the name of a refusal."""
        refused = isinstance(result, str) and result != DIRECTORY
        self.history.end(operation, Certainty.REFUSED if refused else Certainty.DONE, result)
        return operation

    def whole(self, kind: str, path: str, result: object = None, **options: Any) -> Operation:
        """Call and answer, with nothing between."""
        return self.end(self.begin(kind, path, **options), result)

    def holds(self) -> bool | None:
        return check(self.history.operations, START).holds


@pytest.fixture
def script() -> Script:
    return Script()


def test_an_empty_history_holds(script: Script) -> None:
    assert script.holds()


def test_what_was_put_is_read(script: Script) -> None:
    put = script.whole("put", "/a/x", 5)
    script.whole("get", "/a/x", put.index)
    script.whole("stat", "/a/x", (10, 5))
    assert script.holds()


def test_a_lost_write_is_found(script: Script) -> None:
    script.whole("put", "/a/x", 5)
    script.whole("get", "/a/x", "NotFound")
    assert script.holds() is False


def test_a_stale_read_is_found(script: Script) -> None:
    first = script.whole("put", "/a/x", 5)
    second = script.whole("put", "/a/x", 6)
    script.whole("get", "/a/x", second.index)
    script.whole("get", "/a/x", first.index)
    assert script.holds() is False


def test_a_read_beside_a_write_may_see_either(script: Script) -> None:
    for sees_new in (False, True):
        script = Script()
        old = script.whole("put", "/a/x", 5)
        new = script.begin("put", "/a/x")
        script.whole("get", "/a/x", (new if sees_new else old).index)
        script.end(new, 6)
        assert script.holds()


def test_two_reads_beside_a_write_see_it_in_one_order(script: Script) -> None:
    old = script.whole("put", "/a/x", 5)
    new = script.begin("put", "/a/x")
    script.whole("get", "/a/x", new.index)
    script.whole("get", "/a/x", old.index)
    script.end(new, 6)
    assert script.holds() is False


def test_an_open_write_may_be_seen_late_or_never(script: Script) -> None:
    old = script.whole("put", "/a/x", 5)
    lost = script.begin("put", "/a/x")
    script.whole("get", "/a/x", old.index)
    script.whole("get", "/a/x", old.index)
    assert script.holds()
    script.whole("get", "/a/x", lost.index)
    assert script.holds()


def test_an_open_write_takes_effect_once(script: Script) -> None:
    lost = script.begin("put", "/a/x")
    script.whole("get", "/a/x", lost.index)
    script.whole("remove", "/a/x", (1, 0))
    script.whole("get", "/a/x", lost.index)
    assert script.holds() is False


def test_a_write_that_had_no_effect_is_never_seen(script: Script) -> None:
    refused = script.begin("put", "/a/x")
    script.history.end(refused, Certainty.NOTHING)
    assert script.holds()
    script.whole("get", "/a/x", refused.index)
    assert script.holds() is False


def test_a_rename_is_one_step(script: Script) -> None:
    put = script.whole("put", "/a/x", 5)
    rename = script.begin("rename", "/a/x", target="/a/y")
    script.whole("list", "/a", (("y", False),))
    script.end(rename, 6)
    script.whole("get", "/a/y", put.index)
    assert script.holds()


@pytest.mark.parametrize("names", [(), (("x", False), ("y", False))], ids=["neither", "both"])
def test_a_rename_shows_one_name(script: Script, names: tuple[tuple[str, bool], ...]) -> None:
    script.whole("put", "/a/x", 5)
    rename = script.begin("rename", "/a/x", target="/a/y")
    script.whole("list", "/a", names)
    script.end(rename, 6)
    assert script.holds() is False


def test_a_directory_moves_with_what_is_in_it(script: Script) -> None:
    script.whole("mkdir", "/a/p")
    put = script.whole("put", "/a/p/x", 5)
    script.whole("rename", "/a/p", target="/a/q")
    script.whole("get", "/a/q/x", put.index)
    script.whole("get", "/a/p/x", "NotFound")
    assert script.holds()


@pytest.mark.parametrize(
    ("kind", "path", "options", "refusal"),
    [
        ("get", "/a", {}, "IsADirectory"),
        ("get", "/a/none/x", {}, "NotFound"),
        ("get", "/a/x/y", {}, "NotADirectory"),
        ("put", "/a/x", {"if_absent": True}, "AlreadyExists"),
        ("put", "/a/x", {"if_version": 4}, "Conflict"),
        ("put", "/a/s", {}, "IsADirectory"),
        ("mkdir", "/a/s", {}, "AlreadyExists"),
        ("mkdir", "/a/x", {"exist_ok": True}, "AlreadyExists"),
        ("remove", "/a/s", {}, "DirectoryNotEmpty"),
        ("rename", "/a/s", {"target": "/a/s/t"}, "InvalidRequest"),
        ("rename", "/a/x", {"target": "/a/s"}, "IsADirectory"),
        ("rename", "/a/s", {"target": "/a/x"}, "NotADirectory"),
    ],
)
def test_refusals_must_fit_the_state(
    script: Script, kind: str, path: str, options: dict[str, Any], refusal: str
) -> None:
    script.whole("put", "/a/x", 5)
    script.whole("mkdir", "/a/s")
    script.whole("put", "/a/s/z", 6)
    script.whole(kind, path, refusal, **options)
    assert script.holds()
    script.whole("remove", "/a/x", "DirectoryNotEmpty")
    assert script.holds() is False


def test_what_a_remove_counts_is_checked(script: Script) -> None:
    script.whole("mkdir", "/a/s")
    script.whole("put", "/a/s/z", 6)
    script.whole("remove", "/a/s", (2, 1), recursive=True)
    assert script.holds() is False


def restore(script: Script, path: str, put: Operation) -> Operation:
    return script.begin("restore", path, source=put.path, content=put.index, size=10, is_unique=True)


def test_a_file_that_was_removed_is_restored(script: Script) -> None:
    put = script.whole("put", "/a/x", 5)
    script.whole("remove", "/a/x", (1, 0))
    script.end(restore(script, "/a/y", put), 6)
    script.whole("get", "/a/y", put.index)
    script.whole("get", "/a/x", "NotFound")
    assert script.holds()


def test_a_restore_that_replaces_something_is_found(script: Script) -> None:
    put = script.whole("put", "/a/x", 5)
    script.whole("put", "/a/x", 6)
    script.end(restore(script, "/a/x", put), 7)
    assert script.holds() is False


def test_a_file_that_is_restored_while_it_is_there_is_found(script: Script) -> None:
    put = script.whole("put", "/a/x", 5)
    script.end(restore(script, "/a/y", put), 6)
    assert script.holds() is False


def test_a_restore_that_was_lost_is_found(script: Script) -> None:
    put = script.whole("put", "/a/x", 5)
    script.whole("remove", "/a/x", (1, 0))
    script.end(restore(script, "/a/x", put), 6)
    script.whole("get", "/a/x", "NotFound")
    assert script.holds() is False


def test_an_open_restore_may_be_seen_late_or_never(script: Script) -> None:
    put = script.whole("put", "/a/x", 5)
    script.whole("remove", "/a/x", (1, 0))
    restore(script, "/a/x", put)
    script.whole("get", "/a/x", "NotFound")
    assert script.holds()
    script.whole("get", "/a/x", put.index)
    assert script.holds()


def test_two_exclusive_writes_cannot_both_succeed(script: Script) -> None:
    first = script.begin("put", "/a/x", if_absent=True)
    second = script.begin("put", "/a/x", if_absent=True)
    script.end(first, 5)
    script.end(second, 6)
    assert script.holds() is False


def test_of_two_writes_for_one_version_one_succeeds(script: Script) -> None:
    script.whole("put", "/a/x", 5)
    first = script.begin("put", "/a/x", if_version=5)
    second = script.begin("put", "/a/x", if_version=5)
    script.end(first, 6)
    script.end(second, 7)
    assert script.holds() is False


def test_the_verdict_names_what_cannot_be_explained(script: Script) -> None:
    script.whole("put", "/a/x", 5)
    bad = script.whole("get", "/a/x", "NotFound")
    verdict = check(script.history.operations, START)
    assert verdict.stuck is bad
    assert [each.index for each in verdict.placed] == [0]


def test_a_search_that_is_too_long_is_given_up(script: Script) -> None:
    calls = [script.begin("put", "/a/x") for _ in range(12)]
    for call in calls:
        script.end(call, call.index + 5)
    script.whole("get", "/a/x", "NotFound")
    assert check(script.history.operations, START, steps_max=200).holds is None
