"""Plans many runs at once through the policies: what `Decider` decides for each, a column at a time.

Law: region, pool, start, figures and mode of each row are those of the decision on that run alone, with the
same forecasts and policies: same ties, deadlines, haste, hold-out. What a decision says in words is a code here.
Two things are left to the decision: where no place of a run has a forecast (`foretold` is false), it may look at
the intensity of now and wait; and it may weigh by the upper bound of carbon, where that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, WorkloadKind
from greenops.errors import UsageError
from greenops.pipeline.fleet_reasons import WHYS, whys
from greenops.plan.candidates import BASELINE, SLOT, STAY_PUT, RegionOption
from greenops.plan.crowd import phase
from greenops.plan.fleet import (
    ABSENT,
    INSTANT,
    MOVABLE,
    NOW,
    PHASE,
    RUN_TIME,
    SCHEDULED,
    SPAN,
    Fleet,
    coded,
    instants,
)
from greenops.plan.fleet_calendar import CALENDAR, calendar_text
from greenops.plan.fleet_cube import CELLS, Cube, Ids, cubes, figures_at
from greenops.plan.fleet_figures import NUMBERS, TEXTS, TIMES, Figures
from greenops.plan.fleet_intensity import EPOCH
from greenops.plan.guard import run_time, scheduled_start
from greenops.plan.intensity import TICK
from greenops.policy import PolicySet
from greenops.policy.choose_columns import ChoiceColumns, choose_columns, fields_of
from greenops.policy.first_look import first_look
from greenops.policy.policy_set import CAUTION
from greenops.policy.record_tables import Choice, job_table

BATCH: Final = WorkloadKind.BATCH.value
LABELS: Final = "job.labels."
JOBS: Final = 2**16
"""Runs that are looked at together; their own columns are small beside their ways."""
SHOWN: Final = (
    *("region", "pool", "start", "end", "carbon_g", "carbon_low_g", "carbon_high_g"),
    *("intensity", "cost_usd", "energy_kwh", "transfer_gb", "forecast_age_s"),
)
"""Figures of the choice and of the baseline that a plan tells."""


def fleet_jobs(jobs: Sequence[Job]) -> pa.Table:
    """Runs as the table that `plan_jobs` takes; their own deadlines are in `limits.deadline`."""
    nowhere = Candidate(BASELINE)
    table = job_table([Choice(each, nowhere, (), each.submitted) for each in jobs])
    kept = [e for e in table.column_names if e != "now" and not e.startswith("baseline.")]
    workloads = [each.workload for each in jobs]
    scheduled = [scheduled_start(each.workload, each.submitted) for each in jobs]
    return (
        table.select(kept)
        .append_column(RUN_TIME, pa.array([run_time(each) for each in workloads], SPAN))
        .append_column(SCHEDULED, pa.array(scheduled, INSTANT))
        .append_column(
            MOVABLE, pa.array([each.target not in STAY_PUT for each in workloads], pa.bool_())
        )
        .append_column(
            CALENDAR, pa.array([calendar_text(each.calendar) for each in workloads], pa.string())
        )
        .append_column(PHASE, pa.array([phase(each) for each in jobs], SPAN))
    )


def plan_jobs(
    jobs: pa.Table,
    options: Sequence[RegionOption],
    policies: PolicySet,
    now: datetime,
    *,
    slot: timedelta = SLOT,
    cells: int = CELLS,
) -> pa.Table:
    """One row per run, in the order of the runs: what is chosen, and what that rests on.

    Args:
        jobs: Batch runs: `job.*` (id, name, kind, home_region and submitted at least), `limits.*` (own
            numbers, the deadline as an instant) and `run_time`; where they differ from submission,
            true and none, `scheduled`, `movable`, `calendar` and `phase`; `now` where a run is decided
            later than the others.
        options: Regions and their newest forecasts.
        policies: The policies in force; what the workloads say is in `jobs`.
        now: Instant of the decisions; a run that is submitted later is decided then.
        slot: From one start to the next.
        cells: Most ways that are in memory at once; a run with more of its own comes alone.

    Returns:
        `job.id`; `chosen.*` and `baseline.*` (`SHOWN`); `deadline` in force; `foretold`; `ways` beside
        the baseline and how many of them are `allowed`; `noncompliant_baseline`; the `objective` that
        counts and the choice's `score` by it; `mode`, `held_out`, `run_now`; `moves`: the policies
        enforce the choice, else the baseline is what happens; and the `reason`, one of `Why`.

    Raises:
        UsageError: A run is no batch run, has no run time, or its home region is not known.
    """
    planned = plan_in_parts(jobs, options, policies, now, slot=slot, cells=cells)
    return pa.concat_tables(planned).unify_dictionaries().combine_chunks()


def plan_in_parts(
    jobs: pa.Table,
    options: Sequence[RegionOption],
    policies: PolicySet,
    now: datetime,
    *,
    slot: timedelta = SLOT,
    cells: int = CELLS,
) -> Iterator[pa.Table]:
    """The same, some runs at a time, as they get ready."""
    for low in range(0, max(1, jobs.num_rows), JOBS):
        part = jobs.slice(low, JOBS)
        _only_batch(part)
        yield _Planner.of(part, options, policies, now, slot).plan(cells)


def _only_batch(jobs: pa.Table) -> None:
    kinds, words = coded(jobs.column("job.kind"))
    other = kinds != (words.index(BATCH) if BATCH in words else -1)
    if other.any():
        name = jobs.column("job.name")[int(other.argmax())].as_py()
        raise UsageError("GO0640", f"`{name}` cannot be planned: it is no batch workload")


@dataclass(frozen=True, slots=True)
class _Planner:
    """Plans some runs.

    Attributes:
        jobs: The runs with `now` and the deadline in force.
        policies: Those that could match one of them.
        of_base: What the policies ask of a baseline.
        of_ways: What they ask of every way.
    """

    jobs: pa.Table
    policies: PolicySet
    figures: Figures
    of_base: frozenset[str]
    of_ways: frozenset[str]

    @classmethod
    def of(
        cls,
        jobs: pa.Table,
        options: Sequence[RegionOption],
        policies: PolicySet,
        now: datetime,
        slot: timedelta,
    ) -> _Planner:
        given = np.maximum(instants(jobs, "job.submitted"), instants(jobs, NOW))
        decided = np.maximum(given, (now - EPOCH) // TICK)
        jobs = jobs.select([e for e in jobs.column_names if not e.startswith("baseline.")])
        jobs = _with_labels(_put(jobs, NOW, pa.array(decided).view(INSTANT)), policies)
        found = first_look(policies, jobs)
        jobs, policies = _put(jobs, "limits.deadline", found.deadlines), found.policies
        fields = [each.split(".", 1) for each in fields_of(policies) if "." in each]
        base, ways = (
            frozenset(name for root, name in fields if root == of)
            for of in ("baseline", "candidate")
        )
        fleet = Fleet.of(jobs, options, now, slot)
        return cls(_safe(jobs, fleet), policies, Figures(fleet), base, ways)

    def plan(self, cells: int) -> pa.Table:
        """The runs' rows, in their order."""
        parts, rows = [], []
        for cube in cubes(self.figures, cells):
            parts.append(self._planned(cube))
            rows.append(cube.jobs)
        order = np.argsort(np.concatenate(rows), kind="stable")
        return pa.concat_tables(parts).unify_dictionaries().take(pa.array(order)).combine_chunks()

    def _planned(self, cube: Cube) -> pa.Table:
        fleet, rows = self.figures.fleet, cube.jobs
        jobs = self.jobs.take(pa.array(rows))
        asked = {*SHOWN, *(self.of_base & {*TEXTS, *TIMES, *NUMBERS})}
        base = figures_at(self.figures, rows, fleet.home[rows], fleet.scheduled[rows], asked)
        real = cube.real()
        found = choose_columns(
            self.policies,
            _with_baselines(jobs, base, self.of_base),
            cube.table(self.of_ways),
            lambda: Ids(cube),
            real=real.ravel(),
        )
        place, start = cube.way(found.rows)
        stays = found.rows == np.arange(len(rows)) * cube.width
        ways = np.count_nonzero(real, axis=1) - 1
        chosen = figures_at(self.figures, rows, place, start, SHOWN)
        why = whys(found, fleet, rows, ways, (stays, place, start))
        return pa.table(
            {
                "job.id": jobs.column("job.id"),
                **{f"chosen.{name}": chosen[name] for name in SHOWN},
                **{f"baseline.{name}": base[name] for name in SHOWN},
                "deadline": jobs.column("limits.deadline"),
                "foretold": pa.array(fleet.foretold()[fleet.reach[rows]]),
                "ways": pa.array(ways),
                **self._said(found),
                "reason": _words([each.value for each in WHYS], why),
            }
        )

    def _said(self, found: ChoiceColumns) -> dict[str, Any]:
        """What the policies say of each run."""
        told, by_job = found.told, found.by_job
        names, first = [""], [0]
        for policy in self.policies.policies:
            first.append(len(names))
            names += [each.name for each in policy.objectives]
        # Place 0 is nobody's.
        objective = np.where(found.ruler < 0, 0, np.array(first)[found.ruler + 1] + told.objective)
        return {
            "allowed": pa.array(told.allowed),
            "noncompliant_baseline": pa.array(~told.compliant),
            "objective": _words(names, objective, absent=objective == 0),
            "score": pa.array(told.score, mask=np.isnan(told.score)),
            "mode": _words([each.value for each in CAUTION], by_job.mode),
            "held_out": pa.array(by_job.held_out),
            "run_now": pa.array(by_job.run_now),
            "moves": pa.array(found.moves),
        }


def _safe(jobs: pa.Table, fleet: Fleet) -> pa.Table:
    """With a run time that leads from each deadline to the latest safe start, calendars and all."""
    if not fleet.calendars.every:
        return jobs
    ends = instants(jobs, "limits.deadline")
    spans = pa.array(np.where(ends == ABSENT, 0, ends - fleet.latest)).view(SPAN)
    return _put(jobs, RUN_TIME, spans)


def _with_labels(jobs: pa.Table, policies: PolicySet) -> pa.Table:
    """With a column for every label that rules name, so that each of them is a field."""
    for name in sorted(each for each in fields_of(policies) if each.startswith(LABELS)):
        if name not in jobs.column_names:
            jobs = jobs.append_column(name, pa.nulls(jobs.num_rows, pa.string()))
    return jobs


def _with_baselines(jobs: pa.Table, base: Mapping[str, Any], asked: Iterable[str]) -> pa.Table:
    for name in asked:
        if name in base:
            jobs = _put(jobs, f"baseline.{name}", base[name])
        elif name == "id":
            jobs = _put(jobs, "baseline.id", pa.array([BASELINE] * jobs.num_rows, pa.string()))
    return jobs


def _put(table: pa.Table, name: str, column: Any) -> pa.Table:
    kept = [each for each in table.column_names if each != name]
    return table.select(kept).append_column(name, column)


def _words(words: Sequence[str], places: Any, absent: Any = None) -> Any:
    codes = pa.array(np.asarray(places, np.int32), mask=absent)
    return pa.DictionaryArray.from_arrays(codes, pa.array(words, pa.string()))
