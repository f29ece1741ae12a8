"""The one sentence of a decision, for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from greenops.domain.decision import Candidate, Judgement
from greenops.plan.threshold import QUEUED

FIGURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "carbon_g": "carbon",
        "intensity": "intensity",
        "cost_usd": "cost",
        "energy_kwh": "energy",
        "p95_ms": "latency",
    }
)
"""A candidate's figures that may be absent, in a person's words."""


def reason(
    chosen: Candidate,
    baseline: Candidate,
    judgement: Judgement,
    deadline: datetime | None,
    considered: int,
    *,
    late: bool = False,
    won: bool = False,
) -> str:
    """Why this and not the baseline; every figure in it is in the decision too.

    Args:
        chosen: What was chosen.
        baseline: What would happen without GreenOps.
        judgement: What the policies said.
        deadline: Latest end.
        considered: How many other ways there were.
        late: The baseline starts after the latest safe start.
        won: The baseline was chosen over other ways that might have been.
    """
    if judgement.run_now:
        return f"runs now: exception {judgement.exception}"
    if chosen.id == baseline.id:
        if late:
            return "starts without further delay: its slack is gone"
        return _best(judgement, considered) if won else _stays(baseline, judgement, considered)
    if chosen.id == QUEUED:
        return _queued(chosen, baseline, judgement)
    parts = [_move(chosen, baseline), _saving(chosen, baseline), _cost(chosen, baseline)]
    if deadline is not None and chosen.end is not None:
        spare = (deadline - chosen.end).total_seconds() / 3600
        side = "before" if spare >= 0 else "after"
        parts.append(f"done {abs(spare):.1f} h {side} its deadline")
    return ", ".join(part for part in parts if part)


def not_known(error: str) -> str | None:
    """Which figure a rule lacked, for a person; none where it failed for another reason.

    Args:
        error: Why its expression could not be evaluated, as in `Verdict.errors`.
    """
    figure = FIGURES.get(error.removesuffix(" is absent").strip("`"))
    return f"{figure} is not known" if figure and error.endswith(" is absent") else None


def _queued(chosen: Candidate, baseline: Candidate, judgement: Judgement) -> str:
    own = judgement.verdicts[0].reasons if judgement.verdicts else ()
    by = ", ".join(own) or judgement.objective or "its policies"
    now = "" if baseline.intensity is None else f": {baseline.intensity:.0f} g/kWh"
    latest = f"{chosen.start:%Y-%m-%d %H:%M} UTC" if chosen.start else "its latest safe start"
    return (
        f"waits for a cleaner grid{now} is too much for {by}, and there is no forecast; "
        f"starts at {latest} at the latest"
    )


def _stays(baseline: Candidate, judgement: Judgement, considered: int) -> str:
    if not judgement.policies:
        return "stays as it is: no policy applies to it"
    refused = Counter(rule for v in judgement.verdicts[1:] for rule in v.reasons)
    if not considered:
        return "stays as it is: there is no other way to run it"
    if refused:
        rule, count = refused.most_common(1)[0]
        refuses = f"{rule} refuses {count} of {considered} other ways"
        return f"stays as it is: {_lacking(rule, baseline, judgement)}{refuses}"
    if judgement.objective is None:
        return "stays as it is: no policy that applies has an objective"
    return _best(judgement, considered)


def _lacking(rule: str, baseline: Candidate, judgement: Judgement) -> str:
    """What a rule did not know of any way that it refused; empty where it knew, or of some."""
    refused = [each for each in judgement.verdicts[1:] if rule in each.reasons]
    whys = {not_known(each.errors.get(rule, "")) for each in refused}
    why = whys.pop() if len(whys) == 1 else None
    if why is None:
        return ""
    blind = baseline.intensity is None and baseline.carbon_g is None
    if blind and why in {f"{FIGURES[name]} is not known" for name in ("carbon_g", "intensity")}:
        zone = baseline.zone or baseline.region or "its place"
        return f"no forecast for {zone}, so {why}, and "
    return f"{why}, and "


def _best(judgement: Judgement, considered: int) -> str:
    return f"stays as it is: none of {considered} other ways is better under {judgement.objective}"


def _wait(chosen: Candidate, baseline: Candidate) -> str:
    if not chosen.start or not baseline.start or chosen.start <= baseline.start:
        return ""
    same_day = chosen.start.date() == baseline.start.date()
    until = f"{chosen.start:%H:%M}" if same_day else f"{chosen.start:%Y-%m-%d %H:%M}"
    return f"waits from {baseline.start:%H:%M} until {until} UTC"


def _move(chosen: Candidate, baseline: Candidate) -> str:
    wait = _wait(chosen, baseline)
    if "=" in chosen.id:
        return f"shares the route {chosen.id.replace(',', ', ')}"
    if chosen.region != baseline.region:
        moved = f"moves from {baseline.region} to {chosen.region}"
        return f"{moved} and {wait}" if wait else moved
    if wait:
        return wait
    return f"takes {chosen.id} in place of {baseline.id}"


def _saving(chosen: Candidate, baseline: Candidate) -> str:
    if chosen.carbon_g is None or not baseline.carbon_g:
        return ""
    change = chosen.carbon_g / baseline.carbon_g - 1
    return f"{abs(change):.0%} {'less' if change <= 0 else 'more'} carbon expected"


def _cost(chosen: Candidate, baseline: Candidate) -> str:
    if chosen.cost_usd is None or not baseline.cost_usd:
        return ""
    change = chosen.cost_usd / baseline.cost_usd - 1
    if abs(change) < 0.005:  # noqa: PLR2004  (half a percent shows as none)
        return "at the same cost"
    return f"{abs(change):.0%} {'less' if change < 0 else 'more'} cost"
