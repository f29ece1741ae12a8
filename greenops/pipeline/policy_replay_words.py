"""One changed decision in plain words: what would be done instead, what it brings, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from greenops.adapters.lake_history import Source
from greenops.domain.decision import Candidate, Judgement
from greenops.pipeline.policy_replay import Replayer
from greenops.plan.choice import choose
from greenops.plan.guard import latest_safe_start
from greenops.plan.wording import not_known

GRAMS_PER_KG: Final = 1e3
GRAMS_PER_T: Final = 1e6


@dataclass(frozen=True, slots=True)
class Seen:
    """A changed decision, and where to read all of it.

    Attributes:
        key: Its rank among the changed, the least first.
        first, length: Its candidates among those of the batch.
        before, after: Place of either choice among them.
    """

    key: tuple[float, float, str]
    decision: Mapping[str, Any]
    source: Source
    first: int
    length: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class MostChanged:
    """A changed decision, told.

    Attributes:
        carbon_g: After less before [gCO2e]; `carbon_low_g` and `carbon_high_g` its range.
        sentence: For a person.
    """

    decision: str
    job: str
    decided_at: datetime
    before: str
    after: str
    sentence: str
    carbon_g: float | None = None
    carbon_low_g: float | None = None
    carbon_high_g: float | None = None
    cost_usd: float | None = None


def assumed(replayer: Replayer) -> tuple[str, ...]:
    """What a replay takes as it was, in sentences; to be asked once all is replayed."""
    if not replayer.staged:
        return ()
    checks = replayer.checks
    held = f"{checks.staged:,} decision{'' if checks.staged == 1 else 's'} under one"
    said = f"budget stages as they were recorded, {held}: a changed spend does not change them,"
    kept = f"{said} and a budget that was not kept then counts as unspent"
    if not checks.untold:
        return (kept,)
    return (
        kept,
        f"no stages are told by {checks.untold:,} of the decisions: judged as if none held",
    )


def told(seen: Seen, replayer: Replayer, *, whole: bool = False) -> tuple[MostChanged, bool]:
    """The decision in words.

    Args:
        seen: The decision.
        replayer: Its two sides.
        whole: Choose among all candidates again, row by row, half a millisecond for each rule and
            candidate; else the two choices alone are judged.

    Returns:
        It, and whether row by row the same candidates are chosen; true where that was not asked.
    """
    places = [Candidate(**row) for row in seen.source.rows(seen.first, seen.length)]
    before, after = places[seen.before], places[seen.after]
    said = [_said(at, seen, replayer, places, whole=whole) for at in range(2)]
    agree = not whole or all(
        each is None or each.chosen is wanted
        for each, wanted in zip(said, (before, after), strict=True)
    )
    figures = [part for part in (_carbon(before, after), _cost(before, after)) if part]
    brings = ", ".join(figures) or "neither carbon nor cost is known"
    sentence = f"{seen.decision['job_id']} {_instead(before, after)}: {brings}"
    why = _why(before, after, said[0], said[1])
    low, high = _range(before, after)
    found = MostChanged(
        decision=seen.decision["id"],
        job=seen.decision["job_id"],
        decided_at=seen.decision["decided_at"],
        before=before.id,
        after=after.id,
        sentence=f"{sentence}; {why}" if why else sentence,
        carbon_g=_less(after.carbon_g, before.carbon_g),
        carbon_low_g=low,
        carbon_high_g=high,
        cost_usd=_less(after.cost_usd, before.cost_usd),
    )
    return found, agree


def _said(
    at: int, seen: Seen, replayer: Replayer, places: Sequence[Candidate], *, whole: bool
) -> _Said | None:
    """What a side's policies say of the run; none of what was decided then."""
    if replayer.sides[at].policies is None:
        return None
    policies = replayer.of_stages(at).in_force(seen.decision)
    now: datetime = seen.decision["decided_at"]
    job = replayer.job_tables(at).job(seen.decision)
    asked = range(1, len(places)) if whole else sorted({seen.before, seen.after} - {0})
    others = [places[each] for each in asked]
    judgement = policies.judge(job, places[0], others, now)
    in_force = replace(job, deadline=judgement.deadline)
    made = choose(in_force, places[0], others, judgement, now)
    return _Said(judgement, latest_safe_start(in_force), made.chosen)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one side's policies say, row by row."""

    judgement: Judgement
    latest: datetime | None
    chosen: Candidate


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _range(before: Candidate, after: Candidate) -> tuple[float | None, float | None]:
    low = _less(after.carbon_low_g, before.carbon_high_g)
    high = _less(after.carbon_high_g, before.carbon_low_g)
    return (low, high) if low is not None and high is not None else (None, None)


def _instead(before: Candidate, after: Candidate) -> str:
    """What is done in place of what."""
    if "=" in after.id or "=" in before.id:
        return f"would be shared {_shares(after)} instead of {_shares(before)}"
    parts = []
    if before.region != after.region:
        parts.append(f"run in {after.region} instead of {before.region}")
    if before.start != after.start and before.start and after.start:
        parts.append(_hours(before.start, after.start))
    if before.pool != after.pool:
        parts.append(f"take pool {after.pool} instead of {before.pool}")
    if before.tier != after.tier:
        parts.append(f"take tier {after.tier} instead of {before.tier}")
    return "would " + (" and ".join(parts) or f"be {after.id} instead of {before.id}")


def _shares(place: Candidate) -> str:
    return place.id.replace(",", ", ") if "=" in place.id else "as it is"


def _hours(before: datetime, after: datetime) -> str:
    if before.date() == after.date():
        return f"start at {after:%H:%M} instead of {before:%H:%M} UTC on {before:%Y-%m-%d}"
    return f"start at {after:%Y-%m-%d %H:%M} instead of {before:%Y-%m-%d %H:%M} UTC"


def grams(value: float) -> str:
    """An amount of emissions for a person, to three digits, in g, kg or t CO2e."""
    size = abs(float(f"{value:.3g}"))
    if size >= GRAMS_PER_T:
        return f"{float(f'{value / GRAMS_PER_T:.3g}'):,.10g} t CO2e"
    if size >= GRAMS_PER_KG:
        return f"{value / GRAMS_PER_KG:.3g} kg CO2e"
    return f"{value:.3g} g CO2e"


def _carbon(before: Candidate, after: Candidate) -> str:
    change = _less(after.carbon_g, before.carbon_g)
    if change is None:
        return ""
    low, high = _range(before, after)
    said = f"{grams(abs(change))} {'less' if change <= 0 else 'more'}"
    if low is None or high is None:
        return said
    return f"{said} ({_signed(low)} to {_signed(high)})"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + grams(value)


def _cost(before: Candidate, after: Candidate) -> str:
    change = _less(after.cost_usd, before.cost_usd)
    if change is None:
        return ""
    if not change:
        return "at the same cost"
    return f"{abs(change):.3g} USD {'less' if change < 0 else 'more'}"


def _why(
    before: Candidate, after: Candidate, said_before: _Said | None, said_after: _Said | None
) -> str | None:
    """Why the second side chooses otherwise; none where only the first is known."""
    if said_after is None:
        return None
    judgement = said_after.judgement
    if judgement.run_now:
        return f"exception {judgement.exception} runs it now"
    refused = _refusal(before, said_after, "refuses")
    if refused:
        return f"now {refused}"
    if said_before is not None and (freed := _refusal(after, said_before, "refused")):
        return f"until now {freed}"
    if judgement.objective is None:
        return "no objective applies any more"
    return f"{judgement.objective} prefers it"


def _refusal(place: Candidate, said: _Said, verb: str) -> str | None:
    """Which rule keeps a candidate from being chosen, and what its author says to that."""
    now = verb == "refuses"
    it = "the earlier choice" if now else "it"
    verdict = next((e for e in said.judgement.verdicts if e.candidate == place.id), None)
    if verdict is None:
        return None
    if verdict.reasons:
        rule = verdict.reasons[0]
        why = not_known(verdict.errors.get(rule, "")) or verdict.messages.get(rule)
        which = f"{rule} {verb} {it}"
        return f"{which}: {why.rstrip('.')}" if why else which
    if said.latest is not None and place.start is not None and place.start > said.latest:
        return f"{it} {'starts' if now else 'started'} after the latest safe start"
    moves = place.id != said.judgement.verdicts[0].candidate
    if moves and not verdict.eligible and said.judgement.objective is not None:
        return f"{it} {'is' if now else 'was'} not better under {said.judgement.objective}"
    return None
