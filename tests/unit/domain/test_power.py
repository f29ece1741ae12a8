from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.power import EvenCounter, PowerCounter, plausible_joules, plausible_watts
from greenops.units import Joules, Watts

S = 1_000_000_000


def test_a_power_adds_up_by_trapezoids_and_knows_nothing_of_long_gaps() -> None:
    power = PowerCounter()

    counted = [power.add(Watts(w), at * S) for w, at in ((10, 5), (10, 6), (20, 8), (20, 69))]

    assert counted == [0.0, 10.0, 40.0, 40.0]
    assert power.add(Watts(20), 60 * S) == 40.0
    assert power.add(Watts(20), 70 * S) == 60.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e9])
def test_what_no_machine_draws_is_no_power(value: float) -> None:
    with pytest.raises(ValueError, match="no power"):
        plausible_watts(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_no_counter_shows_is_no_energy(value: float) -> None:
    with pytest.raises(ValueError, match="no energy"):
        plausible_joules(value)


def test_a_step_is_paid_out_over_as_long_as_it_took() -> None:
    counter = EvenCounter(Watts(1000))
    counter.sample(Joules(100), 0)

    counter.sample(Joules(100), 5 * S)
    standing = (counter.at(5 * S), counter.known)
    counter.sample(Joules(200), 10 * S)

    assert standing == (100.0, False)
    assert counter.known
    assert [counter.at(t * S) for t in (10, 12, 15, 20, 30)] == [100.0, 120.0, 150.0, 200.0, 200.0]


def test_steps_that_seem_to_take_longer_and_shorter_in_turn_are_paid_without_a_pause() -> None:
    counter = EvenCounter(Watts(1000))
    told = []

    # A counter that steps every 5 s by 50 J, looked at every 2 s.
    for look in range(40):
        now = 2 * look
        counter.sample(Joules(50.0 * (now // 5)), now * S)
        told += [counter.at(now * S), counter.at(now * S + S)]

    rises = [b - a for a, b in itertools.pairwise(told[20:])]
    assert min(rises) > 0.5
    assert max(rises) < 15
    assert told[-1] == pytest.approx(50 * (79 // 5), abs=100)


@pytest.mark.parametrize(("took", "stands"), [(5, 61), (20, 81)])
def test_a_counter_that_stands_for_long_is_not_known_until_it_steps_again(
    took: int, stands: int
) -> None:
    counter = EvenCounter(Watts(1000))
    counter.sample(Joules(100), 0)
    counter.sample(Joules(200), took * S)

    counter.sample(Joules(200), (took + stands - 1) * S)
    before = counter.known
    counter.sample(Joules(200), (took + stands) * S)

    assert (before, counter.known) == (True, False)
    counter.sample(Joules(300), (took + stands + 10) * S)
    assert counter.known
    assert counter.at((took + stands + 15) * S) == 250.0


@pytest.mark.parametrize("odd", [50.0, 1e9])
def test_a_fall_and_a_jump_pass_through_at_once(odd: float) -> None:
    counter = EvenCounter(Watts(1000))
    counter.sample(Joules(100), 0)
    counter.sample(Joules(101), 1 * S)

    counter.sample(Joules(odd), 5 * S)

    assert (counter.at(5 * S), counter.known) == (odd, False)
    counter.sample(Joules(odd + 10), 10 * S)
    assert (counter.at(15 * S), counter.known) == (odd + 10, True)


@given(
    st.lists(
        st.tuples(st.floats(0, 5e3), st.integers(1, 10 * S), st.integers(0, 20 * S)), max_size=30
    )
)
def test_what_is_paid_out_never_falls_never_leads_and_comes_to_the_whole(
    steps: list[tuple[float, int, int]],
) -> None:
    counter, joules, now, paid = EvenCounter(Watts(1e12)), 0.0, 0, 0.0
    counter.sample(Joules(joules), now)

    for step, lasted, asked in steps:
        joules, now = joules + step, now + lasted
        counter.sample(Joules(joules), now)
        before, paid = paid, counter.at(now + min(asked, lasted))
        assert before <= paid <= joules
    final = counter.at(now + 10_000 * S)

    assert final == pytest.approx(joules, rel=1e-12)
