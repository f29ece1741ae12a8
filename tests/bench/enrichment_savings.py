"""Savings of a 2 h nightly job on all 181 days with a real forecast; no day is left out.

Twice: as the shipped workload, whose starts leave room for its P95 of 4 h, and with room for the 2 h alone.
The demo's day is the median of the second.

python tests/bench/enrichment_savings.py [ZONE]
"""

# ruff: noqa: T201

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import time, timedelta

import numpy as np

from greenops.adapters.clock import SystemClock
from greenops.config import Settings
from greenops.pipeline.grid import load_grid
from greenops.pipeline.savings_by_day import ENRICHMENT, DaySaving, median_day, saving_by_day

POINTS = (5, 25, 50, 75, 95)


def main() -> None:
    """Print both distributions."""
    zone = sys.argv[1] if len(sys.argv) > 1 else "CISO"
    context = load_grid(Settings(), SystemClock())
    print(
        f"{zone}, 2 h job submitted 01:00 local, deadline +12 h, hourly start slots, replay of 2021"
    )
    print("against running at once; chosen by the newest forecast issued by then, paid in actuals")
    asked = (zone, time(1), ENRICHMENT.usual, ENRICHMENT.deadline)
    show(
        f"shipped workload: durationP95 {ENRICHMENT.p95 // timedelta(hours=1)} h, latest start +8 h",
        saving_by_day(context, *asked, longest=ENRICHMENT.p95),
    )
    show(
        "room for the usual 2 h alone, latest start +10 h (the demo's day is its median)",
        saving_by_day(context, *asked),
    )


def show(title: str, days: Sequence[DaySaving]) -> None:
    """Print one distribution."""
    savings = np.array([each.saving for each in days])
    oracle = np.array([each.oracle_saving for each in days])
    print(f"\n{title}")
    print(f"days              {len(days)}")
    for name, values in (("saving", savings), ("oracle", oracle)):
        at = np.percentile(values, POINTS)
        text = "  ".join(f"p{p} {100 * v:5.1f} %" for p, v in zip(POINTS, at, strict=True))
        print(f"{name}            {text}  mean {100 * values.mean():.1f} %")
    print(f"days >= 10 %      {int((savings >= 0.10).sum())} of {len(days)}")
    print(f"days < 0 %        {int((savings < 0).sum())} of {len(days)}")
    middle = median_day(days)
    print(
        f"median day        {middle.day}: {middle.baseline_start:%H:%M}Z "
        f"{middle.baseline_g_per_kwh:.1f} -> {middle.chosen_start:%H:%M}Z "
        f"{middle.chosen_g_per_kwh:.1f} gCO2e/kWh, saving {100 * middle.saving:.1f} %"
    )


if __name__ == "__main__":
    main()
