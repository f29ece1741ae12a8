"""Replays a period over a fleet: each run decided with what was known then, counted with what came.

One pure function makes the sums of some runs; an engine runs it over all of them, here or on a cluster. Sums are
whole micrograms and millionths of a dollar, so they are equal however the runs were shared out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.pipeline.fleet_history import FleetHistory
from greenops.pipeline.fleet_plan import plan_jobs
from greenops.pipeline.fleet_runs import EPOCH, SUBMITTED, TICK, parts_of, planned_jobs
from greenops.plan.candidates import SLOT
from greenops.plan.fleet import INSTANT, Fleet, instants
from greenops.plan.fleet_cube import figures_at
from greenops.plan.fleet_figures import Figures
from greenops.policy import PolicySet, compile_policies
from greenops.ports import Engine

KEYS: Final = ("workload", "region")
"""What sums are told by: the workload, and the region that its run was given."""
COUNTS: Final = (
    *("runs", "ways", "moved", "run_now", "held_out"),
    *("late", "late_before", "not_allowed", "unknown"),
)
GRAMS: Final = ("baseline_ug", "planned_ug", "foretold_ug", "enforced_ug", "best_ug")
MONEY: Final = ("baseline_uusd", "planned_uusd", "enforced_uusd")
SUMS: Final = (*COUNTS, *GRAMS, *MONEY)
PARTS: Final = 1_000_000.0
"""Parts that a gram and a dollar are counted in."""


@dataclass(frozen=True, slots=True)
class FleetReplay:
    """The function: some runs in, their sums out, one row per key.

    Attributes:
        history: What was foretold and what came.
        sources: (file, text) of the policies; each process compiles them once.
        best: Also plan each run as if the forecasts had been right.
        slot: From one start to the next.
    """

    history: FleetHistory
    sources: tuple[tuple[str, str], ...] = field(repr=False)
    best: bool = True
    slot: timedelta = SLOT

    def __call__(self, runs: pa.Table) -> pa.Table:
        """The sums of some runs, in order of their submission."""
        policies = _compiled(self.sources)
        return added(self._group(policies, each) for each in self._groups(runs))

    def _groups(self, runs: pa.Table) -> Iterator[pa.Table]:
        """Runs during whose submissions no forecast changed."""
        changes = [(each - EPOCH) // TICK for each in self.history.changes()]
        of = np.searchsorted(np.array(changes, np.int64), instants(runs, SUBMITTED), "right")
        edges = [0, *(np.flatnonzero(np.diff(of)) + 1).tolist(), runs.num_rows]
        for first, past in pairwise(edges):
            if past > first:
                yield runs.slice(first, past - first)

    def _group(self, policies: PolicySet, runs: pa.Table) -> pa.Table:
        now = runs.column(SUBMITTED)[0].as_py()
        jobs = planned_jobs(runs, policies.workloads)
        planned = plan_jobs(jobs, self.history.foretold(now), policies, now, slot=self.slot)
        columns = self._counted(jobs, planned, now)
        columns["foretold_ug"] = _whole(planned.column("chosen.carbon_g"))
        columns["best_ug"] = np.zeros(len(runs), np.int64)
        if self.best:
            options = self.history.as_it_came(now)
            found = plan_jobs(jobs, options, policies, now, slot=self.slot)
            columns["best_ug"] = _whole(self._as_it_came(jobs, found, "chosen", now)["carbon_g"])
            columns["unknown"] |= columns["best_ug"] < 0
        columns["unknown"] |= columns["foretold_ug"] < 0
        known = ~columns["unknown"]
        for name in (*GRAMS, *MONEY):
            # A run that lacks one figure is in no sum, so that all sums are of the same runs.
            columns[name] = np.where(known, columns[name], 0)
        keys = {"workload": runs.column("workload"), "region": planned.column("chosen.region")}
        sums = {name: pa.array(np.asarray(columns[name]).astype(np.int64)) for name in SUMS}
        return pa.table({**{n: e.cast(pa.string()) for n, e in keys.items()}, **sums})

    def _counted(self, jobs: pa.Table, planned: pa.Table, now: Any) -> dict[str, Any]:
        base = self._as_it_came(jobs, planned, "baseline", now)
        made = self._as_it_came(jobs, planned, "chosen", now)
        moves = np.asarray(planned.column("moves"))
        columns: dict[str, Any] = {
            "runs": np.ones(len(jobs), np.int64),
            "ways": np.asarray(planned.column("ways")),
            "moved": instants(planned, "chosen.start") != instants(planned, "baseline.start"),
            "run_now": np.asarray(planned.column("run_now")),
            "held_out": np.asarray(planned.column("held_out")),
            "late": _late(planned, "chosen"),
            "late_before": _late(planned, "baseline"),
            "not_allowed": np.asarray(planned.column("noncompliant_baseline")),
            "unknown": np.zeros(len(jobs), np.bool_),
        }
        columns["moved"] |= _differ(planned, "region") | _differ(planned, "pool")
        for figure, unit in (("carbon_g", "ug"), ("cost_usd", "uusd")):
            before, after = _whole(base[figure]), _whole(made[figure])
            columns[f"baseline_{unit}"], columns[f"planned_{unit}"] = before, after
            columns[f"enforced_{unit}"] = np.where(moves, after, before)
            columns["unknown"] |= (before < 0) | (after < 0)
        return columns

    def _as_it_came(
        self, jobs: pa.Table, planned: pa.Table, of: str, now: Any
    ) -> Mapping[str, Any]:
        """Carbon and cost of a way of each run, with the intensity that came."""
        starts = instants(planned, f"{of}.start")
        ends = instants(planned, f"{of}.end")
        first, last = EPOCH + int(starts.min()) * TICK, EPOCH + int(ends.max()) * TICK
        fleet = Fleet.of(jobs, self.history.between(first, last), now, self.slot)
        named = {
            (fleet.options[e.region].region.id, e.pool): at for at, e in enumerate(fleet.places)
        }
        words = zip(
            planned.column(f"{of}.region").to_pylist(),
            planned.column(f"{of}.pool").to_pylist(),
            strict=True,
        )
        places = np.array([named[each] for each in words], np.int64)
        rows = np.arange(len(jobs))
        return figures_at(Figures(fleet), rows, places, starts, ("carbon_g", "cost_usd"))


def replay_fleet(runs: pa.Table, replay: FleetReplay, engine: Engine | None = None) -> pa.Table:
    """The sums of a whole fleet by workload and region; equal for every engine and size of part.

    Args:
        runs: `workload`, `submitted` and what a file may tell, in order of submission.
        replay: The function.
        engine: Runs it; none: here and now.
    """
    parts = parts_of(runs)
    return added(map(replay, parts) if engine is None else engine.run(replay, parts))


def added(tables: Iterable[pa.Table]) -> pa.Table:
    """Sums of sums, one row per key in order."""
    found = pa.concat_tables([_nothing(), *tables])
    grouped = found.group_by(list(KEYS)).aggregate([(name, "sum") for name in SUMS])
    named = grouped.rename_columns({f"{name}_sum": name for name in SUMS})
    return named.select([*KEYS, *SUMS]).sort_by([(each, "ascending") for each in KEYS])


def _nothing() -> pa.Table:
    texts = {name: pa.array([], pa.string()) for name in KEYS}
    return pa.table({**texts, **{name: pa.array([], pa.int64()) for name in SUMS}})


def _whole(column: Any) -> Any:
    """Millionths; -1 where absent."""
    numbers = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    found = numbers.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    absent = np.isnan(found)
    return np.where(absent, -1, np.rint(np.where(absent, 0.0, found) * PARTS)).astype(np.int64)


def _late(planned: pa.Table, of: str) -> Any:
    """Runs whose usual end lies after their deadline."""
    ends = planned.column("deadline").cast(INSTANT)
    after = pa.compute.greater(planned.column(f"{of}.end").cast(INSTANT), ends)
    return np.asarray(after.fill_null(False))


def _differ(planned: pa.Table, name: str) -> Any:
    one, other = (planned.column(f"{of}.{name}").cast(pa.string()) for of in ("chosen", "baseline"))
    return np.asarray(pa.compute.not_equal(one, other).fill_null(True))


@lru_cache(maxsize=4)
def _compiled(sources: tuple[tuple[str, str], ...]) -> PolicySet:
    return compile_policies(list(sources))
