"""Whether a test uses more energy than its baseline, told from noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

from greenops.domain.energy_baseline import CaseEnergy
from greenops.units import Joules

FEWEST: Final = 3
"""Runs from which a spread can be told."""
FLOOR: Final = Joules(0.05)
"""A smaller difference is no regression [J]: one count of the kernel's CPU clock, 10 ms, at 5 W."""
NORMAL: Final = 1.4826
"""Standard deviation over median absolute deviation of normal noise."""
MEDIAN: Final = 1.2533
"""Standard error of a median over that of a mean, normal noise, many runs."""
Z90: Final = 1.645
"""Half width of a 90 % range in standard errors."""


def case_energy(runs: Sequence[float]) -> CaseEnergy:
    """What repeated runs [J] tell; the median passes over a run that something disturbed."""
    middle = statistics.median(runs)
    spread = None
    if len(runs) >= FEWEST:
        deviation = NORMAL * statistics.median(abs(each - middle) for each in runs)
        spread = Joules(Z90 * MEDIAN * deviation / math.sqrt(len(runs)))
    return CaseEnergy(Joules(middle), spread, len(runs))


def regression(now: CaseEnergy, before: CaseEnergy, percent: float) -> str | None:
    """Why a test fails: it is above its baseline by more than `percent` and by more than both spreads; else none."""
    if now.spread is None or before.spread is None:
        return None
    more = now.joules - before.joules
    noise = now.spread + before.spread
    if more <= max(FLOOR, before.joules * percent / 100 + noise):
        return None
    rise = f"{more / before.joules:+.0%}" if before.joules else f"{more:+.3g} J"
    return (
        f"energy {now.joules:.3g} J, {before.joules:.3g} J in the baseline ({rise}); "
        f"{percent:g} % are allowed, {noise:.2g} J are noise"
    )
