"""A route's look: judge its weights, and move each of its targets one step where that is worth it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from greenops.act.guardrails import step_towards
from greenops.domain.action import SetWeights
from greenops.domain.console import DecisionRecord
from greenops.domain.route import Front
from greenops.pipeline.decide import Decider
from greenops.pipeline.engine import Engine
from greenops.pipeline.route_steps import MAX_STEP, send, shown_by, worth_it
from greenops.pipeline.routing_together import look_together
from greenops.plan.candidates import BASELINE
from greenops.plan.routes import Weights
from greenops.ports import Actuator

log = logging.getLogger("greenops.loop")

ROUTES_EVERY: Final = timedelta(hours=1)
"""Simulated time between two looks; the grid's own step is an hour."""


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
        if front.origins:
            if front.leads:
                look_together(self.engine, self.decider, self.actuators, front)
            return
        shown = shown_by(front, self.actuators)
        current = next((each for each in shown.values() if each is not None), even(front))
        record, ways = self.decider.decide_route(front, current)
        if not self._steps(front, shown, record, ways):
            return
        # What was decided before of the same minute stands, and its steps are sent.
        kept = self.engine.keep(record)
        for target, step in self._steps(front, shown, kept, ways).items():
            send(self.engine, kept, target, SetWeights(front.name, step))

    def _steps(
        self,
        front: Front,
        shown: Mapping[str, Weights | None],
        record: DecisionRecord,
        ways: Mapping[str, Weights],
    ) -> dict[str, Weights]:
        decision = record.decision
        # A way that is missing is what is shown already, so the baseline by another name.
        chosen = decision.chosen.id if worth_it(decision) else BASELINE
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


def even(front: Front) -> dict[str, int]:
    """The same share for every backend [percent]; the first ones take the rest."""
    share, rest = divmod(100, len(front.backends))
    return {each.name: share + (index < rest) for index, each in enumerate(front.backends)}
