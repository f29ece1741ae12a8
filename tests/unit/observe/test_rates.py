"""Rates of operations, learned from ticks of a made-up machine."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.observe.rates import (
    ENOUGH,
    FIT_EVERY_NS,
    MOST_OPERATIONS,
    OTHERS,
    Rates,
)


def learned(
    watts: dict[str, float], ticks: int = 600, noise: float = 0.02, rare: str = "", seed: int = 1
) -> Rates:
    random, rates = Random(seed), Rates()
    for _ in range(ticks):
        rates.record(*tick(random, watts, noise, rare))
    rates.fit(0)
    return rates


def tick(
    random: Random, watts: dict[str, float], noise: float, rare: str
) -> tuple[float, dict[str, float]]:
    use: dict[str, float] = {}
    for _ in range(20):
        name = random.choices(list(watts), [0.002 if n == rare else 1.0 for n in watts])[0]
        use[name] = use.get(name, 0.0) + random.expovariate(50)
    energy = sum(watts[name] * amount for name, amount in use.items())
    return energy * (1 + noise * random.gauss(0, 1)), use


@pytest.mark.parametrize("watts", [{"a": 5.0, "b": 8.0}, {"a": 5.0, "b": 8.0, "c": 20.0}])
def test_what_operations_draw_is_found_within_three_per_cent(watts: dict[str, float]) -> None:
    rates = learned(watts).learned

    for name, drawn in watts.items():
        assert rates.rate(name) / rates.rate("a") == pytest.approx(drawn / 5, rel=0.03)


def test_operations_that_draw_alike_stay_alike() -> None:
    rates = learned({"a": 5.0, "b": 5.0})

    assert not rates.learned
    assert rates.learned.rate("a") == rates.learned.rate("b") == 1.0
    assert rates.gain is not None


def test_noise_alone_teaches_nothing() -> None:
    rates = learned({"a": 5.0, "b": 5.0}, noise=0.3)

    assert not rates.learned


def test_a_rare_operation_stays_near_the_mean_and_says_how_unsure_it_is() -> None:
    rates = learned({"a": 5.0, "b": 8.0, "rare": 5.0}, rare="rare").learned

    assert 0.6 < rates.rate("rare") < 1.4
    assert rates.doubted("rare") > 3 * rates.doubted("a")


def test_one_operation_alone_is_no_reason_to_learn() -> None:
    assert not learned({"a": 5.0}).learned


def test_an_operation_that_was_never_seen_draws_like_the_others() -> None:
    assert learned({"a": 5.0, "b": 8.0}).learned.rate("new") == 1.0


def test_memory_does_not_grow_with_operations() -> None:
    rates, random = Rates(), Random(1)
    for fit in range(4):
        for _ in range(300):
            names = {f"op-{fit}-{random.randrange(500)}": 0.01 for _ in range(8)}
            rates.record(0.5, {"steady": 0.05, "too": 0.03, **names})
        rates.fit(fit)

    assert len(rates._columns) <= MOST_OPERATIONS
    assert {OTHERS, "steady", "too"} <= set(rates._columns)


def test_a_counter_that_stands_still_tells_later_what_was_used() -> None:
    rates = Rates()
    rates.record(0.0, {"a": 1.0})
    rates.record(3.0, {"a": 2.0})

    assert list(rates._rows) == [(3.0, {"a": 3.0})]


def test_a_fit_waits_for_enough_and_then_for_its_interval() -> None:
    rates, due_before = Rates(), True
    for _ in range(ENOUGH):
        due_before = rates.due(0)
        rates.record(1.0, {"a": 0.1, "b": 0.1})

    assert not due_before
    assert rates.due(0)
    rates.fit(0)
    assert not rates.due(FIT_EVERY_NS - 1)
    assert rates.due(FIT_EVERY_NS)


def test_what_an_operation_draws_may_change() -> None:
    rates, random = learned({"a": 5.0, "b": 8.0}), Random(2)
    for fit in range(1, 40):
        for _ in range(300):
            rates.record(*tick(random, {"a": 8.0, "b": 5.0}, 0.02, ""))
        rates.fit(fit)

    assert rates.learned.rate("b") / rates.learned.rate("a") == pytest.approx(5 / 8, rel=0.05)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e3))),
        max_size=60,
    )
)
def test_rates_are_finite_and_never_negative(rows: list[tuple[float, dict[str, float]]]) -> None:
    rates = Rates()
    for energy, use in rows:
        rates.record(energy, use)

    rates.fit(0)

    for name in "abcdz":
        assert 0 <= rates.learned.rate(name) < float("inf")
        assert 0 <= rates.learned.doubted(name) < float("inf")


def test_importing_the_observer_does_not_import_numpy() -> None:
    code = "import sys, greenops.observe.observer; sys.exit('numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
