"""Runs that wait for their start are decided again when something newer is known of the grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from greenops.config import Settings
from greenops.domain.action import StartJob
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Decision
from greenops.errors import AdapterUnsupported
from greenops.pipeline.decide import Decider
from greenops.pipeline.intensity_now import intensity_now
from greenops.plan.candidates import RegionOption
from greenops.plan.choice import effective
from greenops.plan.crowd import Span
from greenops.plan.guard import run_time
from greenops.plan.replan import Steadiness, may_change, news, released, worth_it
from greenops.plan.threshold import QUEUED
from greenops.ports import Actuator, Clock


class Replanner:
    """Says what takes the place of a decision; what is known is weighed once per run, then remembered."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._steadiness = steadiness_of(decider.settings)
        self._weighed: dict[str, frozenset[str]] = {}

    def look(
        self, held: DecisionRecord, options: Sequence[RegionOption] | None = None
    ) -> DecisionRecord | None:
        """A decision that is worth a change; none: the one in force stays.

        Args:
            held: The decision in force, with its job.
            options: Regions with what is foretold now; none: look.
        """
        made, now = held.decision, self._decider.clock.now()
        if held.job is None or not may_change(made, now, self._steadiness):
            return None
        if options is None:
            options = self._decider.options(now, self._decider.places(held.job))
        fresh = self._news(made, options, now)
        if not fresh or self._weighed.get(made.id) == fresh:
            return None
        found = self._decider.decide_anew(held, options)
        better = worth_it(made, found.decision, found.candidates, found.verdicts, self._steadiness)
        if better or released(made, found.decision, found.verdicts):
            return found
        self._weighed[made.id] = fresh
        return None

    def _news(
        self, made: Decision, options: Sequence[RegionOption], now: datetime
    ) -> frozenset[str]:
        foretold = {each.forecast.zone: each.forecast for each in options if each.forecast}
        if made.chosen.id != QUEUED:
            return news(made, foretold)
        here = foretold.get(made.chosen.zone or "")
        known = intensity_now(self._decider.grid, made.chosen.zone, now)
        told = (None if known is None else f"{known:g} g/kWh", here.id if here else None)
        return frozenset(each for each in told if each is not None)

    def keep_only(self, decisions: Sequence[Decision]) -> None:
        """Forget what was weighed for any other decision."""
        known = {each.id for each in decisions}
        self._weighed = {name: seen for name, seen in self._weighed.items() if name in known}


def steadiness_of(settings: Settings) -> Steadiness:
    """How much a change must gain, and how long a start stays, as the settings say."""
    return Steadiness(timedelta(seconds=settings.replan_dwell_s), settings.replan_margin)


class WaitingRuns:
    """Decisions whose start is ahead; of each run the one in force."""

    def __init__(self) -> None:
        self._records: dict[str, DecisionRecord] = {}
        self._planned: dict[str, dict[str, Span]] = {}
        """Workload → run key → when it runs, of runs that are planned and not over."""

    def put(self, record: DecisionRecord, now: datetime) -> None:
        """Take a decision in, unless its start has passed or a newer one of its run is here."""
        made = record.decision
        start, known = effective(made).start, self._records.get(made.job_id)
        if known is not None and known.decision.decided_at > made.decided_at:
            return
        longest = run_time(record.job.workload) if record.job else None
        if start is not None and longest is not None:
            span = start, max(start, made.decided_at) + longest
            if span[1] > now:
                self._planned.setdefault(made.workload, {})[made.job_id] = span
        if start is not None and start > now and made.latest_safe_start is not None:
            self._records[made.job_id] = record
        else:
            self.drop(made.job_id)

    def planned(self, workload: str, besides: str, now: datetime) -> list[Span]:
        """When the other runs of a workload run, by their plans and the P95 of their run time."""
        found = self._planned.get(workload, {})
        found = {key: span for key, span in found.items() if span[1] > now}
        self._planned[workload] = found
        return [span for key, span in found.items() if key != besides]

    def drop(self, run_key: str) -> None:
        """Let a run go; twice is once."""
        self._records.pop(run_key, None)

    def all(self, now: datetime) -> list[DecisionRecord]:
        """Those that wait at an instant; the others are let go."""
        for record in list(self._records.values()):
            start = effective(record.decision).start
            if start is None or start <= now:
                self.drop(record.decision.job_id)
        return list(self._records.values())


class Replaces(Protocol):
    """The control loop, as far as plans change through it."""

    @property
    def waiting(self) -> WaitingRuns:
        """Runs whose start is ahead."""

    def replace(self, record: DecisionRecord, target: str, may: Callable[[StartJob], bool]) -> None:
        """Put a decision in the place of the one in force, unless `may` says no to its start."""


class Replans:
    """The plans of all runs that wait for an order of this control loop."""

    def __init__(
        self, loop: Replaces, decider: Decider, actuators: Mapping[str, Actuator], clock: Clock
    ) -> None:
        self._loop, self._decider, self._clock = loop, decider, clock
        self._actuators = actuators
        self._replanner = Replanner(decider)
        self._acts = decider.settings.mode == "act"

    def due(self) -> tuple[list[DecisionRecord], list[RegionOption]]:
        """Decisions to look at, and what is foretold now; nothing is asked where nothing waits."""
        now = self._clock.now()
        waiting = self._loop.waiting.all(now) if self._acts else []
        self._replanner.keep_only([each.decision for each in waiting])
        if not waiting:
            return [], []
        # A service that is asked over a network is asked of no other zone than runs wait for.
        places = [self._decider.places(each.job) or set() for each in waiting if each.job]
        return waiting, self._decider.options(now, set().union(*places))

    def look(self, held: DecisionRecord, options: Sequence[RegionOption]) -> None:
        """Give one run another start where that is worth it, and its target still shows ours."""
        job = held.job
        target = job.workload.target if job else None
        if target is None or target not in self._actuators:
            return
        found = self._replanner.look(held, options)
        if found is not None:
            actuator = self._actuators[target]
            self._loop.replace(found, target, lambda change: self._ours(held, actuator, change))

    def _ours(self, held: DecisionRecord, actuator: Actuator, change: StartJob) -> bool:
        """Whether nobody else gave the run another start, and it has not begun."""
        stands = actuator.observe(change.run_key).change
        if isinstance(stands, StartJob) and stands.start_at != effective(held.decision).start:
            return False
        try:
            actuator.validate(actuator.plan(change))
        except AdapterUnsupported:
            self._loop.waiting.drop(change.run_key)
            return False
        return True
