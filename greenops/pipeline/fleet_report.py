"""What a replay of a fleet found: sums as grams and dollars, and what may be said of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from greenops.pipeline.fleet_replay import COUNTS, KEYS, PARTS, SUMS
from greenops.pipeline.policy_replay_words import grams
from greenops.units import Grams, Usd

ALL = "all"


@dataclass(frozen=True, slots=True)
class FleetRow:
    """Sums of the runs of one workload that were given one region, or of all.

    Attributes:
        runs: How many.
        ways: Ways to run them, beside the baselines, that the policies were asked about.
        moved: Those whose plan is not their baseline.
        run_now: Those that an exception starts at once.
        held_out: Those that a rollout leaves as they were.
        late: Those whose plan ends after their deadline at their usual run time.
        late_before: Those whose baseline does.
        not_allowed: Those whose baseline the rules refuse.
        unknown: Those that lack a figure; they are in no sum of grams and dollars.
        baseline_g: As they would have run [gCO2e], with the intensity that came.
        planned_g: As planned, with the intensity that came.
        foretold_g: As planned, with the intensity that was foretold.
        enforced_g: As planned where the policies enforce it, else the baseline.
        best_g: Planned as if every forecast had been right; none where that was not asked for.
        saved: Share of the baseline that the plan saves; none of nothing.
        captured: Share of the saving of right forecasts that the plan reached; none where there is none.
    """

    workload: str
    region: str
    runs: int
    ways: int
    moved: int
    run_now: int
    held_out: int
    late: int
    late_before: int
    not_allowed: int
    unknown: int
    baseline_g: Grams
    planned_g: Grams
    foretold_g: Grams
    enforced_g: Grams
    best_g: Grams | None
    baseline_usd: Usd
    planned_usd: Usd
    enforced_usd: Usd
    saved: float | None
    captured: float | None


@dataclass(frozen=True, slots=True)
class FleetReport:
    """A replay.

    Attributes:
        start, end: Submissions in `[start, end)`.
        source: Who told of the grid.
        rows: By workload and region.
        total: Of all.
    """

    start: datetime
    end: datetime
    source: str
    rows: tuple[FleetRow, ...]
    total: FleetRow

    def head(self) -> str:
        """What this is, in one line."""
        return (
            f"replay of {self.total.runs:,} runs submitted from {self.start:%Y-%m-%dT%H:%MZ} to "
            f"{self.end:%Y-%m-%dT%H:%MZ}; grid: {self.source}"
        )

    def notes(self) -> list[str]:
        """What the sums mean, and what they leave out."""
        whole = self.total
        lines = [
            (
                "Decided on the forecast known at each submission, counted with the average intensity that "
                "came, by location; submissions and prices are those of the files."
            )
        ]
        if whole.captured is not None:
            share = f"{100 * whole.captured:.1f} %"
            lines.append(f"That is {share} of what right forecasts would have saved.")
        kept = grams(whole.baseline_g - whole.enforced_g)
        lines.append(
            f"With the modes and the hold-out of the policies {kept} would have been saved."
        )
        if whole.unknown:
            lines.append(f"{whole.unknown:,} runs lack a figure and are in no sum.")
        if whole.late:
            lines.append(
                f"{whole.late:,} runs end after their deadline at their usual run time; "
                f"{whole.late_before:,} would have without a plan."
            )
        return lines


def report_of(
    sums: pa.Table, start: datetime, end: datetime, *, source: str, best: bool
) -> FleetReport:
    """The sums of `replay_fleet` in grams and dollars."""
    told = sums.to_pylist()
    whole = {**dict.fromkeys(KEYS, ALL), **{n: sum(each[n] for each in told) for n in SUMS}}
    rows = tuple(_row(each, best=best) for each in told)
    return FleetReport(start, end, source, rows, _row(whole, best=best))


def _row(sums: dict[str, Any], *, best: bool) -> FleetRow:
    def mass(name: str) -> Grams:
        return Grams(sums[f"{name}_ug"] / PARTS)

    def usd(name: str) -> Usd:
        return Usd(sums[f"{name}_uusd"] / PARTS)

    possible = sums["baseline_ug"] - sums["best_ug"]
    reached = sums["baseline_ug"] - sums["planned_ug"]
    return FleetRow(
        **{name: sums[name] for name in (*KEYS, *COUNTS)},
        baseline_g=mass("baseline"),
        planned_g=mass("planned"),
        foretold_g=mass("foretold"),
        enforced_g=mass("enforced"),
        best_g=mass("best") if best else None,
        baseline_usd=usd("baseline"),
        planned_usd=usd("planned"),
        enforced_usd=usd("enforced"),
        saved=reached / sums["baseline_ug"] if sums["baseline_ug"] else None,
        captured=reached / possible if best and possible > 0 else None,
    )
