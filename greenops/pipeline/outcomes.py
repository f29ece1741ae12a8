"""What a run came to: its metered energy, where and when it ran, and would have run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from greenops.domain.decision import Decision
from greenops.domain.energy import Method
from greenops.domain.replay import Replay
from greenops.domain.spans import SpanRow
from greenops.errors import DataMissing
from greenops.pipeline.grid import GridContext
from greenops.pipeline.published import factors_version
from greenops.plan.choice import effective
from greenops.prove.evidence import OutcomeEvidence, outcome
from greenops.prove.savings import Energy, Window, window
from greenops.units import Joules, Kwh, to_kwh, total_joules

RUN_KEY = "cicd.pipeline.run.id"
"""Span attribute that holds the run key."""

OfTraces = Callable[[set[str]], Sequence[SpanRow]]


def outcome_of(
    decision: Decision,
    receipt_id: str,
    decided: Iterable[SpanRow],
    of_traces: OfTraces,
    grid: GridContext,
    replay: Replay | None,
) -> OutcomeEvidence | None:
    """The outcome of a run, once its spans have arrived; none before, or without known energy.

    The place is the one its root span names, whatever was decided. A run that was not moved has one
    start on both sides: a trigger that fires late is no saving.

    Args:
        decision: What placed the run.
        receipt_id: Action id of the receipt that says it took place.
        decided: Spans that carry a decision's id.
        of_traces: Every span of some traces.
        grid: For the actual intensity, here and where it would have run.
        replay: How simulated time runs; none where it is wall time.

    Raises:
        DataMissing: The actual intensity of its hours is not published yet, or no region of that
            name is known.
    """
    roots = [
        each for each in decided if each.decision_id == decision.id and RUN_KEY in each.attributes
    ]
    if not roots:
        return None
    # Self energies add up over any set of spans: here, over the whole traces of the run.
    energy = energy_of(of_traces({each.trace_id for each in roots}))
    region, home = _region(roots), decision.baseline.region
    if energy is None or region is None or home is None:
        return None
    started, ended = _times(roots, replay)
    length = max(ended - started, timedelta(seconds=1))
    return outcome(
        workload=decision.workload,
        run_key=decision.job_id,
        decision_id=decision.id,
        receipt_id=receipt_id,
        energy=energy,
        chosen=_window(grid, region, started, length),
        baseline=_window(grid, home, _baseline_start(decision, started), length),
        replay=replay is not None,
        held_out=decision.held_out,
        factors_version=factors_version(grid),
    )


def energy_of(spans: Sequence[SpanRow]) -> Energy | None:
    """Sum over the spans that know their energy; none where none does.

    The receiver gave each span without a range of its own that of its Resource. Where nobody says one
    for some span, there is none: that of the others would pass for the whole.
    """
    known = [each for each in spans if each.energy_j is not None]
    if not known:
        return None
    low, high = (
        _kwh(each.energy_low_j for each in known),
        _kwh(each.energy_high_j for each in known),
    )
    ranged = low is not None and high is not None
    methods = [Method(each.method) for each in spans if each.method]
    weakest = max(methods, key=list(Method).index, default=Method.ESTIMATED)
    return Energy(
        to_kwh(total_joules(each.energy_j for each in known if each.energy_j is not None)),
        low if ranged else None,
        high if ranged else None,
        weakest,
        meter=spans[0].instance or spans[0].service,
    )


def _kwh(parts: Iterable[Joules | None]) -> Kwh | None:
    """The sum; none where one part is not known."""
    known = list(parts)
    return None if None in known else to_kwh(total_joules(each or Joules(0.0) for each in known))


def _region(roots: Sequence[SpanRow]) -> str | None:
    """Where the run says it ran; none where it does not say, or says two places."""
    named = {each.region for each in roots}
    return named.pop() if len(named) == 1 else None


def _baseline_start(decision: Decision, started: datetime) -> datetime:
    if effective(decision).id == decision.baseline.id:
        return started
    return decision.baseline.start or started


def _times(roots: Sequence[SpanRow], replay: Replay | None) -> tuple[datetime, datetime]:
    def simulated(wall: datetime) -> datetime:
        return replay.simulated(wall) if replay else wall

    return (
        min(simulated(each.start) for each in roots),
        max(simulated(each.end) for each in roots),
    )


def _window(grid: GridContext, name: str, start: datetime, length: timedelta) -> Window:
    region = grid.regions[name]
    if region.zone is None:
        raise DataMissing("GO0313", f"region `{region.id}` has no grid zone")
    series = grid.provider.actual(region.zone, start, start + length)
    return window(series, start, start + length, region=region.id, pue=region.pue)
