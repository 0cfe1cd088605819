"""Patience with the master, and what is said when it is over."""

import contextlib
from collections.abc import Awaitable, Callable

import pytest

from dstore.client.retries import Retries
from dstore.core.errors import (
    CommitUnknown,
    Conflict,
    DeadlineExceeded,
    DstoreError,
    Internal,
    LimitExceeded,
    NotFound,
    NotReady,
    Unavailable,
)
from dstore.core.ids import RequestId
from dstore.core.limits import FIRST_CONTACT_PATIENCE_S, UNRESOLVED_MUTATIONS_MAX


class FakeTime:
    """Time passes only while somebody sleeps; every delay is the longest that it can be."""

    now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return 0

    def token_bytes(self, count: int) -> bytes:
        return bytes(count)

    def uuid(self) -> str:
        return "00000000-0000-4000-8000-000000000000"

    def uniform(self) -> float:
        return 1.0

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr("dstore.client.retries.asyncio.sleep", fake.sleep)
    return fake


@pytest.fixture
def retries(time: FakeTime) -> Retries:
    return Retries(endpoint="host:7070", clock=time, random=time, patience_s=60)


def failing(*errors: DstoreError, forever: DstoreError | None = None) -> Callable[[], Awaitable[str]]:
    left = list(errors)

    async def call() -> str:
        error = left.pop(0) if left else forever
        if error is None:
            return "answer"
        raise type(error)(error.message, reason=error.reason, metadata=error.metadata)

    return call


REFUSED = Unavailable(
    "The server at host:7070 cannot be reached (failed to connect to all addresses; Connection refused (111)); check.",
    reason="SERVER_UNREACHABLE",
)


@pytest.mark.parametrize("error", [REFUSED, DeadlineExceeded("late"), CommitUnknown("the disk failed")])
async def test_what_passes_is_repeated(retries: Retries, error: DstoreError) -> None:
    assert await retries.read(failing(error, error, error)) == "answer"


async def test_what_does_not_pass_is_not_repeated(retries: Retries, time: FakeTime) -> None:
    for error in (NotFound("no"), Unavailable("too few", reason="NOT_ENOUGH_SERVERS"), Internal("defect")):
        assert await retries.read(failing()) == "answer"
        with pytest.raises(type(error)) as caught:
            await retries.read(failing(error))
        assert caught.value.message == error.message
    assert time.now_s == 0


async def test_a_master_that_was_never_reached_gets_little_patience(retries: Retries, time: FakeTime) -> None:
    with pytest.raises(Unavailable) as caught:
        await retries.read(failing(forever=REFUSED))
    assert time.now_s <= FIRST_CONTACT_PATIENCE_S
    assert caught.value.reason == "MASTER_UNREACHABLE"
    assert str(caught.value) == (
        "No dstore master answers at host:7070 (connection refused). Start one with `dstore up`, or set the endpoint "
        "with --endpoint or DSTORE_ENDPOINT."
    )


@pytest.mark.parametrize("first", [failing(), failing(NotFound("an answer, too"))])
async def test_a_master_that_was_reached_once_gets_all_of_it(
    retries: Retries, time: FakeTime, first: Callable[[], Awaitable[str]]
) -> None:
    with contextlib.suppress(NotFound):
        await retries.read(first)
    with pytest.raises(Unavailable, match="has not answered for 60 s"):
        await retries.read(failing(forever=REFUSED))
    assert 55 < time.now_s <= 60


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DeadlineExceeded("x"), "no answer in time"),
        (Unavailable("DNS resolution failed for nohost", reason="SERVER_UNREACHABLE"), "cannot be resolved"),
        (Unavailable("reset", reason="SERVER_UNREACHABLE"), "it cannot be reached"),
        (Unavailable("The disk failed.", reason="STORE_FAILED"), "(The disk failed)"),
    ],
)
async def test_causes_in_few_words(retries: Retries, error: DstoreError, words: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await retries.read(failing(forever=error))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        NotReady("does not offer", reason="SERVICE_NOT_OFFERED"),
        Unavailable("Trying to connect an http1.x server", reason="SERVER_UNREACHABLE"),
        Internal("UNKNOWN: odd"),
    ],
)
async def test_something_else_at_the_address(retries: Retries, time: FakeTime, error: DstoreError) -> None:
    with pytest.raises(NotReady) as caught:
        await retries.read(failing(error))
    assert caught.value.reason == "NOT_A_DSTORE_MASTER"
    assert time.now_s == 0


class TestMutations:
    ID = RequestId("r-1")

    @pytest.mark.parametrize("error", [REFUSED, DeadlineExceeded("late"), CommitUnknown("the disk failed")])
    async def test_an_outcome_that_nobody_knows(self, retries: Retries, error: DstoreError) -> None:
        with pytest.raises(CommitUnknown) as caught:
            await retries.mutate("remove /f", self.ID, failing(forever=error))
        assert caught.value.metadata["request_id"] == self.ID
        assert "remove /f" in str(caught.value)

    async def test_one_lost_answer_among_refusals_is_enough(self, retries: Retries) -> None:
        busy = Unavailable("busy", reason="TOO_MANY_CALLS")
        with pytest.raises(Unavailable):
            await retries.mutate("remove /f", self.ID, failing(forever=busy))
        with pytest.raises(CommitUnknown):
            await retries.mutate("remove /f", self.ID, failing(DeadlineExceeded("late"), forever=busy))

    async def test_a_repeated_call_that_is_answered_is_known(self, retries: Retries) -> None:
        assert await retries.mutate("remove /f", self.ID, failing(REFUSED, DeadlineExceeded("late"))) == "answer"
        with pytest.raises(NotFound):
            await retries.mutate("remove /f", self.ID, failing(REFUSED, forever=NotFound("no")))

    @pytest.mark.parametrize(
        "refusal",
        [
            LimitExceeded("The queue is full.", reason="COMMIT_QUEUE_FULL"),
            Internal("defect"),
            NotReady("does not offer", reason="SERVICE_NOT_OFFERED"),
        ],
        ids=lambda error: error.reason,
    )
    async def test_a_refusal_after_a_lost_answer_does_not_tell_the_outcome(
        self, retries: Retries, refusal: DstoreError
    ) -> None:
        assert await retries.read(failing()) == "answer"
        with pytest.raises(CommitUnknown):
            await retries.mutate("remove /f", self.ID, failing(DeadlineExceeded("late"), forever=refusal))

    async def test_a_full_queue_passes(self, retries: Retries) -> None:
        full = LimitExceeded("The queue is full.", reason="COMMIT_QUEUE_FULL")
        assert await retries.mutate("remove /f", self.ID, failing(full, full)) == "answer"
        with pytest.raises(LimitExceeded):
            await retries.mutate("remove /f", self.ID, failing(LimitExceeded("too many", reason="TOO_MANY_WRITES")))

    async def test_resolving(self, retries: Retries) -> None:
        answers = failing(*[REFUSED] * 50)
        with pytest.raises(CommitUnknown):
            await retries.mutate("remove /f", self.ID, answers)
        answer = None
        while answer is None:
            with contextlib.suppress(CommitUnknown):
                answer = await retries.resolve(self.ID)
        assert answer == "answer"
        with pytest.raises(NotFound) as caught:
            await retries.resolve(self.ID)
        assert caught.value.reason == "REQUEST_UNKNOWN"

    @pytest.mark.parametrize("reason", ["VERSION_SUPERSEDED", "PARENT_CHANGED"])
    async def test_what_can_only_be_sealed_anew_is_told_as_not_done(self, retries: Retries, reason: str) -> None:
        late = Conflict("/f cannot get version 1; seal it again.", reason=reason, metadata={"path": "/f"})
        answers = failing(*[REFUSED] * 30, late)
        with pytest.raises(CommitUnknown):
            await retries.mutate("store /f", self.ID, answers)
        with pytest.raises(Conflict, match="/f was changed meanwhile, so") as caught:
            while True:
                with contextlib.suppress(CommitUnknown):
                    await retries.resolve(self.ID)
        assert (caught.value.reason, caught.value.metadata["path"]) == (reason, "/f")
        with pytest.raises(NotFound):
            await retries.resolve(self.ID)

    async def test_what_is_unknown_stays_so_until_the_master_tells(self, retries: Retries) -> None:
        busy = Unavailable("busy", reason="TOO_MANY_CALLS")
        answers = failing(DeadlineExceeded("late"), *[busy] * 60)
        for attempt in range(20):
            try:
                result = await (retries.resolve(self.ID) if attempt else retries.mutate("remove", self.ID, answers))
            except CommitUnknown:
                continue
            assert result == "answer"
            break
        assert 0 < attempt < 19

    async def test_only_so_many_are_remembered(self, retries: Retries) -> None:
        for number in range(UNRESOLVED_MUTATIONS_MAX + 1):
            with pytest.raises(CommitUnknown):
                await retries.mutate("remove /f", RequestId(str(number)), failing(forever=REFUSED))
        with pytest.raises(NotFound):
            await retries.resolve(RequestId("0"))
        with pytest.raises(CommitUnknown):
            await retries.resolve(RequestId("1"))
