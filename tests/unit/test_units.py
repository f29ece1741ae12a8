from __future__ import annotations

import pytest

from greenops.units import (
    Grams,
    GramsPerKwh,
    Joules,
    Kwh,
    Seconds,
    Watts,
    emissions,
    energy,
    seconds,
    to_joules,
    to_kwh,
    total_grams,
    total_joules,
)


def test_a_kilowatt_for_an_hour_is_a_kilowatt_hour():
    assert to_kwh(energy(Watts(1000), Seconds(3600))) == 1


def test_kilowatt_hours_go_there_and_back():
    assert to_kwh(to_joules(Kwh(0.25))) == 0.25


@pytest.mark.feature("J2")
def test_pue_is_applied_once_by_emissions():
    assert emissions(Joules(3.6e6), GramsPerKwh(400), pue=1.2) == pytest.approx(480)


def test_sums_are_exactly_rounded():
    assert total_joules([Joules(0.1)] * 10) == 1.0
    assert total_grams([Grams(1e16), Grams(1.0), Grams(-1e16)]) == 1.0


def test_nanoseconds_become_seconds():
    assert seconds(1_500_000_000) == 1.5
