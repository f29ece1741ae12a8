"""A decision in five fields, for who is on call and for finance, and every constraint by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenops.domain.decision import Candidate, Verdict
    from greenops.pipeline.policy_tests import TestResult
    from greenops.policy import PolicySet
    from greenops.policy.model import Policy

NOT_KNOWN = "not known"
Fields = Mapping[str, str]


def on_call(result: TestResult, policy: Policy) -> Fields:
    """What runs when and where, until when that is safe, why, what refuses the rest, whom to ask."""
    decision = result.decision
    chosen, baseline = decision.chosen, decision.baseline
    moved = "as without GreenOps" if chosen.id == baseline.id else f"not `{baseline.id}`"
    where = " ".join(each for each in (chosen.region, chosen.pool, chosen.tier) if each)
    start = f" from {chosen.start:%Y-%m-%d %H:%M} UTC" if chosen.start else ""
    counts = Counter(name for names in decision.rejected.values() for name in names)
    refused = ", ".join(f"{name} ({count})" for name, count in counts.most_common()) or "nothing"
    now = result.test.now
    hasty = [e.id for e in policy.exceptions if e.run_now and e.not_before <= now < e.expires]
    if decision.exception:
        way = f"; exception {decision.exception} is in force"
    else:
        way = f"; a job that meets {', '.join(hasty)} runs at once" if hasty else ""
    return {
        "runs": f"`{chosen.id}`{f' in {where}' if where else ''}{start}, {moved}",
        "safe until": _until(result),
        "why": decision.reason,
        "refused by": refused,
        "ask": f"{', '.join(policy.owners)}{way}",
    }


def _until(result: TestResult) -> str:
    """The latest start that keeps the deadline; of a job without a run time the deadline alone."""
    latest, deadline = result.decision.latest_safe_start, result.decision.deadline
    if latest is not None:
        return f"a start at {latest:%Y-%m-%d %H:%M} UTC"
    if deadline is not None:
        return f"its end at {deadline:%Y-%m-%d %H:%M} UTC; how long it runs is not known"
    return "there is no deadline"


def finance(result: TestResult, policy: Policy) -> Fields:
    """Cost, carbon, the limits, what the rules cost, and whether it counts."""
    decision = result.decision
    chosen, baseline = decision.chosen, decision.baseline
    return {
        "cost": _change(baseline.cost_usd, chosen.cost_usd, "USD"),
        "carbon": _change(baseline.carbon_g, chosen.carbon_g, "gCO2e"),
        "limits": limits_line(result),
        "given up": _given_up(result),
        "counts": _counts(policy),
    }


def limits_line(result: TestResult) -> str:
    """The three numbers in force."""
    from greenops.show.tables import three_numbers

    return ", ".join(f"{name} {value}" for name, value in three_numbers(result.decision).items())


def _change(before: float | None, after: float | None, unit: str) -> str:
    if before == after:
        return NOT_KNOWN if before is None else f"{before:g} {unit}, no change"
    if before is None or after is None:
        given = [NOT_KNOWN if each is None else f"{each:g} {unit}" for each in (before, after)]
        return f"{given[0]} -> {given[1]}"
    share = f" ({after / before - 1:+.1%})" if before else ""
    return f"{before:g} -> {after:g} {unit}{share}"


def _given_up(result: TestResult) -> str:
    """The cheapest way that rules refused, where it is cheaper than what was chosen."""
    test, decision = result.test, result.decision
    priced = [
        (each.cost_usd, each)
        for each in test.candidates
        if each.cost_usd is not None and each.id in decision.rejected
    ]
    if decision.chosen.cost_usd is None or not priced:
        return "nothing cheaper was refused"
    cost, cheapest = min(priced, key=lambda pair: pair[0])
    if cost >= decision.chosen.cost_usd:
        return "nothing cheaper was refused"
    rules = ", ".join(decision.rejected[cheapest.id])
    return f"`{cheapest.id}` at {cost:g} USD, refused by {rules}"


def _counts(policy: Policy) -> str:
    meaning = {
        "audit": "recorded only, nothing is chosen or sent",
        "shadow": "chosen and recorded, nothing is sent",
        "enforce": "sent",
    }
    held = 100.0 - policy.percent
    rest = f"; {held:g} % of jobs are left alone, to compare with" if held else ""
    return f"{policy.mode.value}: {meaning[policy.mode.value]}{rest}"


def constraint_rows(
    result: TestResult, policies: PolicySet, policy: Policy
) -> list[tuple[str, str, str, str]]:
    """(candidate, rule, verdict, why) for every constraint of every candidate, held ones too."""
    names = _names(result, policies, policy)
    places = {each.id: each for each in (result.test.baseline, *result.test.candidates)}
    rows = []
    for verdict in result.judgement.verdicts:
        rows += [(verdict.candidate, name, *_said(verdict, name)) for name in names]
        rows.append((verdict.candidate, *_objective(result, verdict, places[verdict.candidate])))
    return rows


def _names(result: TestResult, policies: PolicySet, policy: Policy) -> Sequence[str]:
    from greenops.policy.builtin import constraints_for

    judged = result.judgement
    classes = policies.only(policy.name).known_classes()
    own = constraints_for(result.test.job, judged.limits, judged.deadline, classes)
    named = [each.name for each in (*own, *policy.constraints) if each.name not in judged.waived]
    return list(dict.fromkeys(named)) if policy.name in judged.policies else []


def _said(verdict: Verdict, name: str) -> tuple[str, str]:
    why = verdict.errors.get(name) or verdict.messages.get(name, "-")
    if name in verdict.reasons:
        return "refuses", why
    return ("warns", why) if name in verdict.warnings else ("holds", "-")


def _objective(result: TestResult, verdict: Verdict, place: Candidate) -> tuple[str, str, str]:
    name = result.judgement.objective or "-"
    if verdict.candidate == result.decision.chosen.id:
        word = "chosen"
    elif not verdict.allowed:
        word = "refused"
    else:
        word = "allowed" if verdict.eligible else "not better"
    figures = [
        f"{NOT_KNOWN if value is None else format(value, 'g')} {unit}"
        for value, unit in ((place.carbon_g, "g"), (place.cost_usd, "USD"))
    ]
    return f"objective {name}", word, ", ".join(figures)
