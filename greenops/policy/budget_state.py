"""Where budgets and targets stand, from sums of spans; nothing is read or steered here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    WorkScope,
)
from greenops.domain.usage import Known, Usage, Used, Window
from greenops.domain.workload import Workload
from greenops.units import Grams, Joules, Usd, to_kwh

RECENT: Final = timedelta(days=28)
"""How far back a target looks for what a day takes now; four whole weeks."""
SLACK: Final = timedelta(days=1)
"""How late after the begin of a baseline period its first span may come."""
NEXT: Final = timedelta(microseconds=1)
"""From an instant to the one after it."""


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


@dataclass(frozen=True, slots=True)
class Spent:
    """Sums of what is known; none where nothing is.

    Attributes:
        unknown: Spans that count and lack a figure that is limited.
    """

    carbon_g: float | None = None
    cost_usd: float | None = None
    unknown: int = 0


def budget_windows(budgets: Iterable[Budget], now: datetime) -> tuple[Window, ...]:
    """The period of each budget, up to and with an instant."""
    begins = (period(each.every, each.time_zone, now)[0] for each in budgets)
    return tuple(Window(each, now + NEXT) for each in begins)


def budget_states(
    budgets: Iterable[Budget],
    workloads: Mapping[str, Workload],
    usage: Iterable[Usage],
    now: datetime,
) -> tuple[BudgetState, ...]:
    """Where each budget stands at an instant.

    Args:
        budgets: The budgets.
        workloads: Name → declared workload; it tells the team.
        usage: What was used in each of their `budget_windows`.
        now: The instant (simulated time).
    """
    return tuple(
        state_of(budget, _spent(budget, _counted(used, budget.scope, workloads)), now)
        for budget, used in zip(budgets, usage, strict=True)
    )


def _counted(used: Usage, scope: WorkScope, workloads: Mapping[str, Workload]) -> list[Used]:
    return [each for name, each in used.items() if scope.holds(name, _team(name, workloads))]


def _team(workload: str | None, workloads: Mapping[str, Workload]) -> str | None:
    declared = workloads.get(workload or "")
    return declared.team if declared else None


def _spent(budget: Budget, used: Sequence[Used]) -> Spent:
    of_carbon, of_cost = budget.carbon_g is not None, budget.cost_usd is not None
    if of_carbon and of_cost:
        unknown = sum(each.no_either for each in used)
    else:
        unknown = sum(each.no_carbon if of_carbon else each.no_cost for each in used)
    return Spent(
        carbon_g=_total(each.carbon_g for each in used) if of_carbon else None,
        cost_usd=_total(each.cost_usd for each in used) if of_cost else None,
        unknown=unknown,
    )


def _total(known: Iterable[Known | None]) -> float | None:
    totals = [each.total for each in known if each is not None]
    return math.fsum(totals) if totals else None


def state_of(budget: Budget, spent: Spent, now: datetime) -> BudgetState:
    """Where a budget stands when so much is spent."""
    begins, ends = period(budget.every, budget.time_zone, now)
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


@dataclass(frozen=True, slots=True)
class Days:
    """What a target compares, in its unit [g, kWh or USD]; none where nothing is known.

    Attributes:
        baseline: Of the baseline period.
        recent: Of the last weeks.
        first: First instant for which something is known.
    """

    baseline: float | None = None
    recent: float | None = None
    first: datetime | None = None


def target_windows(targets: Sequence[Target], now: datetime) -> tuple[Window, ...]:
    """Of each target its baseline period, its last weeks, and all since the first baseline's day."""
    ends = now + NEXT
    begins = min((each.begins for each in targets), default=now).astimezone(UTC)
    whole = Window(begins.replace(hour=0, minute=0, second=0, microsecond=0), ends)
    found = []
    for each in targets:
        recent = Window(_recent_begins(each, now), ends)
        found += [Window(each.begins, min(each.ends, ends)), recent, whole]
    return tuple(found)


def _recent_begins(target: Target, now: datetime) -> datetime:
    return max(target.ends, now - RECENT)


def target_states(
    targets: Sequence[Target],
    workloads: Mapping[str, Workload],
    usage: Sequence[Usage],
    now: datetime,
) -> tuple[TargetState, ...]:
    """Where each target stands at an instant; arguments as in `budget_states`."""
    found = []
    for at, target in enumerate(targets):
        baseline, recent, whole = (
            _measured(target.measure, _counted(each, target.scope, workloads))
            for each in usage[3 * at : 3 * at + 3]
        )
        first = min((each.first for each in whole), default=None)
        days = Days(_in_unit(target.measure, baseline), _in_unit(target.measure, recent), first)
        found.append(standing_of(target, days, now))
    return tuple(found)


def _measured(measure: Measure, used: Iterable[Used]) -> list[Known]:
    match measure:
        case Measure.CARBON:
            return [each.carbon_g for each in used if each.carbon_g is not None]
        case Measure.COST:
            return [each.cost_usd for each in used if each.cost_usd is not None]
        case Measure.ENERGY:
            return [each.energy_j for each in used if each.energy_j is not None]


def _in_unit(measure: Measure, known: Sequence[Known]) -> float | None:
    total = _total(known)
    if total is None or measure is not Measure.ENERGY:
        return total
    return to_kwh(Joules(total))


def standing_of(target: Target, days: Days, now: datetime) -> TargetState:
    """Where a target stands when its days are so."""
    gone = (now - target.ends) / (target.by - target.ends)
    wanted = target.reduction * min(max(gone, 0.0), 1.0)
    baseline = _per_day(days.baseline, target.ends - target.begins)
    current = _per_day(days.recent, now - _recent_begins(target, now))
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


def _missing(target: Target, days: Days, now: datetime) -> str | None:
    """Why nothing can be said yet; none where it can."""
    if now < target.ends + SLACK:
        return "the baseline period is not over for a day yet"
    if days.first is None or days.baseline is None:
        return "no spans in the baseline period"
    if days.first > target.begins + SLACK:
        return f"spans begin on {days.first:%Y-%m-%d}, after the baseline period has begun"
    return None
