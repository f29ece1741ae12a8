"""Whether a run that waits is given another start, once more is known than when it was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenops.domain.decision import Candidate, Decision, Mode, Verdict
from greenops.domain.grid import Forecast
from greenops.plan.threshold import QUEUED


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What keeps plans from flapping.

    Attributes:
        dwell: Least time between two changes of one run's start (simulated); the first may come at once.
        margin: Part of the planned start's score, by the newest figures, that a change must gain [1].
    """

    dwell: timedelta = timedelta(hours=1)
    margin: float = 0.05


def may_change(held: Decision, now: datetime, steadiness: Steadiness) -> bool:
    """Whether a decision that is in force may be taken the place of now.

    It must really move its run, its start must still be ahead, and one that replaced another keeps
    for the dwell.
    """
    ahead = held.chosen.start is not None and now < held.chosen.start
    settled = held.supersedes is None or now - held.decided_at >= steadiness.dwell
    return _acts(held) and ahead and settled


def news(held: Decision, forecasts: Mapping[str, Forecast]) -> frozenset[str]:
    """Forecasts that came after those a decision rests on; empty where there are none, or data went.

    A decision stays while there is no forecast for the place it chose, or only one that stands in for
    what was asked for: less is known then, not more.

    Args:
        held: What was decided.
        forecasts: Zone → newest forecast that can be used.
    """
    here = forecasts.get(held.chosen.zone or "")
    if here is None or here.degraded is not None:
        return frozenset()
    known = held.forecast_ids
    fresh = (each for zone, each in forecasts.items() if zone in known and not each.degraded)
    return frozenset(each.id for each in fresh if each.id != known[each.zone])


def worth_it(
    held: Decision,
    fresh: Decision,
    candidates: Sequence[Candidate],
    verdicts: Sequence[Verdict],
    steadiness: Steadiness,
) -> bool:
    """Whether a fresh decision takes the place of one in force; both judged by the same figures.

    The start that is planned must be refused by now, or be worse by more than the margin. Where no
    way is open any more, the run goes on waiting, unless starting at once is cleaner by the margin.
    Law: never for a start after the latest safe start that was promised.

    Args:
        held: The decision in force.
        fresh: What would be decided now.
        candidates: The ways that `fresh` was chosen from, its baseline first.
        verdicts: What the rules say of them.
        steadiness: How much a change must gain.
    """
    planned = _same_way(held.chosen, candidates)
    chosen = _now_for_the_past(fresh, candidates)
    if planned is None or chosen is None or chosen.start is None or not _acts(fresh):
        return False
    if chosen.id == planned.id:
        return False
    if held.latest_safe_start is not None and chosen.start > held.latest_safe_start:
        return False
    said = {each.candidate: each for each in verdicts}
    before, after = said.get(planned.id), said.get(chosen.id)
    if not _open(after):
        return _gains(planned.carbon_g, chosen.carbon_g, steadiness.margin)
    if not _open(before):
        return True
    return _gains(_score(before), _score(after), steadiness.margin)


def released(held: Decision, fresh: Decision, verdicts: Sequence[Verdict]) -> bool:
    """Whether a run that waits for a cleaner grid without a forecast has a start that the rules allow."""
    start, latest = fresh.chosen.start, held.latest_safe_start
    in_time = start is not None and (latest is None or start <= latest)
    permitted = any(e.allowed for e in verdicts if e.candidate == fresh.chosen.id)
    waited = held.chosen.id == QUEUED != fresh.chosen.id
    return waited and permitted and _acts(fresh) and in_time


def _acts(decision: Decision) -> bool:
    return decision.mode is Mode.ENFORCE and not decision.held_out


def _same_way(way: Candidate, candidates: Sequence[Candidate]) -> Candidate | None:
    """The same place, pool and start among the ways of another decision."""
    place = way.region, way.pool, way.start
    return next((e for e in candidates if (e.region, e.pool, e.start) == place), None)


def _now_for_the_past(fresh: Decision, candidates: Sequence[Candidate]) -> Candidate | None:
    """What a decision comes to: a baseline whose start has passed means its place at once."""
    chosen, now = fresh.chosen, fresh.decided_at
    if chosen.start is None or chosen.start >= now:
        return chosen
    place = chosen.region, chosen.pool, now
    return next((e for e in candidates if (e.region, e.pool, e.start) == place), None)


def _open(said: Verdict | None) -> bool:
    return said is not None and said.allowed and said.eligible and said.score is not None


def _score(said: Verdict | None) -> float | None:
    return said.score[0] if said is not None and said.score is not None else None


def _gains(before: float | None, after: float | None, margin: float) -> bool:
    """Whether the second is less than the first by more than a part of it; not where one is not known."""
    if before is None or after is None:
        return False
    return before - after > margin * abs(before)
