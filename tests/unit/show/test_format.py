"""Numbers as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.show import format as show


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not known"),
        (float("nan"), "not known"),
        (0.0, "0 g"),
        (0.000012, "12.0 µg"),
        (1.2e-8, "0.0120 µg"),
        (0.031, "31.0 mg"),
        (0.9999, "1.00 g"),
        (9.996, "10.0 g"),
        (12.34, "12.3 g"),
        (-999.9, "-1.00 kg"),
        (1234.5, "1.23 kg"),
        (999_400.0, "999 kg"),
        (999_960.0, "1.00 t"),
        (2.5e9, "2,500 t"),
    ],
)
def test_grams_have_three_figures_and_a_fitting_prefix(value, text):
    assert show.grams(value) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (show.joules(3420.0), "3.42 kJ"),
        (show.joules(7.2e6), "7.20 MJ"),
        (show.joules_with_kwh(7.2e6), "7.20 MJ (2.00 kWh)"),
        (show.kwh(0.45), "450 Wh"),
        (show.usd(0.0), "0.00 USD"),
        (show.usd(0.00412), "0.00412 USD"),
        (show.usd(1234.5), "1,234.50 USD"),
        (show.signed(show.usd(0.04)), "+0.04 USD"),
        (show.signed(show.usd(-0.04)), "-0.04 USD"),
        (show.intensity(27.4), "27 g/kWh"),
        (show.percent(0.123), "12.3 %"),
        (show.percent(0.0), "0.0 %"),
        (show.percent(1e-9, 2), "below 0.01 %"),
        (show.grams_range(11.0, 1350.0), "11.0 g to 1.35 kg"),
        (show.change(68.0, 100.0), "-32.0 %"),
        (show.duration(timedelta(hours=2, minutes=30)), "2 h 30 min"),
        (show.duration(timedelta(seconds=45)), "45 s"),
        (show.duration(-timedelta(hours=1)), "-1 h"),
        (show.duration(timedelta()), "0 s"),
    ],
)
def test_each_quantity_reads_with_its_unit(text, expected):
    assert text == expected


def test_what_is_absent_is_not_known():
    shown = {
        show.joules_with_kwh(None),
        show.usd(None),
        show.signed(show.usd(None)),
        show.intensity(None),
        show.percent(None),
        show.grams_range(None, 3.0),
        show.joules_range(3.0, None),
        show.change(68.0, None),
        show.duration(None),
        show.instant(None),
    }

    assert shown == {show.NOT_KNOWN}


def test_nothing_has_no_sign():
    assert show.signed(show.usd(0.0)) == "0.00 USD"


def test_times_are_shown_in_utc():
    pacific = timezone(timedelta(hours=-7))

    assert show.instant(datetime(2021, 10, 8, 1, 0, tzinfo=pacific)) == "2021-10-08 08:00 UTC"
    assert show.instant(datetime(2021, 10, 8, 1, 0, tzinfo=UTC)) == "2021-10-08 01:00 UTC"


def test_markup_in_names_stays_text():
    assert show.plain_text("a `b` $c$ <i>") == r"a \`b\` \$c\$ \<i\>"


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_what_is_shown_is_within_half_a_percent_of_the_number(value):
    number, unit = show.joules(value).split()
    size = {"µJ": 1e-6, "mJ": 1e-3, "J": 1, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9}[unit]

    assert float(number.replace(",", "")) * size == pytest.approx(value, rel=0.0051)
