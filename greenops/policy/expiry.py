"""Exceptions that have run out: still in the file, no longer in force."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from greenops.policy.policy_set import PolicySet
from greenops.policy.report import Problem

GRACE: Final = timedelta(days=30)
"""How long an expired exception is a warning; after that it is an error at lint."""


def warnings(policies: PolicySet, now: datetime) -> tuple[Problem, ...]:
    """Exceptions that expired within the last thirty days: something to clear away soon."""
    return tuple(problem for problem, age in _expired(policies, now) if age <= GRACE)


def overdue(policies: PolicySet, now: datetime) -> tuple[Problem, ...]:
    """Exceptions that expired longer ago: nobody looks after this file."""
    return tuple(problem for problem, age in _expired(policies, now) if age > GRACE)


def _expired(policies: PolicySet, now: datetime) -> Iterator[tuple[Problem, timedelta]]:
    for policy in policies.policies:
        for each in policy.exceptions:
            age = now - each.expires
            if age >= timedelta(0):
                since = f"{each.expires:%Y-%m-%d}"
                yield (
                    Problem(
                        "GO0122",
                        f"exception `{each.id}` of `{policy.name}` expired on {since}",
                        at=each.source or policy.source,
                        fix="remove it; a new one needs a new approval",
                    ),
                    age,
                )
