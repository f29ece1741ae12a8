"""Without a forecast: run while the grid is clean enough, else wait, never past the latest safe start.

The policies say what is clean enough, by the intensity of now: a limit, a constraint or an objective's
`when`. Nothing but a line of their own makes a run wait: a rule that compares with the baseline asks
for a forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from greenops.domain.decision import Candidate, Verdict
from greenops.units import Grams, GramsPerKwh, emissions, to_joules

QUEUED: Final = "queue_for_later"
"""Id of the way to wait: it starts at the latest safe start unless the grid is clean enough before."""
BEYOND: Final = 1e6
"""How much dirtier the baseline of a probe is [1]: no rule that compares with it refuses anything."""


def at_intensity(way: Candidate, intensity: GramsPerKwh, pue: float) -> Candidate:
    """A way with the figures it has if the intensity stays as it is during its run."""
    energy = way.energy_kwh
    carbon = None if energy is None else emissions(to_joules(energy), intensity, pue)
    return replace(way, intensity=intensity, carbon_g=carbon)


def queued(way: Candidate, latest: datetime) -> Candidate:
    """The way to wait with a start: nothing is known of the grid then."""
    length = None if way.start is None or way.end is None else way.end - way.start
    return replace(
        way,
        id=QUEUED,
        start=latest,
        end=None if length is None else latest + length,
        intensity=None,
        carbon_g=None,
        carbon_low_g=None,
        carbon_high_g=None,
        forecast_age_s=None,
    )


def probe(way: Candidate) -> tuple[Candidate, tuple[Candidate, Candidate]]:
    """A baseline far dirtier than a way, and the way as it is and on a grid without emissions."""
    dirty = replace(
        way,
        id="baseline",
        intensity=GramsPerKwh(((way.intensity or 0.0) + 1.0) * BEYOND),
        carbon_g=Grams(((way.carbon_g or 0.0) + 1.0) * BEYOND),
    )
    now = replace(way, id="as it is")
    clean = replace(
        way, id="clean", intensity=GramsPerKwh(0.0), carbon_g=Grams(0.0) if way.carbon_g else None
    )
    return dirty, (now, clean)


def too_dirty(verdicts: Sequence[Verdict]) -> bool:
    """Whether a way is refused for its intensity alone: what the rules say of `probe`."""
    _, now, clean = verdicts
    return not (now.allowed and now.eligible) and clean.allowed and clean.eligible
