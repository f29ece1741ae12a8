"""Where budgets and targets stand, a row of the lake at a time: the peer of the sums in columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from greenops.adapters.parquet_lake import ParquetLake
from greenops.domain.budget import Budget, BudgetState, Measure, Target, TargetState
from greenops.domain.spans import SpanRow
from greenops.domain.workload import Workload
from greenops.policy import PolicySet
from greenops.policy.budget_state import RECENT, Days, Spent, period, standing_of, state_of
from greenops.units import to_kwh


def budgets_by_rows(policies: PolicySet, lake: ParquetLake, now: datetime) -> list[BudgetState]:
    """As `standing_of_budgets`, from every span since the first period's day."""
    first = min(period(each.every, each.time_zone, now)[0] for each in policies.budgets)
    spans = [
        (each, *period(each.every, each.time_zone, now), _Spent()) for each in policies.budgets
    ]
    for row in lake.spans(skip_damaged=True, since=first.astimezone(UTC).date()):
        team = _team(row, policies.workloads)
        for budget, begins, ends, spent in spans:
            counts = begins <= row.time < ends and row.time <= now
            if counts and budget.scope.holds(row.workload, team):
                spent.add(row, budget)
    sums = [(budget, Spent(s.carbon_g, s.cost_usd, s.unknown)) for budget, _, _, s in spans]
    return [state_of(budget, spent, now) for budget, spent in sums]


def targets_by_rows(policies: PolicySet, lake: ParquetLake, now: datetime) -> list[TargetState]:
    """As `standing_of_targets`, from every span since the first baseline's day."""
    first = min(each.begins for each in policies.targets)
    rows = lake.spans(skip_damaged=True, since=first.astimezone(UTC).date())
    sums = _summed_days(policies.targets, policies.workloads, rows, now)
    return [standing_of(target, Days(d.baseline, d.recent, d.first), now) for target, d in sums]


def _summed_days(
    targets: Sequence[Target],
    workloads: Mapping[str, Workload],
    rows: Iterable[SpanRow],
    now: datetime,
) -> list[tuple[Target, _Days]]:
    sums = [(each, _Days(recent_begins=max(each.ends, now - RECENT))) for each in targets]
    for row in rows:
        team = _team(row, workloads)
        for target, days in sums:
            if row.time <= now and target.scope.holds(row.workload, team):
                days.add(row, target)
    return sums


def _team(row: SpanRow, workloads: Mapping[str, Workload]) -> str | None:
    declared = workloads.get(row.workload or "")
    return declared.team if declared else None


@dataclass(slots=True)
class _Spent:
    """Sums of what is known; none before anything is."""

    carbon_g: float | None = None
    cost_usd: float | None = None
    unknown: int = 0

    def add(self, row: SpanRow, budget: Budget) -> None:
        lacks = False
        if budget.carbon_g is not None:
            self.carbon_g = _plus(self.carbon_g, row.carbon_g)
            lacks = row.carbon_g is None
        if budget.cost_usd is not None:
            self.cost_usd = _plus(self.cost_usd, row.cost_usd)
            lacks = lacks or row.cost_usd is None
        # A span that used nothing of ours and says no reason has nothing to tell.
        self.unknown += lacks and (row.energy_j is not None or row.unknown is not None)


@dataclass(slots=True)
class _Days:
    """What a target sums: its baseline period, the last weeks, and since when there are spans."""

    baseline: float | None = None
    recent: float | None = None
    first: datetime | None = None
    recent_begins: datetime = field(default=datetime.max.replace(tzinfo=UTC))

    def add(self, row: SpanRow, target: Target) -> None:
        value = _measured(row, target.measure)
        if value is None:
            return
        self.first = row.time if self.first is None else min(self.first, row.time)
        if target.begins <= row.time < target.ends:
            self.baseline = _plus(self.baseline, value)
        if row.time >= self.recent_begins:
            self.recent = _plus(self.recent, value)


def _measured(row: SpanRow, measure: Measure) -> float | None:
    match measure:
        case Measure.CARBON:
            return row.carbon_g
        case Measure.COST:
            return row.cost_usd
        case Measure.ENERGY:
            return None if row.energy_j is None else to_kwh(row.energy_j)


def _plus(total: float | None, value: float | None) -> float | None:
    return total if value is None else (total or 0.0) + value
