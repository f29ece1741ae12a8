"""Where budgets and targets stand, from spans; pure sums, nothing is steered here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from greenops.domain.budget import (
    Budget,
    BudgetState,
    Every,
    Measure,
    Standing,
    Target,
    TargetState,
)
from greenops.domain.spans import SpanRow
from greenops.domain.workload import Workload
from greenops.units import Grams, Usd, to_kwh

RECENT: Final = timedelta(days=28)
"""How far back a target looks for what a day takes now; four whole weeks."""
SLACK: Final = timedelta(days=1)
"""How late after the begin of a baseline period its first span may come."""


def period(every: Every, time_zone: str, now: datetime) -> tuple[datetime, datetime]:
    """The period that an instant lies in.

    Args:
        every: How long a period is.
        time_zone: Whose midnight it begins at.
        now: The instant.

    Returns:
        Its first instant, and the first after it (UTC).
    """
    zone = ZoneInfo(time_zone)
    day = now.astimezone(zone).date()
    first, after = _days(every, day)
    begins, ends = (datetime.combine(each, time(), tzinfo=zone) for each in (first, after))
    return begins.astimezone(UTC), ends.astimezone(UTC)


def _days(every: Every, day: date) -> tuple[date, date]:
    match every:
        case Every.DAY:
            return day, day + timedelta(days=1)
        case Every.WEEK:
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=7)
        case Every.MONTH:
            return _months(day, day.month, 1)
        case Every.QUARTER:
            return _months(day, (day.month - 1) // 3 * 3 + 1, 3)
        case Every.YEAR:
            return _months(day, 1, 12)


def _months(day: date, first: int, count: int) -> tuple[date, date]:
    begins = day.replace(month=first, day=1)
    after = first + count
    return begins, begins.replace(year=day.year + (after > 12), month=(after - 1) % 12 + 1)  # noqa: PLR2004


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


def _plus(total: float | None, value: float | None) -> float | None:
    return total if value is None else (total or 0.0) + value


def budget_states(
    budgets: Iterable[Budget],
    workloads: Mapping[str, Workload],
    rows: Iterable[SpanRow],
    now: datetime,
) -> tuple[BudgetState, ...]:
    """Where each budget stands at an instant.

    Args:
        budgets: The budgets.
        workloads: Name → declared workload; it tells the team.
        rows: Spans, in any order; those of other periods and after `now` do not count.
        now: The instant (simulated time).
    """
    spans = [(each, *period(each.every, each.time_zone, now), _Spent()) for each in budgets]
    for row in rows:
        team = _team(row, workloads)
        for budget, begins, ends, spent in spans:
            counts = begins <= row.time < ends and row.time <= now
            if counts and budget.scope.holds(row.workload, team):
                spent.add(row, budget)
    return tuple(_state(*each, now) for each in spans)


def _team(row: SpanRow, workloads: Mapping[str, Workload]) -> str | None:
    declared = workloads.get(row.workload or "")
    return declared.team if declared else None


def _state(
    budget: Budget, begins: datetime, ends: datetime, spent: _Spent, now: datetime
) -> BudgetState:
    shares = [
        used / limit
        for used, limit in ((spent.carbon_g, budget.carbon_g), (spent.cost_usd, budget.cost_usd))
        if used is not None and limit
    ]
    share = max(shares, default=None)
    gone = (now - begins) / (ends - begins)
    reached = [each for each in budget.stages if share is not None and each.at <= share]
    return BudgetState(
        budget=budget.name,
        begins=begins,
        ends=ends,
        carbon_g=None if spent.carbon_g is None else Grams(spent.carbon_g),
        cost_usd=None if spent.cost_usd is None else Usd(spent.cost_usd),
        share=share,
        burn=share / gone if share is not None and gone > 0 else None,
        unknown=spent.unknown,
        stage=reached[-1] if reached else None,
    )


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


def target_states(
    targets: Iterable[Target],
    workloads: Mapping[str, Workload],
    rows: Iterable[SpanRow],
    now: datetime,
) -> tuple[TargetState, ...]:
    """Where each target stands at an instant; arguments as in `budget_states`."""
    sums = [(each, _Days(recent_begins=max(each.ends, now - RECENT))) for each in targets]
    for row in rows:
        team = _team(row, workloads)
        for target, days in sums:
            if row.time <= now and target.scope.holds(row.workload, team):
                days.add(row, target)
    return tuple(_stands(target, days, now) for target, days in sums)


def _stands(target: Target, days: _Days, now: datetime) -> TargetState:
    gone = (now - target.ends) / (target.by - target.ends)
    wanted = target.reduction * min(max(gone, 0.0), 1.0)
    baseline = _per_day(days.baseline, target.ends - target.begins)
    current = _per_day(days.recent, now - days.recent_begins)
    why = _missing(target, days, now)
    if why is not None or not baseline or current is None:
        why = why or ("no spans in the last four weeks" if baseline else "the baseline is zero")
        return TargetState(target.name, Standing.UNKNOWN, wanted, baseline, current, None, why)
    reached = 1.0 - current / baseline
    if reached >= target.reduction:
        standing = Standing.MET
    elif now >= target.by:
        standing = Standing.MISSED
    else:
        standing = Standing.ON_TRACK if reached >= wanted else Standing.BEHIND
    return TargetState(target.name, standing, wanted, baseline, current, reached)


def _per_day(total: float | None, length: timedelta) -> float | None:
    return None if total is None or length < SLACK else total / (length / timedelta(days=1))


def _missing(target: Target, days: _Days, now: datetime) -> str | None:
    """Why nothing can be said yet; none where it can."""
    if now < target.ends + SLACK:
        return "the baseline period is not over for a day yet"
    if days.first is None or days.baseline is None:
        return "no spans in the baseline period"
    if days.first > target.begins + SLACK:
        return f"spans begin on {days.first:%Y-%m-%d}, after the baseline period has begun"
    return None
