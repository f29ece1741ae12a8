"""Avoided emissions of one run: what it would have emitted, less what it emitted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from greenops.domain.energy import Method
from greenops.domain.evidence import AvoidedEmissions, Grade
from greenops.domain.grid import Factors, IntensitySeries, Signal
from greenops.errors import DataMissing, MixedQuantities
from greenops.units import Grams, GramsPerKwh, Kwh, emissions, to_joules


class Basis(StrEnum):
    """Whether intensity values were observed or foretold."""

    ACTUAL = "actual"
    FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of one run at the server [kWh] with its 90 % range.

    Attributes:
        low, high: Ends of the range; none where nobody says how far off the estimate may be.
        meter: Whose uncertainty it is; amounts of one meter err together.
    """

    estimate: Kwh
    low: Kwh | None
    high: Kwh | None
    method: Method
    meter: str


@dataclass(frozen=True, slots=True)
class Window:
    """Where and when a run went, or would have gone, and the intensity values it met.

    Attributes:
        pue: Power usage effectiveness of the site.
        hours_from: Instant at which `hours[0]` begins; value `i` holds for `step_s` seconds.
        step_s: Length of one value [s].
        hours: Intensity values that cover the window [gCO2e/kWh].
        intensity_mean: Time-weighted mean over `[start, end)` [gCO2e/kWh].
    """

    region: str
    zone: str
    pue: float
    start: datetime
    end: datetime
    signal: Signal
    factors: Factors
    basis: Basis
    source: str
    hours_from: datetime
    step_s: float
    hours: tuple[GramsPerKwh, ...]
    intensity_mean: GramsPerKwh


def window(
    series: IntensitySeries,
    start: datetime,
    end: datetime,
    *,
    region: str,
    pue: float,
    basis: Basis = Basis.ACTUAL,
) -> Window:
    """The window of a run with the values of `series` that it met, and no others.

    Raises:
        DataMissing: The series does not cover the window without a gap (GO0408).
    """
    first = (start - series.start) // series.step
    last = -((series.start - end) // series.step)
    values = series.values[max(first, 0) : last]
    hours = tuple(value for value in values if value is not None)
    if first < 0 or end <= start or len(hours) != last - first:
        raise DataMissing(
            "GO0408",
            f"no whole intensity of `{series.zone}` from {start.isoformat()} to {end.isoformat()}",
            fix="wait until the actual values are published; nothing is claimed before",
        )
    begin = series.start + first * series.step
    step_s = series.step.total_seconds()
    return Window(
        region=region,
        zone=series.zone,
        pue=pue,
        start=start,
        end=end,
        signal=series.kind.signal,
        factors=series.kind.factors,
        basis=basis,
        source=series.kind.source,
        hours_from=begin,
        step_s=step_s,
        hours=hours,
        intensity_mean=mean_of(hours, begin, step_s, start, end),
    )


def mean_of(
    hours: Sequence[GramsPerKwh], begin: datetime, step_s: float, start: datetime, end: datetime
) -> GramsPerKwh:
    """Time-weighted mean of regular values over `[start, end)` [gCO2e/kWh].

    Raises:
        ValueError: The values do not cover the window, or a value lies outside it.
    """
    if not step_s > 0 or end <= start:
        raise ValueError("a window must have a length, and so must a step")
    step = timedelta(seconds=step_s)
    edges = [begin + step * i for i in range(len(hours) + 1)]
    spans = [
        (min(after, end) - max(before, start)).total_seconds() for before, after in pairwise(edges)
    ]
    if edges[0] > start or edges[-1] < end or any(span <= 0 for span in spans):
        raise ValueError("the intensity values and the window do not cover each other")
    total = math.fsum(span * value for span, value in zip(spans, hours, strict=True))
    return GramsPerKwh(total / (end - start).total_seconds())


def emitted(energy: Kwh, place: Window) -> Grams:
    """Emissions of a run in a window [gCO2e]: energy x PUE x mean intensity."""
    return emissions(to_joules(energy), place.intensity_mean, place.pue)


def avoided(
    energy: Energy, baseline: Window, chosen: Window, *, held_out: bool = False
) -> AvoidedEmissions:
    """Baseline less actual emissions [gCO2e]; negative where the choice was worse.

    The energy is one and the same on both sides, so its error is one shared factor: the range is
    the difference at its two ends; of energy without a range it has none, unless it is zero whatever
    was drawn. Intensity values are taken as they were published.

    Args:
        energy: Of this run, at the server.
        baseline: Where and when it would have run.
        chosen: Where and when it ran.
        held_out: The comparison rests on a hold-out, not on this baseline alone.

    Raises:
        MixedQuantities: The two sides are of different signals or factors (GO0301).
    """
    for what in ("signal", "factors"):
        ours, theirs = getattr(baseline, what), getattr(chosen, what)
        if ours != theirs:
            raise MixedQuantities(
                "GO0301", f"cannot compare `{ours}` with `{theirs}` intensity: {what} differs"
            )

    def less(kwh: Kwh) -> Grams:
        return Grams(emitted(kwh, baseline) - emitted(kwh, chosen))

    estimate = less(energy.estimate)
    known = grade(energy.method, (baseline.basis, chosen.basis), held_out=held_out)
    if energy.low is None or energy.high is None:
        zero = None if estimate else estimate
        return AvoidedEmissions(estimate, zero, zero, known)
    ends = (less(energy.low), less(energy.high))
    return AvoidedEmissions(estimate, min(ends), max(ends), known)


def grade(method: Method, bases: Iterable[Basis], *, held_out: bool) -> Grade:
    """How well a saving is known: D forecast, C estimates, B modeled, A hold-out and measured."""
    if any(basis is Basis.FORECAST for basis in bases):
        return Grade.D
    match method:
        case Method.MEASURED:
            return Grade.A if held_out else Grade.B
        case Method.MODELED:
            return Grade.B
        case Method.ESTIMATED | Method.REPORTED:
            return Grade.C


def total(parts: Iterable[tuple[str, AvoidedEmissions]]) -> AvoidedEmissions | None:
    """Sum of avoided emissions, each with its meter; none of nothing.

    Amounts of one meter err together, so their ends add; those of different meters err apart, so
    their half widths add in quadrature. The grade is the weakest; negative amounts count. A sum has no
    range where one of its parts has none: that of the others would pass for the whole.
    """
    meters: dict[str, list[AvoidedEmissions]] = {}
    for meter, part in parts:
        meters.setdefault(meter, []).append(part)
    if not meters:
        return None
    sums = [_dependent(group) for group in meters.values()]
    estimate = math.fsum(each.estimate for each in sums)
    weakest = max((each.grade for each in sums), key=list(Grade).index)
    ranges = [(each.estimate, each.low, each.high) for each in sums]
    down = _together(None if low is None else middle - low for middle, low, _ in ranges)
    up = _together(None if high is None else high - middle for middle, _, high in ranges)
    if down is None or up is None:
        return AvoidedEmissions(Grams(estimate), None, None, weakest)
    return AvoidedEmissions(Grams(estimate), Grams(estimate - down), Grams(estimate + up), weakest)


def _together(widths: Iterable[float | None]) -> float | None:
    """Half widths of errors that are independent; none where one is not known."""
    known = list(widths)
    return None if None in known else math.hypot(*(width or 0.0 for width in known))


def leading(
    parts: Iterable[tuple[str, AvoidedEmissions]],
) -> list[tuple[str, AvoidedEmissions]]:
    """The parts that may enter a leadership total: grades A and B."""
    return [part for part in parts if part[1].grade in (Grade.A, Grade.B)]


def _dependent(parts: Sequence[AvoidedEmissions]) -> AvoidedEmissions:
    weakest = max((part.grade for part in parts), key=list(Grade).index)
    estimate = Grams(math.fsum(part.estimate for part in parts))
    # With a shared energy error, little energy is the low end of a gain and the high end of a loss.
    little = _sum(part.low if part.estimate >= 0 else part.high for part in parts)
    much = _sum(part.high if part.estimate >= 0 else part.low for part in parts)
    if little is None or much is None:
        return AvoidedEmissions(estimate, None, None, weakest)
    return AvoidedEmissions(estimate, min(little, much), max(little, much), weakest)


def _sum(amounts: Iterable[Grams | None]) -> Grams | None:
    known = list(amounts)
    return None if None in known else Grams(math.fsum(each or 0.0 for each in known))
