"""More energy than before, or only noise."""

from __future__ import annotations

import pytest

from greenops.domain.energy_baseline import CaseEnergy
from greenops.prove.energy_gate import case_energy, regression
from greenops.units import Joules


def case(joules: float, spread: float | None = 0.0) -> CaseEnergy:
    return CaseEnergy(Joules(joules), None if spread is None else Joules(spread), 5)


@pytest.mark.parametrize(
    ("now", "before", "percent", "fails"),
    [
        (case(1.21), case(1.0), 20, True),
        (case(1.19), case(1.0), 20, False),
        (case(1.25, 0.04), case(1.0, 0.02), 20, False),
        (case(1.27, 0.04), case(1.0, 0.02), 20, True),
        (case(0.5), case(1.0), 0, False),
        (case(0.04), case(0.0), 0, False),
        (case(0.06), case(0.0), 0, True),
        (case(9.0, None), case(1.0), 20, False),
        (case(9.0), case(1.0, None), 20, False),
    ],
)
def test_only_a_rise_above_both_the_limit_and_the_noise_fails(
    now: CaseEnergy, before: CaseEnergy, percent: float, fails: bool
) -> None:
    assert (regression(now, before, percent) is not None) == fails


def test_the_median_passes_over_a_disturbed_run() -> None:
    found = case_energy([1.0, 1.02, 9.0, 0.98, 1.01])

    assert found.joules == 1.01
    assert found.spread == pytest.approx(1.645 * 1.2533 * 1.4826 * 0.01 / 5**0.5)


def test_two_runs_tell_no_spread() -> None:
    assert case_energy([1.0, 2.0]) == CaseEnergy(Joules(1.5), None, 2)
