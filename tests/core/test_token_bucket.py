"""A rate is kept on average, whatever is taken at once."""

import pytest

from dstore.core.throttle import TokenBucket


def test_what_is_taken_is_paid_for_afterwards() -> None:
    bucket = TokenBucket(100.0, 1.0, now_s=0.0)
    assert bucket.delay_s(0.0) == 0.0
    bucket.take(250.0, 0.0)
    assert bucket.delay_s(0.0) == 2.5
    assert bucket.delay_s(1.0) == 1.5
    assert bucket.delay_s(2.5) == 0.0


def test_no_more_is_saved_than_the_bucket_holds() -> None:
    bucket = TokenBucket(100.0, 2.0, now_s=0.0)
    assert not bucket.is_full(1.9)
    assert bucket.is_full(2.0)
    bucket.take(300.0, 1000.0)
    assert bucket.delay_s(1000.0) == 1.0


def test_a_debt_is_paid_at_the_present_rate() -> None:
    bucket = TokenBucket(1.0, 1.0, now_s=0.0)
    bucket.take(100.0, 0.0)
    bucket.set_rate(10.0, 50.0)
    assert bucket.delay_s(50.0) == 5.0
    bucket.set_rate(0.0, 51.0)
    assert bucket.delay_s(1000.0) == float("inf")


@pytest.mark.parametrize("sizes", [(1,), (1000,), (1, 5000, 3), (100,) * 7])
def test_the_mean_rate_is_kept(sizes: tuple[int, ...]) -> None:
    bucket, now_s, taken = TokenBucket(100.0, 0.25, now_s=0.0), 0.0, 0
    for index in range(1000):
        now_s += bucket.delay_s(now_s)
        bucket.take(sizes[index % len(sizes)], now_s)
        taken += sizes[index % len(sizes)]
    assert now_s == pytest.approx(taken / 100.0, abs=max(sizes) / 100.0 + 1)


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(100.0, 10.0, now_s=50.0)
    bucket.take(10.0, 50.0)
    assert bucket.delay_s(40.0) == 0.1
    assert bucket.delay_s(50.0) == 0.1
