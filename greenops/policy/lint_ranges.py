"""What fields can be: words of an enum, figures that are never negative, hours of a day."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from greenops.domain.workload import Urgency, WorkloadKind
from greenops.policy.ir import Call, Node, Var
from greenops.policy.zones import CALENDAR

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "job.kind": tuple(each.value for each in WorkloadKind),
    "job.urgency": tuple(each.value for each in Urgency),
}
"""Fields that are one of a few words."""
ALWAYS: Final = frozenset(
    {
        *("job.id", "job.name", "job.kind", "job.urgency", "job.home_region", "job.submitted"),
        *("job.interruptible", "candidate.id", "baseline.id", "now"),
    }
)
"""Fields that no row lacks."""
NEVER_NEGATIVE: Final = frozenset(
    {
        *("energy_kwh", "carbon_g", "carbon_low_g", "carbon_high_g", "intensity", "cost_usd"),
        *("p95_ms", "transfer_gb", "duration_s"),
        *("max_cost_usd", "max_cost_increase", "max_intensity"),
    }
)
"""Figures of which the readers of workloads, tests and settings take none below 0."""
CLOCK: Final[Mapping[str, tuple[int, int]]] = {
    "getHours": (0, 23),
    "getMinutes": (0, 59),
    "getDayOfWeek": (0, 6),
    "getMonth": (0, 11),
    "getDate": (1, 31),
    "getDayOfMonth": (0, 30),
    "getDayOfYear": (0, 365),
}
"""Least and greatest answer. Source: CEL language definition, functions of timestamps. A
duration's hours and minutes go on past these, so the two are told apart."""


def bounds(term: Node) -> tuple[float, float]:
    """Least and greatest that a term can be; infinite where that is not known."""
    if isinstance(term, Var) and len(term.path) == 2 and term.path[1] in NEVER_NEGATIVE:  # noqa: PLR2004 - root, name
        return (0.0, math.inf)
    if isinstance(term, Call) and term.name == "size":
        return (0, math.inf)
    if isinstance(term, Call) and term.name in CLOCK and _of_instant(term):
        return CLOCK[term.name]
    return (-math.inf, math.inf)


def _of_instant(term: Call) -> bool:
    """Is it the clock of an instant for certain, and not a duration's?"""
    if term.name not in {"getHours", "getMinutes"} or len(term.args) > 1:
        return True
    of = term.args[0]
    return isinstance(of, Var) and of.path[-1] in {"start", "end", "submitted", "deadline", "now"}


def is_whole(term: Node) -> bool:
    """Is the term an int for certain?"""
    return isinstance(term, Call) and (term.name == "size" or term.name in CALENDAR)


def between(term: Node, cuts: Sequence[float], *, whole: bool) -> list[float]:
    """Values a term can have, ascending: each cut, one below all, one between every two, one above.

    Args:
        term: What is cut.
        cuts: The constants that it is compared with.
        whole: Only whole numbers: between 2 and 3 there is none.
    """
    low, high = bounds(term)
    ends = [each for each in (low, high) if math.isfinite(each)]
    marks = sorted({*cuts, *ends})
    found = {_below(marks[0], whole=whole), *marks, _above(marks[-1], whole=whole)}
    found |= {_middle(a, b, whole=whole) for a, b in pairwise(marks)}
    return sorted(each for each in found if low <= each <= high)


def _below(mark: float, *, whole: bool) -> float:
    return mark - 1 if whole else min(mark - 1.0, math.nextafter(mark, -math.inf))


def _above(mark: float, *, whole: bool) -> float:
    return mark + 1 if whole else max(mark + 1.0, math.nextafter(mark, math.inf))


def _middle(low: float, high: float, *, whole: bool) -> float:
    """A value strictly between, where there is one; else one of the two, which is there anyway."""
    if whole:
        return min(high, low + 1)
    return low + (high - low) / 2
