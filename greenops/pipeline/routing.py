"""A route's look: judge its weights, and move each of its targets one step where that is worth it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from greenops.act.guardrails import step_towards
from greenops.domain.action import Outcome, SetWeights
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Decision
from greenops.errors import AdapterUnavailable
from greenops.pipeline.decide import Decider
from greenops.pipeline.engine import Engine
from greenops.pipeline.fronts import Front
from greenops.plan.candidates import BASELINE
from greenops.plan.choice import effective
from greenops.plan.routes import Weights, worth_a_change
from greenops.ports import Actuator

log = logging.getLogger("greenops.loop")

ROUTES_EVERY: Final = timedelta(hours=1)
"""Simulated time between two looks; the grid's own step is an hour."""
BAND: Final = 0.02
"""Least relative saving for which a route changes. Source: a replay of 1,201 h of regional traffic, where
a 2 % band cut 44 changes to 3 and cost 0.02 points of a 39.5 % saving."""
MAX_STEP: Final = 10
"""Most that one backend's share moves per change [percentage points]."""


@dataclass(frozen=True, slots=True)
class Router:
    """Looks after routes; each target goes its own steps to the weights that were decided."""

    engine: Engine
    decider: Decider
    actuators: Mapping[str, Actuator]

    def look(self, front: Front) -> None:
        """Decide a route's weights and send each target its next step towards them.

        Raises:
            AdapterUnavailable: No target of the route answers.
        """
        shown = self._shown(front)
        current = next((each for each in shown.values() if each is not None), even(front))
        record, ways = self.decider.decide_route(front, current)
        if not self._steps(front, shown, record, ways):
            return
        # What was decided before of the same minute stands, and its steps are sent.
        kept = self.engine.keep(record)
        for target, step in self._steps(front, shown, kept, ways).items():
            self._send(kept, target, SetWeights(front.name, step))

    def _shown(self, front: Front) -> dict[str, Weights | None]:
        """Weights that each target shows; none where it was never set. Those that are down are left out."""
        shown: dict[str, Weights | None] = {}
        down: AdapterUnavailable | None = None
        for target in front.targets:
            try:
                change = self.actuators[target].observe(front.name).change
            except AdapterUnavailable as error:
                down = error
                log.warning("%s: %s", target, error)
                continue
            shown[target] = change.weights if isinstance(change, SetWeights) else None
        if down is not None and not shown:
            raise down
        return shown

    def _steps(
        self,
        front: Front,
        shown: Mapping[str, Weights | None],
        record: DecisionRecord,
        ways: Mapping[str, Weights],
    ) -> dict[str, Weights]:
        decision = record.decision
        # A way that is missing is what is shown already, so the baseline by another name.
        chosen = decision.chosen.id if _worth(decision) else BASELINE
        wanted = ways.get(chosen, ways[BASELINE])
        steps: dict[str, Weights] = {}
        for target, weights in shown.items():
            now = even(front) if weights is None else weights
            step = step_towards(now, wanted, MAX_STEP)
            settled = weights is not None and dict(step) == dict(now)
            if not settled and self._allowed(front, record, now, step):
                steps[target] = step
        return steps

    def _allowed(self, front: Front, record: DecisionRecord, now: Weights, step: Weights) -> bool:
        """Whether a share on the way breaks no rule that what is shown now keeps."""
        broken = self.decider.broken_by(front, record, step)
        if not broken or self.decider.broken_by(front, record, now):
            return True
        log.warning("%s: a step is not taken, for %s refuses it", front.name, ", ".join(broken))
        return False

    def _send(self, record: DecisionRecord, target: str, change: SetWeights) -> None:
        receipt = self.engine.act(record.decision, target, change)
        if receipt is not None and receipt.outcome in (Outcome.CONFLICT, Outcome.FAILED):
            log.warning("%s: %s", target, receipt.detail)


def _worth(decision: Decision) -> bool:
    """Whether the choice is in force and saves more than the band; small gains would only flap."""
    chosen, baseline = effective(decision).carbon_g, decision.baseline.carbon_g
    if effective(decision) == decision.baseline or chosen is None or not baseline:
        return False
    # The dwell is the guardrail's: it counts from the change itself.
    return worth_a_change(None, decision.decided_at, ROUTES_EVERY, 1 - chosen / baseline, BAND)


def even(front: Front) -> dict[str, int]:
    """The same share for every backend [percent]; the first ones take the rest."""
    share, rest = divmod(100, len(front.backends))
    return {each.name: share + (index < rest) for index, each in enumerate(front.backends)}
