"""The look at a route with origins: one decision, and a step of all its origins that go the same part of the way.

A place has room for some guests because others leave it: where everybody goes the same part of the way, each
moment on it lies between two tables that places bear, and is borne as well.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import floor
from typing import Final

from greenops.act.guardrails import step_towards
from greenops.act.keys import moved
from greenops.domain.action import SetWeights
from greenops.domain.decision import Decision
from greenops.domain.route import Front
from greenops.errors import AdapterUnavailable
from greenops.pipeline.decide import Decider
from greenops.pipeline.engine import Engine
from greenops.pipeline.route_shares import Sharing, broken_by, decide_sharing
from greenops.pipeline.route_steps import MAX_STEP, send, shown_by, worth_it
from greenops.plan.candidates import BASELINE
from greenops.plan.routes import Weights
from greenops.ports import Actuator

log = logging.getLogger("greenops.loop")

LEAST_GAIN_G: Final = 1.0
"""Least saving of an hour for which a route with origins changes [gCO2e]."""

Shown = Mapping[str, Mapping[str, Weights | None]]
"""Origin → target → weights; none where it was never set."""


def look_together(
    engine: Engine, decider: Decider, actuators: Mapping[str, Actuator], front: Front
) -> None:
    """Decide the weights of all origins of a route, and send each target its next step towards them.

    Raises:
        AdapterUnavailable: No target of any origin answers.
    """
    fronts = {each.origin or "": each for each in front.of_origins()}
    shown = _shown(fronts, actuators)
    current = {
        origin: weights
        for origin, targets in shown.items()
        if (weights := next((each for each in targets.values() if each), None))
    }
    found = decide_sharing(decider, front, current)
    for asking, rate in zip(front.origins, found.best.unserved, strict=True):
        if rate > 0:
            said = "%s@%s: nobody has room for %.3g requests/s"
            log.warning(said, front.route, asking.name, rate)
    steps = _steps(front, shown, found, found.record.decision)
    if not steps or not _allowed(decider, front, found, steps, current):
        return
    # What was decided before of the same minute stands, and its steps are sent.
    kept = engine.keep(found.record)
    for (origin, target), step in _steps(front, shown, found, kept.decision).items():
        send(engine, kept, target, SetWeights(fronts[origin].name, step))


def _shown(
    fronts: Mapping[str, Front], actuators: Mapping[str, Actuator]
) -> dict[str, dict[str, Weights | None]]:
    shown: dict[str, dict[str, Weights | None]] = {}
    down: AdapterUnavailable | None = None
    for origin, front in fronts.items():
        try:
            shown[origin] = shown_by(front, actuators)
        except AdapterUnavailable as error:
            down = error
    if down is not None and not shown:
        raise down
    return shown


def _steps(
    front: Front, shown: Shown, found: Sharing, decision: Decision
) -> dict[tuple[str, str], Weights]:
    """Origin and target → its next weights, where that changes what it shows."""
    gain = _gain(decision)
    worth = worth_it(decision) and (gain is None or gain >= LEAST_GAIN_G)
    wanted = found.ways.get(decision.chosen.id if worth else BASELINE, found.ways[BASELINE])
    homes = {each.name: {each.home: 100} for each in front.origins}
    now = {
        (origin, target): homes[origin] if weights is None else weights
        for origin, targets in shown.items()
        for target, weights in targets.items()
    }
    farthest = max((moved(at, wanted[each[0]]) for each, at in now.items()), default=0)
    steps: dict[tuple[str, str], Weights] = {}
    for each, at in now.items():
        goal = wanted[each[0]]
        part = moved(at, goal) * min(1.0, MAX_STEP / farthest) if farthest else 0.0
        step = step_towards(at, goal, max(1, floor(part + 1e-9)))
        unset = shown[each[0]][each[1]] is None
        if unset or {k: v for k, v in step.items() if v} != {k: v for k, v in at.items() if v}:
            steps[each] = step
    return steps


def _gain(decision: Decision) -> float | None:
    chosen, baseline = decision.chosen.carbon_g, decision.baseline.carbon_g
    return None if chosen is None or baseline is None else baseline - chosen


def _allowed(
    decider: Decider,
    front: Front,
    found: Sharing,
    steps: Mapping[tuple[str, str], Weights],
    current: Mapping[str, Weights],
) -> bool:
    """Whether the shares on the way break no rule that what is shown now keeps."""
    on_the_way = [
        {**current, **{origin: step for (origin, to), step in steps.items() if to == target}}
        for target in sorted({target for _, target in steps})
    ]
    broken = sorted({rule for each in on_the_way for rule in broken_by(decider, found, each)})
    if not broken or broken_by(decider, found, current):
        return True
    log.warning("%s: a step is not taken, for %s refuses it", front.route, ", ".join(broken))
    return False
