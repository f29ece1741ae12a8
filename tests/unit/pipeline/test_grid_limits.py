"""How often a provider is asked, and when it is left alone; tests own time and chance."""

# Plain numbers stand for seconds here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.pipeline.beside import at_once
from greenops.pipeline.grid_limits import (
    FAILURES,
    LONGEST_ALONE_S,
    LONGEST_RETRY_S,
    TRIES,
    Breaker,
    Patience,
    TokenBucket,
    retry_pause_s,
)
from greenops.pipeline.grid_worker import MOST_WAITING, Worker
from greenops.testing.clock import FakeClock

S = 1_000_000_000
AWAY = AdapterUnavailable("GO0320", "away")


def longest(seconds):
    """Chance that always draws the most."""
    return seconds


def worker(clock=None, per_minute=60.0, run=at_once):
    return Worker("it", clock or FakeClock(), TokenBucket(per_minute), longest, run)


def raising(*errors):
    """A question that fails so, one error after the other, and is then answered; and how often it was put."""
    left, put = list(errors), []

    def ask():
        put.append(1)
        if left:
            raise left.pop(0)

    return ask, put


def test_a_bucket_gives_its_calls_at_once_and_then_as_they_come_back():
    bucket = TokenBucket(per_minute=6)

    assert [bucket.take(0) for _ in range(6)] == [0.0] * 6
    assert bucket.take(0) == pytest.approx(10)
    assert bucket.take(10 * S) == 0.0
    assert bucket.take(10 * S) > 0


@given(st.lists(st.integers(0, 120), min_size=1, max_size=200))
def test_no_minute_sees_more_than_a_burst_and_what_comes_back_in_it(gaps):
    bucket, now, taken = TokenBucket(per_minute=10), 0, []
    for gap in gaps:
        now += gap * S // 4
        if bucket.take(now) == 0:
            taken.append(now)

    for first in taken:
        assert sum(first <= each < first + 60 * S for each in taken) <= 20


@given(st.integers(0, 20), st.floats(0, 1))
def test_pauses_before_repetitions_are_drawn_from_nothing_to_a_cap(attempt, chance):
    pause = retry_pause_s(attempt, lambda most: most * chance)

    assert 0 <= pause <= LONGEST_RETRY_S


def test_a_breaker_leaves_alone_after_failures_in_a_row_and_longer_each_time():
    breaker = Breaker(longest)
    for _ in range(FAILURES - 1):
        breaker.failed(0)
    assert breaker.shut_for_s(0) == 0

    waits = []
    now = 0
    for _ in range(9):
        breaker.failed(now)
        waits.append(breaker.shut_for_s(now))
        now += round(waits[-1] * S)

    assert waits[:3] == [30, 60, 120]
    assert waits[-1] == LONGEST_ALONE_S
    breaker.succeeded()
    assert breaker.shut_for_s(now) == 0


def test_all_waits_together_stay_within_the_bound_until_time_goes_by():
    patience = Patience(3.0)
    patience.left_s(0)
    patience.spent(2.5)

    assert patience.left_s(0) == pytest.approx(0.5)
    patience.spent(2.0)
    assert patience.left_s(0) == 0
    assert patience.left_s(10 * S) == pytest.approx(1.0)
    assert patience.left_s(100 * S) == 3.0


def test_a_question_is_put_again_and_then_answered():
    clock = FakeClock()
    ask, put = raising(AWAY, AWAY)

    question = worker(clock).submit("q", ask)

    assert (question.error, len(put)) == (None, TRIES)
    assert clock.slept == [timedelta(seconds=0.2), timedelta(seconds=0.4)]


def test_retry_after_is_honoured_to_the_second():
    clock = FakeClock()
    made = worker(clock)
    busy = AdapterUnavailable("GO0323", "too often", retry_after_s=90)
    ask, put = raising(busy)

    assert made.submit("q", ask).error is busy
    clock.advance(timedelta(seconds=89))
    assert made.submit("q", ask).error is busy
    assert len(put) == 1
    clock.advance(timedelta(seconds=1))
    assert made.submit("q", ask).error is None


def test_who_does_not_have_it_is_not_asked_again_for_it_at_once_nor_left_alone():
    made = worker()
    ask, put = raising(*[DataMissing("GO0302", "no such zone")] * 5)

    for _ in range(5):
        made.submit("q", ask)

    assert (len(put), made.problem, made.shut_for_s()) == (5, None, 0)


def test_what_never_will_work_is_tried_only_now_and_then():
    made = worker()
    ask, put = raising(*[AdapterUnsupported("GO0325", "never")] * 9)

    for _ in range(9):
        made.submit("q", ask)

    assert (len(put), made.shut_for_s()) == (1, LONGEST_ALONE_S)


def test_a_provider_that_is_away_is_left_alone():
    made = worker()
    ask, put = raising(*[AWAY] * 99)

    for _ in range(20):
        made.submit("q", ask)

    assert len(put) == FAILURES * TRIES


def test_the_limit_paces_what_is_asked_and_refuses_what_would_wait_long():
    clock, put = FakeClock(), []
    made = worker(clock, per_minute=30)

    for _ in range(40):
        assert made.submit("q", lambda: put.append(1)).error is None

    assert len(put) == 40
    # Each call beyond the burst waited its two seconds.
    assert clock.monotonic_ns() == pytest.approx(20 * S, abs=S)
    slow = worker(FakeClock(), per_minute=1)
    slow.submit("q", lambda: None)
    assert slow.submit("q", lambda: None).error.code == "GO0341"


def test_the_same_question_while_it_is_open_is_put_once():
    later, put = [], []
    made = worker(run=later.append)

    first = made.submit("q", lambda: put.append(1))
    second = made.submit("q", lambda: put.append(2))

    assert first is second
    assert len(later) == 1
    later[0]()
    assert put == [1]


def test_urgent_questions_come_before_the_others():
    later, put = [], []
    made = worker(run=later.append)
    made.submit("a", lambda: put.append("a"), urgent=False)
    made.submit("b", lambda: put.append("b"))

    later[0]()

    assert put == ["b", "a"]


def test_no_more_questions_wait_than_there_is_room_for():
    made = worker(run=lambda _: None)

    errors = [made.submit(number, lambda: None).error for number in range(MOST_WAITING + 5)]

    assert [each for each in errors if each is not None] == errors[MOST_WAITING:]


def test_without_a_thread_the_question_fails_and_nothing_is_raised():
    def none_left(_):
        raise RuntimeError("can't start new thread")

    made = worker(run=none_left)

    assert made.submit("q", lambda: None).error.code == "GO0342"
    made.run = at_once
    assert made.submit("q", lambda: None).error is None
