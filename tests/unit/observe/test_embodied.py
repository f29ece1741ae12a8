"""What making a machine emitted, shared out, and the range of the network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.observe.embodied import YEAR_S, Machine, embodied, embodied_of, network_energy
from greenops.units import Grams, Joules, Kwh, Seconds, total_grams


@pytest.mark.feature("H3")
def test_an_hour_on_one_of_forty_eight_vcpus_gets_its_part_of_a_tonne():
    found = embodied(Grams(1_000_000), Seconds(3600), Seconds(4 * YEAR_S), 1, 48)

    assert found == pytest.approx(1_000_000 * (1 / (4 * 365.25 * 24)) * (1 / 48))
    assert found == pytest.approx(0.594, abs=0.001)


@pytest.mark.feature("H3")
def test_all_vcpus_over_the_whole_life_get_all_of_it():
    machine = Machine(Grams(1_200_000), Seconds(4 * YEAR_S), 8)

    parts = [embodied_of(machine, machine.lifetime) for _ in range(8)]

    assert total_grams(parts) == pytest.approx(1_200_000)


@given(
    st.floats(0, 1e9),
    st.floats(0, 1e9),
    st.floats(1e-3, 1e9),
    st.floats(0, 1e3),
    st.floats(1e-3, 1e3),
)
def test_embodied_emissions_are_never_negative(total, time, lifetime, reserved, resources):
    assert embodied(Grams(total), Seconds(time), Seconds(lifetime), reserved, resources) >= 0


@pytest.mark.parametrize(
    "numbers",
    [(1, 1, 0, 1, 1), (1, 1, 1, 1, 0), (-1, 1, 1, 1, 1), (1, -1, 1, 1, 1), (1, 1, 1, -1, 1)],
)
def test_numbers_that_cannot_be_are_refused(numbers):
    with pytest.raises(ValueError, match="must"):
        embodied(*numbers)


@pytest.mark.feature("I1")
def test_a_megabyte_is_a_band_and_not_a_point():
    low, high = network_energy(1_000_000, Kwh(0.001), Kwh(0.06))

    assert (low, high) == (pytest.approx(Joules(3.6)), pytest.approx(Joules(216.0)))
