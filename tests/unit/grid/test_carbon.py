"""Energy times PUE times mean intensity, once each."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.carbon import Account, total
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Factors, Forecast, IntensitySeries, SeriesKind, Signal
from greenops.errors import MixedQuantities
from greenops.grid.carbon import Energy, carbon_of_run

START = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
RECORDED = IntensitySeries("Z", KIND, START, HOUR, (100, 300, None))
FORETOLD = Forecast("Z", KIND, START, HOUR, (100, 300), issued_at=START, id="f", error=0.25)
ENERGY = Energy(2.0, Boundary.NODE, Method.MEASURED)


@pytest.mark.feature("J2")
def test_pue_is_applied_once():
    found = carbon_of_run(ENERGY, 1.5, RECORDED, START, START + 2 * HOUR)

    assert found.grams == pytest.approx(2.0 * 1.5 * 200)
    assert (found.low, found.high) == (found.grams, found.grams)
    assert (found.method, found.account) == (Method.MEASURED, Account.LOCATION)


def test_a_forecast_makes_an_estimate_with_its_range():
    found = carbon_of_run(ENERGY, 1.0, FORETOLD, START, START + 2 * HOUR)

    assert found.method is Method.ESTIMATED
    assert (found.low, found.grams, found.high) == pytest.approx((300, 400, 500))


def test_the_range_of_the_energy_and_of_the_forecast_add_up_the_wide_way():
    energy = Energy(2.0, Boundary.NODE, Method.MODELED, low=1.0, high=3.0)

    found = carbon_of_run(energy, 1.0, FORETOLD, START, START + 2 * HOUR)

    assert (found.low, found.high) == pytest.approx((150, 750))


def test_an_error_above_one_does_not_make_carbon_negative():
    wild = Forecast("Z", KIND, START, HOUR, (100,), issued_at=START, id="f", error=1.5)

    assert carbon_of_run(ENERGY, 1.0, wild, START, START + HOUR).low == 0


def test_a_gap_or_a_run_past_the_end_leaves_carbon_unknown():
    assert carbon_of_run(ENERGY, 1.0, RECORDED, START, START + 3 * HOUR) is None
    assert carbon_of_run(ENERGY, 1.0, FORETOLD, START, START + 3 * HOUR) is None


@pytest.mark.feature("A4")
def test_average_and_marginal_amounts_do_not_add():
    marginal = SeriesKind(Signal.MARGINAL, Factors.LIFECYCLE, "test", replay=True)
    other = IntensitySeries("Z", marginal, START, HOUR, (100,))
    amounts = [carbon_of_run(ENERGY, 1.0, each, START, START + HOUR) for each in (RECORDED, other)]

    with pytest.raises(MixedQuantities):
        total(amounts)
