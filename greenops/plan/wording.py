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
        return _best(judgement, considered) if won else _stays(judgement, considered)
    parts = [_move(chosen, baseline), _saving(chosen, baseline), _cost(chosen, baseline)]
    if deadline is not None and chosen.end is not None:
        spare = (deadline - chosen.end).total_seconds() / 3600
        side = "before" if spare >= 0 else "after"
        parts.append(f"done {abs(spare):.1f} h {side} its deadline")
    return ", ".join(part for part in parts if part)


def _stays(judgement: Judgement, considered: int) -> str:
    if not judgement.policies:
        return "stays as it is: no policy applies to it"
    refused = Counter(rule for v in judgement.verdicts[1:] for rule in v.reasons)
    if not considered:
        return "stays as it is: there is no other way to run it"
    if refused:
        rule, count = refused.most_common(1)[0]
        return f"stays as it is: {rule} refuses {count} of {considered} other ways"
    if judgement.objective is None:
        return "stays as it is: no policy that applies has an objective"
    return _best(judgement, considered)


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
