"""Constraints nobody has to write: the three numbers, no delay for interactive work, residency."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Final

from greenops.domain.workload import Job, Limits, Urgency
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.model import Constraint, Level
from greenops.policy.parse import parse
from greenops.policy.schema import FIELDS

KNOWN_CLASSES: Final = frozenset({"public", "internal", "personal"})
"""Data classes known without a policy; more are known through a parameter `data_classes`."""

DEADLINE: Final = "candidate.end <= limits.deadline"
COST: Final = "candidate.cost_usd <= limits.max_cost_usd"
COST_INCREASE: Final = "candidate.cost_usd <= baseline.cost_usd * (1 + limits.max_cost_increase)"
CARBON_REDUCTION: Final = (
    "candidate.carbon_g <= baseline.carbon_g * (1 - limits.max_carbon_reduction)"
)
INTENSITY: Final = "candidate.intensity <= limits.max_intensity"
NO_DELAY: Final = (
    "(!has(candidate.start) && !has(baseline.start)) || candidate.start == baseline.start"
)
HOME_ONLY: Final = "candidate.region == job.home_region"
ALLOWED: Final = "candidate.region == job.home_region || candidate.region in job.allowed_regions"

RELATIVE: Final = frozenset({COST_INCREASE, CARBON_REDUCTION})
"""Limits that compare with the baseline; they never refuse it."""


def constraints_for(
    job: Job, limits: Limits, deadline: datetime | None, classes: frozenset[str]
) -> tuple[Constraint, ...]:
    """The built-in constraints of one job, all hard.

    Args:
        job: The run.
        limits: The three numbers in force.
        deadline: Latest end; none where there is none.
        classes: Data classes that are known; any other keeps a job in its home region.
    """
    of = job.workload
    unknown_class = of.data_class is not None and of.data_class not in classes
    given = (
        ("interactive/no-delay", NO_DELAY, of.urgency is Urgency.INTERACTIVE),
        ("residency/home-region", HOME_ONLY, unknown_class),
        ("workload/allowed-regions", ALLOWED, bool(of.allowed_regions)),
        ("limit/deadline", DEADLINE, deadline is not None),
        ("limit/maxCost", COST, limits.max_cost_usd is not None),
        ("limit/maxCost", COST_INCREASE, limits.max_cost_increase is not None),
        ("limit/maxCarbon", CARBON_REDUCTION, limits.max_carbon_reduction is not None),
        ("limit/maxCarbon", INTENSITY, limits.max_intensity is not None),
    )
    return tuple(_constraint(name, text) for name, text, holds in given if holds)


MESSAGES: Final = {
    NO_DELAY: "Interactive work is never delayed.",
    HOME_ONLY: "The data class is not known, so the job stays in its home region.",
    ALLOWED: "The region is not among the workload's allowed regions.",
    DEADLINE: "It would end after the deadline.",
    COST: "It would cost more than the most allowed.",
    COST_INCREASE: "It would cost more above the baseline than allowed.",
    CARBON_REDUCTION: "It would not save the least carbon asked for.",
    INTENSITY: "The grid would be dirtier than allowed.",
}


@cache
def _constraint(name: str, text: str) -> Constraint:
    return Constraint(name, Level.HARD, _compiled(text), MESSAGES[text])


@cache
def _compiled(text: str) -> Expression:
    return compile_node(parse(text), FIELDS)


@cache
def relative_texts() -> frozenset[str]:
    """Canonical texts of the limits that compare with the baseline."""
    return frozenset(_compiled(text).text for text in RELATIVE)
