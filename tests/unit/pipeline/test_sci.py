"""The Software Carbon Intensity against worked examples of the Green Software Foundation."""

from __future__ import annotations

import pytest

from greenops.observe.embodied import embodied
from greenops.pipeline.sci import sci
from greenops.units import Grams, GramsPerKwh, Kwh, Seconds, emissions, grams, to_joules

HOUR = Seconds(3600.0)
LIFETIME = Seconds(35_040 * 3600.0)
INDIA = GramsPerKwh(951.0)

# The eShop case study: what each server drew in an hour [kWh], its making [kgCO2e], M and score [gCO2e] as printed.
SERVERS = {
    "application": (0.0656, 1205.52, 4.305, 66.6906),
    "database": (0.048, 1433.12, 5.112, 50.76),
}


@pytest.mark.feature("J5", "H3")
@pytest.mark.parametrize("server", SERVERS)
def test_the_eshop_example_of_the_foundation_gives_its_printed_score(server: str) -> None:
    kwh, making, m, score = SERVERS[server]

    part = embodied(grams(making), HOUR, LIFETIME, reserved=2, resources=16)
    found = sci(emissions(to_joules(Kwh(kwh)), INDIA), part, 1)

    assert part == pytest.approx(m, rel=0.005)
    assert found.total == pytest.approx(score, rel=0.001)


@pytest.mark.feature("J5")
def test_the_numbers_of_the_foundations_quick_guide_give_what_they_give_by_hand():
    # 1,329 g in a month, a server of 1,230.3 kg over four years, 4 of its 32 vCPUs, 10,000 requests.
    month = Seconds(1.0)
    part = embodied(grams(1230.3), month, Seconds(48.0), reserved=4, resources=32)

    found = sci(Grams(1329.0), part, 10_000)

    assert part == pytest.approx(3203.9, abs=0.1)
    assert found.total == pytest.approx(0.4533, abs=0.0001)


@pytest.mark.feature("H3")
def test_the_making_of_machines_can_be_left_out_and_is_then_not_zero():
    without = sci(Grams(10.0), None, 5)

    assert (without.embodied, without.total) == (None, 2.0)
    assert sci(Grams(10.0), Grams(5.0), 5).total == 3.0


@pytest.mark.parametrize(
    "given", [(1.0, None, 0), (1.0, None, -1), (-1.0, None, 1), (1.0, -1.0, 1)]
)
def test_what_cannot_be_has_no_score(given):
    with pytest.raises(ValueError, match=r"must not|needs"):
        sci(*given)
