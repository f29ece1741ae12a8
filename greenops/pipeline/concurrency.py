"""Energy per output token against how many calls run at once, pool by pool, from the spans of own servers."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from greenops.domain.footprint import TokenCurve, TokenPoint
from greenops.units import Joules

REMEMBERED: Final = 5_000
"""Newest calls of a process that a curve rests on [1]: an old one tells of another version."""
MOST_PROCESSES: Final = 200
"""Processes whose calls are kept [1]."""
FEWEST: Final = 20
"""Calls without which there is no curve [1]."""
MOST_BENT: Final = 4
"""Highest degree of the polynomial [1]: a law with a knee needs it, and more would follow the noise."""
BETTER: Final = 0.95
"""A higher degree must be better than the lower one by this factor [1]."""
LEFT_OUT: Final = 5
"""Each so-manieth call tests the fit of the others [1]."""


class Call(NamedTuple):
    """One call: when it ran [s], what it drew [J], how many tokens it gave."""

    start: float
    end: float
    energy: float
    tokens: int


class Calls:
    """The newest calls of each process."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], deque[Call]] = {}

    def add(self, pool: str, instance: str, call: Call) -> None:
        """Take a call of an own server in, once."""
        key = (pool, instance)
        if key not in self._calls and len(self._calls) >= MOST_PROCESSES:
            del self._calls[next(iter(self._calls))]
        kept = self._calls.setdefault(key, deque(maxlen=REMEMBERED))
        kept.append(call)

    def curves(self) -> tuple[TokenCurve, ...]:
        """The curve of each pool that has enough calls at more than one concurrency."""
        pools: defaultdict[str, list[tuple[float, Call]]] = defaultdict(list)
        for (pool, _), calls in sorted(self._calls.items()):
            ordered = sorted(calls)
            pools[pool] += zip(concurrency(ordered), ordered, strict=True)
        found = (curve(pool, pools[pool]) for pool in pools)
        return tuple(each for each in found if each is not None)


def concurrency(calls: Sequence[Call]) -> list[float]:
    """Mean number of calls that ran during each call, itself included [1]."""
    if not calls:
        return []
    starts = np.array([call.start for call in calls])
    ends = np.array([call.end for call in calls])
    times = np.concatenate([starts, ends])
    steps = np.concatenate([np.ones(len(calls)), -np.ones(len(calls))])
    order = np.argsort(times, kind="stable")
    times, running = times[order], np.cumsum(steps[order])
    # How many call-seconds had passed at each instant where a call begins or ends.
    passed = np.concatenate([[0.0], np.cumsum(running[:-1] * np.diff(times))])
    during = np.interp(ends, times, passed) - np.interp(starts, times, passed)
    found: list[float] = (during / (ends - starts)).tolist()
    return found


def curve(pool: str, calls: Sequence[tuple[float, Call]]) -> TokenCurve | None:
    """Fit one pool's calls, each with its concurrency; none where there are too few to tell.

    Each fifth call is kept from the choice of the curve's shape, and tells how far off it is.
    """
    points = _points(calls)
    if len(calls) < FEWEST or len(points) < 2:  # noqa: PLR2004  (one point is no curve)
        return None
    seen = [each for number, each in enumerate(calls) if number % LEFT_OUT]
    degree = _degree(seen)
    fitted = _points(seen)
    error = _error(_fit(fitted, degree), fitted, calls[::LEFT_OUT])
    return TokenCurve(pool, len(calls), points, _fit(points, degree), error)


def _degree(calls: Sequence[tuple[float, Call]]) -> int:
    """The bend that foretells calls best that it has not seen; the straight line where none is better."""
    others = _points([each for number, each in enumerate(calls) if number % LEFT_OUT])
    best, least = 1, math.inf
    for degree in range(1, min(MOST_BENT, len(others) - 2) + 1):
        error = _error(_fit(others, degree), others, calls[::LEFT_OUT])
        if error is not None and error < least * BETTER:
            best, least = degree, error
    return best


def _error(
    factors: tuple[float, ...], fitted: Sequence[TokenPoint], unseen: Sequence[tuple[float, Call]]
) -> float | None:
    """Mean relative error at calls, those alone whose concurrency lies within what was fitted."""
    if not fitted:
        return None
    without = TokenCurve("", 0, (), factors, None)
    least, most = fitted[0].concurrency, fitted[-1].concurrency
    tests = [each for each in _points(unseen) if least <= each.concurrency <= most]
    if not tests:
        return None
    off = [abs(without.at(p.concurrency) / p.energy_j_per_output_token - 1) for p in tests]
    return float(np.average(off, weights=[point.calls for point in tests]))


def _points(calls: Iterable[tuple[float, Call]]) -> tuple[TokenPoint, ...]:
    """Calls of one rounded concurrency together: all their energy over all their tokens."""
    groups: defaultdict[int, list[Call]] = defaultdict(list)
    for n, call in calls:
        groups[max(1, round(n))].append(call)
    return tuple(
        TokenPoint(
            n,
            len(group),
            Joules(sum(call.energy for call in group) / sum(call.tokens for call in group)),
        )
        for n, group in sorted(groups.items())
    )


def _fit(points: Sequence[TokenPoint], degree: int) -> tuple[float, ...]:
    """Factors of the polynomial, the constant one first; one point alone makes a constant."""
    n = np.log([point.concurrency for point in points])
    joules = np.log([point.energy_j_per_output_token for point in points])
    weight = np.sqrt([point.calls for point in points])
    factors = np.polyfit(n, joules, min(degree, len(points) - 1), w=weight)
    return tuple(float(each) for each in factors[::-1])
