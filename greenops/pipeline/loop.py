"""What the control loop does by itself, at its own pace: plans, routes, placements, factors, outcomes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from greenops.adapters.factor_file import FactorFile
from greenops.domain.action import Receipt
from greenops.domain.console import JobRequest
from greenops.domain.decision import Decision
from greenops.domain.route import Front
from greenops.domain.spans import SpanRow
from greenops.domain.workload import WorkloadKind
from greenops.errors import DataMissing, GreenOpsError
from greenops.pipeline.decide import Decider
from greenops.pipeline.engine import Engine, Telemetry
from greenops.pipeline.evidence_book import Evidence
from greenops.pipeline.grid import GridContext, fresh_factors
from greenops.pipeline.outcomes import OfTraces, outcome_of
from greenops.pipeline.replanning import Replans
from greenops.pipeline.routing import ROUTES_EVERY, Router
from greenops.policy.budget_state import period
from greenops.ports import Actuator, Clock
from greenops.units import Seconds

log = logging.getLogger("greenops.loop")

PLACEMENTS_EVERY = timedelta(hours=12)
FACTORS_EVERY = timedelta(hours=1)
"""Simulated time between two looks; the grid's own step is an hour."""


@dataclass(slots=True)
class Pace:
    """When something is due again."""

    every: timedelta
    last: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Whether it is due; asking counts as doing."""
        if self.last is not None and now - self.last < self.every:
            return False
        self.last = now
        return True


class Loop:
    """One thread that looks around; an error that we know is logged, and the loop goes on."""

    def __init__(
        self,
        *,
        engine: Engine,
        decider: Decider,
        evidence: Evidence,
        grid: GridContext,
        actuators: Mapping[str, Actuator],
        fronts: Sequence[Front],
        factors: FactorFile,
        clock: Clock,
        telemetry: Telemetry,
        decided: Callable[[], Iterable[SpanRow]],
        of_traces: OfTraces,
        jobs: Callable[[], None] | None = None,
    ) -> None:
        self._engine, self._decider, self._evidence = engine, decider, evidence
        self._grid, self._fronts = grid, fronts
        self._router = Router(engine, decider, actuators)
        self._replans = Replans(engine, decider, actuators, clock)
        self._factors, self._clock = factors, clock
        self._decided, self._of_traces = decided, of_traces
        self._telemetry, self._jobs = telemetry, jobs
        self._paces = {
            "routes": Pace(ROUTES_EVERY),
            "placements": Pace(PLACEMENTS_EVERY),
            "factors": Pace(FACTORS_EVERY),
        }
        self._told: dict[str, str] = {}
        self._open: dict[str, tuple[Decision, str]] = {}
        """Run key → its decision and its receipt's action id, of runs without an outcome."""
        self._seen = 0
        """Number of the last receipt that was looked at."""
        self._unplaced: list[Receipt] = []
        """Receipts of starts whose decision is not known yet."""

    def recall(self) -> None:
        """After a start: tell again what the ledger holds, so that no sum of it begins anew."""
        for outcome in self._evidence.outcomes():
            self._telemetry.outcome(outcome.workload, outcome.avoided)
        self._tell_savings()

    def _tell_savings(self) -> None:
        sum_of_all = self._evidence.avoided()
        if sum_of_all is not None:
            self._telemetry.savings(sum_of_all)

    def run(self, stop: threading.Event, tick_s: float) -> None:
        """Look around until told to stop."""
        while not stop.wait(tick_s):
            self.tick()

    def tick(self) -> None:
        """One look around."""
        now = self._clock.now()
        self._quietly("open actions", self._engine.tick)
        if self._paces["factors"].due(now):
            self._quietly(
                "factors", lambda: self._factors.write(fresh_factors(self._grid, self._clock))
            )
            self._tell_budgets(now)
        if self._decider.in_force is not None:
            # Looks at the lake where that is due, beside; so stages are told though nothing is decided.
            self._quietly("budgets", partial(self._decider.in_force, now))
        if self._jobs is not None:
            self._quietly("suspended Jobs", self._jobs)
        self._quietly("plans", self.replan)
        if self._paces["placements"].due(now):
            self._quietly("placements", lambda: self.place(now))
        if self._paces["routes"].due(now):
            for front in self._fronts:
                self._quietly(f"route {front.name}", partial(self._router.look, front))
            # The dwell of a route counts from its change, not from the look that led to it.
            self._paces["routes"].last = self._clock.now()
        self._quietly("outcomes", self.settle)
        self._quietly("signatures", self._evidence.seal)

    def _quietly(self, what: str, step: Callable[[], object]) -> None:
        try:
            step()
            self._told.pop(what, None)
        except GreenOpsError as error:
            if self._news(what, error):
                log.warning("%s: %s", what, error)
        except Exception as error:
            # A fault of ours must not end the loop: what was decided still has to be sent.
            if self._news(what, error):
                log.exception("%s: unexpected", what)

    def _news(self, what: str, error: Exception) -> bool:
        """Whether this was not told already: each thing once, not at every tick."""
        before, self._told[what] = self._told.get(what), f"{type(error).__name__}: {error}"
        return before != self._told[what]

    def _tell_budgets(self, now: datetime) -> None:
        """Budgets as gauges; a month is not as long as the next."""
        for budget in self._decider.policies.budgets:
            begins, ends = period(budget.every, budget.time_zone, now)
            self._telemetry.budget(budget, Seconds((ends - begins).total_seconds()))

    def place(self, now: datetime) -> None:
        """Decide where each service without a route should run; policies say what may move."""
        routed = {front.workload for front in self._fronts}
        for workload in self._decider.policies.workloads.values():
            if workload.kind is WorkloadKind.INFERENCE and workload.name not in routed:
                key = f"{workload.name}/{now:%Y-%m-%dT%HZ}"
                self._engine.submit(JobRequest(workload.name, key, now))

    def replan(self) -> None:
        """Give runs that wait another start where a newer forecast makes that worth it."""
        waiting, options = self._replans.due()
        for held in waiting:
            name = held.decision.job_id
            self._quietly(f"plan of {name}", partial(self._replans.look, held, options))

    def settle(self) -> None:
        """Compute the outcome of every run that started and whose spans have arrived.

        Runs are remembered from their receipt until their outcome is known, so that a look costs
        what is open, not what ever was decided.
        """
        for number, receipt in self._engine.receipts_after(self._seen):
            if receipt.kind == "start_job" and receipt.on_time is not None:
                self._unplaced.append(receipt)
            self._seen = number
        # A holder's receipt may come before its decision.
        self._unplaced = [each for each in self._unplaced if not self._remember(each)]
        for run_key, (decision, receipt_id) in list(self._open.items()):
            # One whose data are not there yet does not keep the others waiting.
            self._quietly(f"outcome of {run_key}", partial(self._settle, decision, receipt_id))
            if self._evidence.has_outcome(run_key):
                del self._open[run_key]

    def _remember(self, receipt: Receipt) -> bool:
        try:
            decision = self._engine.decision(receipt.decision_id).decision
        except DataMissing:
            return False
        if not self._evidence.has_outcome(decision.job_id):
            self._open.setdefault(decision.job_id, (decision, receipt.action_id))
        return True

    def _settle(self, decision: Decision, receipt_id: str) -> None:
        found = outcome_of(
            decision,
            receipt_id,
            self._decided(),
            self._of_traces,
            self._grid,
            self._clock.replay,
        )
        if found is not None and self._evidence.outcome(found):
            self._telemetry.outcome(found.workload, found.avoided)
            self._tell_savings()
