"""What is known of a zone's past, hour by hour."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from dataclasses import replace
from datetime import timedelta

import pytest

from greenops.domain.grid import IntensitySeries, Signal
from greenops.grid.past import covering, extended
from greenops.testing.grid import KIND, START

HOUR = timedelta(hours=1)


def series(values, start=START, step=HOUR, **more):
    return IntensitySeries("Z", more.pop("kind", KIND), start, step, tuple(values), **more)


def test_a_newer_answer_goes_over_an_older_one_and_gaps_stay_gaps():
    past = extended(series([1, 2, None]), series([20, 5], START + HOUR), 100)
    past = extended(past, series([9], START + 5 * HOUR), 100)

    assert past.start == START
    assert past.values == (1, 20, 5, None, None, 9)


def test_what_is_not_known_takes_nothing_away():
    assert extended(series([1, 2]), series([None, None]), 100).values == (1, 2)
    assert extended(None, series([None]), 100) is None


def test_only_the_last_hours_are_kept():
    assert extended(series(range(50)), series([7], START + 50 * HOUR), 10).values == (
        *range(41, 50),
        7,
    )


def test_shorter_steps_make_an_hour_where_all_are_known():
    quarters = [1, 2, 3, 4, 5, None, 7, 8, 9]

    assert extended(None, series(quarters, step=HOUR / 4), 100).values == (2.5,)


def test_a_step_of_six_hours_holds_for_each():
    assert extended(None, series([3], step=6 * HOUR), 100).values == (3,) * 6


def test_another_kind_or_source_is_never_put_together():
    other = replace(KIND, signal=Signal.MARGINAL)

    found = extended(series([1, 2]), series([5], START + 3 * HOUR, kind=other), 100)

    assert (found.kind, found.values) == (other, (5,))


@pytest.mark.parametrize(
    ("start", "end", "values"),
    [
        (START, START + 3 * HOUR, (1, 2, 3)),
        (START + HOUR * 1.5, START + HOUR * 1.6, (2,)),
        (START + HOUR / 2, START + HOUR * 1.5, (1, 2)),
    ],
)
def test_a_part_is_cut_to_the_steps_that_it_touches(start, end, values):
    assert covering(series([1, 2, 3]), start, end).values == values


def test_marks_of_what_was_estimated_are_cut_as_well():
    whole = series([1, 2, 3], estimated=(True, False, True))

    assert covering(whole, START + HOUR, START + 3 * HOUR).estimated == (False, True)


def test_what_it_does_not_reach_is_not_covered():
    assert covering(series([1, 2]), START + HOUR, START + 3 * HOUR) is None
    assert covering(series([1, 2]), START - HOUR, START + HOUR) is None
