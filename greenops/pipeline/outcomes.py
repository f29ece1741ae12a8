"""What a run came to: its metered energy, at the hours it ran and at those it would have run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from greenops.domain.decision import Candidate, Decision
from greenops.domain.energy import Method
from greenops.domain.replay import Replay
from greenops.domain.spans import SpanRow
from greenops.errors import DataMissing
from greenops.pipeline.grid import GridContext
from greenops.plan.choice import effective
from greenops.prove.evidence import OutcomeEvidence, outcome
from greenops.prove.savings import Energy, Window, window
from greenops.units import Joules, to_kwh, total_joules

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

    Args:
        decision: What placed the run.
        receipt_id: Action id of the receipt that says it took place.
        decided: Spans that carry a decision's id.
        of_traces: Every span of some traces.
        grid: For the actual intensity, here and where it would have run.
        replay: How simulated time runs; none where it is wall time.

    Raises:
        DataMissing: The actual intensity of its hours is not published yet.
    """
    roots = [
        each for each in decided if each.decision_id == decision.id and RUN_KEY in each.attributes
    ]
    if not roots:
        return None
    # Self energies add up over any set of spans: here, over the whole traces of the run.
    energy = _energy(of_traces({each.trace_id for each in roots}))
    placed = effective(decision)
    if energy is None or placed.region is None or decision.baseline.region is None:
        return None
    started, ended = _times(roots, replay)
    length = max(ended - started, timedelta(seconds=1))
    held = _window(grid, placed, started, length)
    without = _window(grid, decision.baseline, decision.baseline.start or started, length)
    return outcome(
        workload=decision.workload,
        run_key=decision.job_id,
        decision_id=decision.id,
        receipt_id=receipt_id,
        energy=energy,
        chosen=held,
        baseline=without,
        replay=replay is not None,
    )


def _energy(spans: Sequence[SpanRow]) -> Energy | None:
    def total(read: Callable[[SpanRow], Joules | None]) -> Joules | None:
        known = [value for each in spans if (value := read(each)) is not None]
        return total_joules(known) if known else None

    estimate = total(lambda span: span.energy_j)
    if estimate is None:
        return None
    low = total(lambda span: span.energy_low_j)
    high = total(lambda span: span.energy_high_j)
    methods = [Method(each.method) for each in spans if each.method]
    weakest = max(methods, key=list(Method).index, default=Method.ESTIMATED)
    return Energy(
        to_kwh(estimate),
        to_kwh(estimate if low is None else low),
        to_kwh(estimate if high is None else high),
        weakest,
        meter=spans[0].instance or spans[0].service,
    )


def _times(roots: Sequence[SpanRow], replay: Replay | None) -> tuple[datetime, datetime]:
    def simulated(wall: datetime) -> datetime:
        return replay.simulated(wall) if replay else wall

    return (
        min(simulated(each.start) for each in roots),
        max(simulated(each.end) for each in roots),
    )


def _window(grid: GridContext, place: Candidate, start: datetime, length: timedelta) -> Window:
    region = grid.regions[place.region or ""]
    if region.zone is None:
        raise DataMissing("GO0313", f"region `{region.id}` has no grid zone")
    series = grid.provider.actual(region.zone, start, start + length)
    return window(series, start, start + length, region=region.id, pue=region.pue)
