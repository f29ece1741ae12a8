from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.carbon import Account, Carbon
from greenops.domain.carbon import total as carbon_total
from greenops.domain.energy import Boundary, Method
from greenops.domain.evidence import AvoidedEmissions, Grade
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.record import plain
from greenops.errors import DataMissing, MixedQuantities
from greenops.prove.evidence import outcome, recompute
from greenops.prove.savings import (
    Basis,
    Energy,
    avoided,
    grade,
    leading,
    mean_of,
    total,
    window,
)
from greenops.units import Grams, GramsPerKwh, Kwh

T0 = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made-up", replay=True)
DAY = IntensitySeries("CISO", KIND, T0, HOUR, tuple(GramsPerKwh(100 + 10 * n) for n in range(24)))
"""Hour n has 100 + 10 n g/kWh."""
ENERGY = Energy(Kwh(2.0), Kwh(1.5), Kwh(3.0), Method.MODELED, "cpu_model")
SMALL = st.floats(-1e6, 1e6)


def at(hour, hours=2.0, *, series=DAY, pue=1.2, basis=Basis.ACTUAL):
    start = T0 + hour * HOUR
    return window(series, start, start + hours * HOUR, region="r", pue=pue, basis=basis)


def an_outcome(baseline=10, chosen=0):
    return outcome(
        workload="nightly-enrichment",
        run_key="nightly-enrichment/2021-10-08",
        decision_id="d1",
        receipt_id="a1",
        energy=ENERGY,
        chosen=at(chosen),
        baseline=at(baseline),
        replay=True,
    )


def test_avoided_is_baseline_less_actual_at_the_same_energy():
    saved = avoided(ENERGY, at(10), at(0))

    # 2 kWh x 1.2 x (205 - 105) g/kWh; the ends at 1.5 and 3 kWh.
    assert saved.estimate == pytest.approx(240)
    assert [saved.low, saved.high] == pytest.approx([180, 360])
    assert saved.grade is Grade.B


def test_a_worse_choice_stays_negative_and_its_range_runs_upward():
    lost = avoided(ENERGY, at(0), at(10))

    assert lost.estimate == pytest.approx(-240)
    assert [lost.low, lost.high] == pytest.approx([-360, -180])


def test_energy_without_a_range_gives_a_saving_without_one():
    saved = avoided(replace(ENERGY, low=None, high=None), at(10), at(0))

    assert saved.estimate == pytest.approx(240)
    assert (saved.low, saved.high, saved.grade) == (None, None, Grade.B)


def test_another_place_counts_its_own_pue():
    moved = avoided(ENERGY, at(0, pue=1.5), at(0, pue=1.0))

    assert moved.estimate == pytest.approx(2 * 105 * 0.5)


def test_a_window_holds_only_the_values_it_met():
    place = at(3.5, 1.5)

    assert place.hours == (130.0, 140.0)
    assert place.intensity_mean == pytest.approx((0.5 * 130 + 140) / 1.5)


@pytest.mark.parametrize(("hour", "hours"), [(-1, 2), (23, 2), (5, 0), (5, -1)])
def test_a_window_the_series_does_not_cover_is_missing_not_zero(hour, hours):
    with pytest.raises(DataMissing, match="GO0408"):
        at(hour, hours)


def test_a_gap_in_the_window_is_missing_not_zero():
    holes = replace(DAY, values=(*DAY.values[:5], None, *DAY.values[6:]))

    with pytest.raises(DataMissing, match="GO0408"):
        at(4, 3, series=holes)
    assert at(6, 3, series=holes).hours == (160.0, 170.0, 180.0)


@given(st.floats(0, 20), st.floats(0.1, 3.9))
def test_a_mean_lies_between_the_extremes_of_its_values(hour, hours):
    place = at(hour, hours)

    assert min(place.hours) - 1e-9 <= place.intensity_mean <= max(place.hours) + 1e-9


def test_values_that_reach_beyond_the_window_are_refused():
    with pytest.raises(ValueError, match="cover each other"):
        mean_of([GramsPerKwh(1)] * 3, T0, 3600, T0, T0 + 2 * HOUR)
    with pytest.raises(ValueError, match="cover each other"):
        mean_of([GramsPerKwh(1)], T0, 3600, T0, T0 + 2 * HOUR)
    with pytest.raises(ValueError, match="a length"):
        mean_of([GramsPerKwh(1)], T0, 0, T0, T0 + HOUR)


@pytest.mark.feature("A4")
@pytest.mark.parametrize(
    "kind",
    [
        replace(KIND, signal=Signal.MARGINAL),
        replace(KIND, factors=Factors.DIRECT),
    ],
)
def test_sides_of_two_kinds_of_intensity_are_never_compared(kind):
    other = at(0, series=replace(DAY, kind=kind))

    with pytest.raises(MixedQuantities, match="GO0301"):
        avoided(ENERGY, at(10), other)


AMOUNT = Carbon(
    Grams(1.0),
    Grams(0.5),
    Grams(2.0),
    Signal.AVERAGE,
    Account.LOCATION,
    Boundary.NODE,
    Method.MEASURED,
)


@pytest.mark.feature("A4", "J8")
@pytest.mark.parametrize(
    "other",
    [
        replace(AMOUNT, signal=Signal.MARGINAL),
        replace(AMOUNT, account=Account.AVOIDED),
        replace(AMOUNT, account=Account.MARKET),
        replace(AMOUNT, boundary=Boundary.CHIP),
        replace(AMOUNT, boundary=Boundary.SITE),
        replace(AMOUNT, boundary=Boundary.NETWORK),
    ],
)
def test_amounts_of_two_kinds_never_add(other):
    with pytest.raises(MixedQuantities, match="GO0301"):
        carbon_total([AMOUNT, other])


def test_amounts_of_one_kind_add_and_take_the_weakest_method():
    both = carbon_total([AMOUNT, replace(AMOUNT, method=Method.ESTIMATED)])

    assert both == replace(
        AMOUNT, grams=Grams(2.0), low=Grams(1.0), high=Grams(4.0), method=Method.ESTIMATED
    )
    assert carbon_total([]) is None


@pytest.mark.parametrize(
    ("method", "basis", "held_out", "expected"),
    [
        (Method.MEASURED, Basis.ACTUAL, True, Grade.A),
        (Method.MEASURED, Basis.ACTUAL, False, Grade.B),
        (Method.MODELED, Basis.ACTUAL, True, Grade.B),
        (Method.MODELED, Basis.ACTUAL, False, Grade.B),
        (Method.ESTIMATED, Basis.ACTUAL, True, Grade.C),
        (Method.REPORTED, Basis.ACTUAL, False, Grade.C),
        (Method.MEASURED, Basis.FORECAST, True, Grade.D),
    ],
)
def test_grades(method, basis, held_out, expected):
    assert grade(method, [Basis.ACTUAL, basis], held_out=held_out) is expected


def amount(estimate, low, high, of=Grade.B):
    return AvoidedEmissions(estimate, low, high, of)


def test_amounts_of_one_meter_err_together():
    both = total([("m", amount(10, 8, 14)), ("m", amount(10, 8, 14))])

    assert both == amount(20, 16, 28)


def test_amounts_of_two_meters_err_apart():
    both = total([("m", amount(10, 7, 13)), ("n", amount(10, 6, 14))])

    assert both == amount(20, 15, 25)


def test_a_loss_beside_a_gain_counts_and_its_error_cancels():
    net = total([("m", amount(10, 8, 12)), ("m", amount(-10, -12, -8))])

    assert net == amount(0, 0, 0)


@pytest.mark.parametrize("meter", ["m", "n"])
def test_a_total_has_no_range_where_one_of_its_parts_has_none(meter):
    found = total([("m", amount(10, 8, 12)), (meter, amount(5, None, None))])

    assert found is not None
    assert (found.estimate, found.low, found.high) == (15, None, None)


def test_a_total_has_the_weakest_grade_and_nothing_has_no_total():
    mixed = [("m", amount(1, 1, 1, Grade.A)), ("m", amount(1, 1, 1, Grade.D))]

    found = total(mixed)

    assert found is not None
    assert found.grade is Grade.D
    assert leading(mixed) == mixed[:1]
    assert total([]) is None


@given(st.lists(st.tuples(st.sampled_from("mn"), SMALL, st.floats(0, 1)), min_size=1))
def test_a_total_lies_in_its_own_range(cases):
    parts = [
        (meter, amount(x, min(x * (1 - u), x * (1 + u)), max(x * (1 - u), x * (1 + u))))
        for meter, x, u in cases
    ]

    found = total(parts)

    assert found is not None
    assert found.low - 1e-6 <= found.estimate <= found.high + 1e-6


@pytest.mark.parametrize("path", [("energy", "low"), ("energy", "high"), ("avoided", "low")])
def test_a_range_that_was_taken_away_does_not_compute_again(path):
    body = plain(an_outcome())
    part, name = path
    body[part][name] = None

    assert recompute(body) != []


def test_an_outcome_computes_again_from_its_own_body():
    assert recompute(plain(an_outcome())) == []
    assert recompute(plain(an_outcome(baseline=3, chosen=3))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("avoided", "estimate"), 240.001),
        (("avoided", "low"), 0.0),
        (("avoided", "high"), 1e9),
        (("avoided", "grade"), "A"),
        (("chosen_g",), 1.0),
        (("baseline_g",), 1e9),
        (("chosen", "intensity_mean"), 1.0),
        (("baseline", "intensity_mean"), 300.0),
        (("baseline", "hours"), [900.0, 900.0]),
        (("baseline", "pue"), 2.0),
        (("baseline", "pue"), 0.5),
        (("baseline", "signal"), "marginal"),
        (("energy", "estimate"), 20.0),
        (("energy", "low"), -1.0),
        (("energy", "method"), "estimated"),
        (("chosen", "basis"), "forecast"),
        (("chosen", "start"), "2021-10-08T00:30:00Z"),
        (("chosen", "step_s"), 0.0),
        (("chosen", "step_s"), 1e300),
        (("chosen", "hours"), []),
        (("chosen", "hours"), "nonsense"),
        (("energy",), None),
        (("invented",), 1),
    ],
)
def test_an_outcome_with_one_value_changed_does_not_compute_again(path, value):
    body = plain(an_outcome())
    target = body
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value

    problems = recompute(body)

    assert problems
    assert all(problem.startswith("its ") for problem in problems)
