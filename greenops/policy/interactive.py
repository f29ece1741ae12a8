"""Interactive work is never delayed: what a policy's own match says of it, told at load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from greenops.domain.workload import Limits, Urgency
from greenops.policy.evaluate import Expression, to_cel
from greenops.policy.fields import Fields
from greenops.policy.ir import Has, Node, Var, conjuncts, walk
from greenops.policy.text import canonical

URGENCY: Final = ("job", "urgency")


def check_interactive(spec: Fields, match: Sequence[Expression], limits: Limits) -> None:
    """Law: no policy may give interactive work time to wait.

    A match that tells urgencies apart and lets `interactive` in means it. One that does not speak of
    urgency may meet interactive work too; then the constraint `interactive/no-delay` holds.
    """
    waits = limits.deadline_within is not None or limits.deadline_at is not None
    if not waits:
        return
    shut_out = {each for each in Urgency if _shuts_out(match, each)}
    if shut_out and Urgency.INTERACTIVE not in shut_out:
        spec.bad(
            "limits",
            "interactive work is never delayed, but this policy gives it a deadline",
            'remove `limits.deadline`, or add `job.urgency != "interactive"` to `match`',
            "21",
        )


def _shuts_out(match: Sequence[Expression], urgency: Urgency) -> bool:
    """Does a match refuse every job of an urgency, whatever else the job is?"""
    row = {"job": to_cel({"urgency": urgency.value})}
    parts = (part for each in match for part in conjuncts(each.node))
    return any(
        Expression(part, canonical(part), "bool")(row) is False
        for part in parts
        if (named := _fields_of(part)) and named <= {URGENCY}
    )


def _fields_of(part: Node) -> set[tuple[str, ...]]:
    return {tuple(each.path) for each in walk(part) if isinstance(each, Var | Has)}
