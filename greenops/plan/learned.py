"""Run times and energies of earlier runs, and how far the next one may be from them.

With enough runs the bounds are order statistics: a next run exceeds the r-th of n with probability
1 - r / (n + 1), whatever its distribution, if runs are alike. With fewer they are a prediction bound
of a log-normal law, and never within what was seen. Below that there are none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, median, stdev
from typing import Final

from greenops.domain.measured_run import Learned, MeasuredRun, Spread
from greenops.domain.workload import Workload, WorkloadKind
from greenops.units import Joules, to_kwh

HOUR_S: Final = 3600
NEWEST: Final = 200
"""Runs that count, the newest ones: what a workload does changes."""
ENOUGH: Final = 20
"""Runs from which on order statistics bound 5 % on each side: 1 / 21 lie beyond the last."""
LEAST: Final = 5
"""Runs from which on there is any bound."""
STUDENT_95: Final = (
    *(2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796),
    *(1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734),
)
"""95 % quantile of Student's t with 4 to 18 degrees of freedom. Source: any table; checked in tests by
integrating its density."""
UNLIKE: Final = 8.0
"""Distance from the median of logarithms, in robust deviations, of a run that is unlike all others."""
ALIKE: Final = 0.1
"""Least robust deviation that is taken [1]: runs that hardly differ make no other run an outlier."""
MOST_UNLIKE: Final = 0.05
"""Most runs that may be left out as unlike [1]: where there are more, they are what the workload does."""


def learn(runs: Sequence[MeasuredRun]) -> Learned | None:
    """What the newest runs of one workload teach; none where none succeeded.

    Runs that failed do not count, nor do those whose run time is nought.
    """
    able = [each for each in runs if not each.failed and each.duration > 0]
    newest = sorted(able, key=lambda each: (each.started, each.run_key))[-NEWEST:]
    if not newest:
        return None
    unlike = _unlike([each.duration for each in newest])
    kept = [each for at, each in enumerate(newest) if at not in unlike]
    energies = [each.energy for each in kept if each.energy]
    return Learned(
        duration=spread([each.duration for each in kept]),
        energy=spread(energies) if energies else None,
        left_out=len(unlike),
    )


def spread(values: Sequence[float]) -> Spread:
    """The usual value and what a next one stays within, 5 % on each side; all above zero."""
    ranked, n = sorted(values), len(values)
    if n >= ENOUGH:
        below, above = math.floor(0.05 * (n + 1)), math.ceil(0.95 * (n + 1))
        method = f"rank {above} of {n} runs"
        return Spread(n, median(ranked), ranked[below - 1], ranked[above - 1], method)
    if n < LEAST:
        return Spread(n, median(ranked), None, None, f"{n} runs bound nothing")
    logs = [math.log(each) for each in ranked]
    reach = STUDENT_95[n - LEAST] * stdev(logs) * math.sqrt(1 + 1 / n)
    low = min(ranked[0], math.exp(fmean(logs) - reach))
    high = max(ranked[-1], math.exp(fmean(logs) + reach))
    return Spread(n, median(ranked), low, high, f"log-normal bound from {n} runs")


def may_learn(workload: Workload) -> bool:
    """Whether earlier runs may tell something: where a batch file does not, or asks for it."""
    lacks = workload.duration_p95_s is None or workload.energy_kwh is None
    return workload.kind is WorkloadKind.BATCH and (lacks or workload.learn is True)


def with_learned(workload: Workload, learned: Learned) -> tuple[Workload, tuple[str, ...]]:
    """The workload with what earlier runs teach, and a sentence for each figure that is theirs.

    A declared figure stays, unless the file says `learn: true`; a declared P95 stays then, too, until
    enough runs bound it by rank.
    """
    told: list[str] = []
    anew = workload.learn is True
    time, enough = learned.duration, learned.duration.runs >= ENOUGH
    if workload.duration_s is None or anew:
        workload = replace(workload, duration_s=learned.usual_s)
        told.append(f"usual run time {_s(time.usual)}, the median of {time.runs} runs")
    unbounded = workload.duration_p95_s is None
    if learned.p95_s is not None and (unbounded or (anew and enough)):
        # A usual time that is declared, and longer, is the better bound.
        bound = max(learned.p95_s, workload.duration_s or learned.p95_s)
        workload = replace(workload, duration_p95_s=bound)
        longer = " (as declared)" if bound > learned.p95_s else ""
        told.append(f"P95 run time {_s(bound)}{longer}, {time.method}")
    energy = learned.energy
    if energy is not None and (workload.energy_kwh is None or anew):
        workload = replace(workload, energy_kwh=learned.energy_kwh)
        within = ""
        if energy.low is not None and energy.high is not None:
            within = f", {_kwh(energy.low)} to {_kwh(energy.high)}"
        told.append(f"energy {_kwh(energy.usual)}{within}, {energy.method}")
    if told and learned.left_out:
        told.append(f"{learned.left_out} of the runs left out, unlike all others")
    return workload, tuple(told)


def _s(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < HOUR_S else f"{seconds / HOUR_S:.3g} h"


def _kwh(joules: float) -> str:
    return f"{to_kwh(Joules(joules)):.3g} kWh"


def _unlike(values: Sequence[float]) -> set[int]:
    """Places of the few values that are far from all others."""
    logs = [math.log(each) for each in values]
    middle = median(logs)
    deviation = max(1.4826 * median(abs(each - middle) for each in logs), ALIKE)
    far = {at for at, each in enumerate(logs) if abs(each - middle) > UNLIKE * deviation}
    return far if len(far) <= MOST_UNLIKE * len(values) else set()
