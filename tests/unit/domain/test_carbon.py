from __future__ import annotations

from dataclasses import replace

import pytest

from greenops.domain.carbon import Account, Carbon, total
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Signal
from greenops.errors import MixedQuantities
from greenops.units import Grams

ONE = Carbon(
    Grams(10),
    Grams(8),
    Grams(12),
    Signal.AVERAGE,
    Account.LOCATION,
    Boundary.NODE,
    Method.MEASURED,
)


def test_amounts_of_one_kind_add_with_their_ranges():
    both = total([ONE, replace(ONE, method=Method.ESTIMATED)])

    assert both == replace(ONE, grams=20, low=16, high=24, method=Method.ESTIMATED)


def test_nothing_has_no_sum():
    assert total([]) is None


@pytest.mark.feature("A4", "J8")
@pytest.mark.parametrize(
    "other",
    [
        replace(ONE, signal=Signal.MARGINAL),
        replace(ONE, account=Account.MARKET),
        replace(ONE, account=Account.AVOIDED),
        replace(ONE, boundary=Boundary.SITE),
    ],
)
def test_amounts_of_two_kinds_never_add(other):
    with pytest.raises(MixedQuantities, match="cannot add"):
        ONE + other
