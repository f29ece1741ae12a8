"""Amounts and readings of others: two kinds never add, and energy between readings is what was drawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.meter_reading import LONGEST_GAP, MeterReading, stretches
from greenops.domain.reported import Amount, Kind, Quantity, by_kind, total
from greenops.errors import MixedQuantities
from greenops.units import Joules, Watts

KIND = Kind(
    "aws",
    Quantity.CARBON,
    Method.REPORTED,
    "account",
    Boundary.SITE,
    Basis.LOCATION,
    "2",
)
START = datetime(2026, 10, 1, tzinfo=UTC)
ONE = Amount(KIND, 2.0, START, START + timedelta(days=31))


@pytest.mark.feature("J8")
@pytest.mark.parametrize(
    "other",
    [
        replace(KIND, source="gcp"),
        replace(KIND, quantity=Quantity.ENERGY),
        replace(KIND, method=Method.ESTIMATED),
        replace(KIND, level="pod"),
        replace(KIND, boundary=Boundary.NODE),
        replace(KIND, accounting=Basis.MARKET),
        replace(KIND, accounting=None),
        replace(KIND, scope="3"),
        replace(KIND, currency="EUR"),
    ],
)
def test_amounts_of_two_kinds_never_add(other: Kind) -> None:
    with pytest.raises(MixedQuantities, match="GO0301"):
        total([ONE, replace(ONE, kind=other)])


def test_amounts_of_one_kind_add_and_nothing_has_no_sum() -> None:
    assert total([ONE, replace(ONE, value=0.5)]) == 2.5
    assert total([]) is None


def test_amounts_are_told_apart_by_kind() -> None:
    market = replace(ONE, kind=replace(KIND, accounting=Basis.MARKET))

    found = by_kind([ONE, market, ONE])

    assert [len(group) for group in found.values()] == [2, 1]


def reading(at: float, joules: float | None = None, watts: float | None = None) -> MeterReading:
    return MeterReading(
        kind=Kind("kepler", Quantity.ENERGY, Method.MEASURED, "node", Boundary.CHIP),
        series="s",
        device="cpu",
        at=START + timedelta(seconds=at),
        joules=None if joules is None else Joules(joules),
        watts=None if watts is None else Watts(watts),
        host="n1",
        workload=None,
        labels={},
    )


def drawn(*readings: MeterReading) -> list[float]:
    return [each.joules for each in stretches(readings)]


def test_a_counter_that_began_anew_counts_from_zero() -> None:
    assert drawn(reading(0, 500.0), reading(30, 900.0), reading(60, 100.0)) == [400.0, 100.0]


def test_a_counter_that_fell_to_what_no_machine_draws_tells_nothing() -> None:
    assert drawn(reading(0, 9e9), reading(1, 8e9), reading(2, 8e9 + 50)) == [50.0]


def test_a_single_look_tells_no_energy() -> None:
    assert drawn(reading(0, 500.0)) == []


def test_power_is_the_area_below_a_line_and_nothing_over_a_long_gap() -> None:
    gap = LONGEST_GAP + 1

    found = drawn(reading(0, watts=10.0), reading(10, watts=30.0), reading(10 + gap, watts=30.0))

    assert found == [200.0]


@given(
    rises=st.lists(st.integers(0, 1000), min_size=1, max_size=30),
    resets=st.sets(st.integers(0, 29)),
    order=st.randoms(use_true_random=False),
)
def test_energy_is_all_that_a_counter_rose_by_however_often_it_began_anew(
    rises: list[int], resets: set[int], order: object
) -> None:
    shown, looks = 5000, [reading(0, 5000.0)]
    for number, rise in enumerate(rises):
        # Where it has caught up with what it showed before, nobody can tell that it began anew.
        shown = rise if number in resets and rise < shown else shown + rise
        looks.append(reading(30.0 * (number + 1), float(shown)))
    order.shuffle(looks)  # type: ignore[attr-defined]

    assert sum(drawn(*looks)) == sum(rises)
