"""The one sentence of a decision, for a person."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from greenops.domain.decision import Candidate, Judgement


def reason(
    chosen: Candidate,
    baseline: Candidate,
    judgement: Judgement,
    deadline: datetime | None,
    considered: int,
) -> str:
    """Why this and not the baseline; every figure in it is in the decision too."""
    if judgement.run_now:
        return f"runs now: exception {judgement.exception}"
    if chosen.id == baseline.id:
        return _stays(judgement, considered)
    parts = [_move(chosen, baseline), _saving(chosen, baseline), _cost(chosen, baseline)]
    if deadline is not None and chosen.end is not None:
        spare = (deadline - chosen.end).total_seconds() / 3600
        parts.append(f"done {spare:.1f} h before its deadline")
    return ", ".join(part for part in parts if part)


def _stays(judgement: Judgement, considered: int) -> str:
    refused = Counter(rule for v in judgement.verdicts[1:] for rule in v.reasons)
    if not considered:
        return "stays as it is: there is no other way to run it"
    if refused:
        rule, count = refused.most_common(1)[0]
        return f"stays as it is: {rule} refuses {count} of {considered} other ways"
    return f"stays as it is: none of {considered} other ways is better under {judgement.objective}"


def _move(chosen: Candidate, baseline: Candidate) -> str:
    if chosen.region != baseline.region:
        return f"moves from {baseline.region} to {chosen.region}"
    if chosen.start and baseline.start and chosen.start > baseline.start:
        return f"waits from {baseline.start:%H:%M} until {chosen.start:%H:%M} UTC"
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
