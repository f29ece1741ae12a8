"""Why each of many runs is planned as it is, as a code: the cases of the sentence in `plan.wording`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np

from greenops.plan.fleet import Fleet
from greenops.policy.choose_columns import ChoiceColumns


class Why(StrEnum):
    """Why this and not the baseline, or why the baseline."""

    RUN_NOW = "run-now"
    """An exception says so."""
    NO_SLACK = "no-slack"
    """The schedule itself would miss the deadline: it starts without further delay."""
    NO_POLICY = "no-policy"
    """No policy applies to it."""
    NO_OTHER_WAY = "no-other-way"
    """There is only one way to run it."""
    REFUSED = "refused"
    """Nothing that is better is allowed; rules refuse other ways."""
    NO_OBJECTIVE = "no-objective"
    """No policy that applies has an objective, or two of one priority claim it."""
    BEST = "best"
    """No other way is better under the objective."""
    MOVES = "moves"
    """To another region, no later than the baseline."""
    MOVES_AND_WAITS = "moves-and-waits"
    """To another region, later than the baseline."""
    WAITS = "waits"
    """In its region, later than the baseline."""
    TAKES = "takes"
    """Another pool or an earlier start in its region."""


WHYS = list(Why)


def whys(
    found: ChoiceColumns, fleet: Fleet, jobs: Any, ways: Any, chosen: tuple[Any, Any, Any]
) -> Any:
    """A place in `WHYS` for each run.

    Args:
        found: The choices.
        fleet: All runs.
        jobs: Rows of the fleet that were chosen for.
        ways: How many ways each has beside its baseline.
        chosen: Is it the baseline; its place; its start [us].
    """
    stays, place, start = chosen
    told, by_job = found.told, found.by_job
    region = np.array([each.region for each in fleet.places])
    away = region[place] != region[fleet.home[jobs]]
    waits = start > fleet.scheduled[jobs]
    cases = (
        (by_job.run_now, Why.RUN_NOW),
        (stays & fleet.late[jobs], Why.NO_SLACK),
        (stays & (told.able > 1), Why.BEST),
        (stays & (by_job.matched == 0), Why.NO_POLICY),
        (stays & (ways == 0), Why.NO_OTHER_WAY),
        (stays & (told.allowed < ways), Why.REFUSED),
        (stays & (found.ruler < 0), Why.NO_OBJECTIVE),
        (stays, Why.BEST),
        (away & waits, Why.MOVES_AND_WAITS),
        (away, Why.MOVES),
        (waits, Why.WAITS),
    )
    masks, codes = zip(*((mask, WHYS.index(why)) for mask, why in cases), strict=True)
    return np.select(masks, codes, WHYS.index(Why.TAKES))
