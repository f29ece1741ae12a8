"""Steps of a route: what its targets show, whether a change is worth it, and how it is sent to one of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from greenops.domain.action import Outcome, SetWeights
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Decision
from greenops.domain.route import Front
from greenops.errors import AdapterUnavailable
from greenops.pipeline.engine import Engine
from greenops.plan.choice import effective
from greenops.plan.routes import Weights, worth_a_change
from greenops.ports import Actuator

log = logging.getLogger("greenops.loop")

BAND: Final = 0.02
"""Least relative saving for which a route changes. Source: a replay of 1,201 h of regional traffic, where
a 2 % band left 3 of 80 changes and cost 0.04 points of a 39.3 % saving (`tests/bench/routing.py`)."""
MAX_STEP: Final = 10
"""Most that one backend's share moves per change [percentage points]."""


def shown_by(front: Front, actuators: Mapping[str, Actuator]) -> dict[str, Weights | None]:
    """Weights that each target shows; none where it was never set. Those that are down are left out.

    Raises:
        AdapterUnavailable: No target of the route answers.
    """
    shown: dict[str, Weights | None] = {}
    down: AdapterUnavailable | None = None
    for target in front.targets:
        try:
            change = actuators[target].observe(front.name).change
        except AdapterUnavailable as error:
            down = error
            log.warning("%s: %s", target, error)
            continue
        shown[target] = change.weights if isinstance(change, SetWeights) else None
    if down is not None and not shown:
        raise down
    return shown


def send(engine: Engine, record: DecisionRecord, target: str, change: SetWeights) -> None:
    """Send one change, and tell where it did not take."""
    receipt = engine.act(record.decision, target, change)
    if receipt is not None and receipt.outcome in (Outcome.CONFLICT, Outcome.FAILED):
        log.warning("%s: %s", target, receipt.detail)


def worth_it(decision: Decision) -> bool:
    """Whether the choice is in force and saves more than the band; small gains would only flap."""
    chosen, baseline = effective(decision).carbon_g, decision.baseline.carbon_g
    if effective(decision) == decision.baseline or chosen is None or not baseline:
        return False
    # The dwell is the guardrail's: it counts from the change itself.
    return worth_a_change(None, decision.decided_at, timedelta(0), 1 - chosen / baseline, BAND)
