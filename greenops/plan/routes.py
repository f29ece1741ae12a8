"""Ways to share a route among its backends, and when a better way is worth a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenops.domain.decision import Candidate
from greenops.plan.candidates import BASELINE, RegionOption
from greenops.plan.intensity import MeanIntensity
from greenops.units import Grams, GramsPerKwh, Kwh, Usd, emissions, to_joules

FAVOURED: Final = 90
"""Share of a favoured backend [percent]; the rest keeps the others warm and measured."""
WINDOW: Final = timedelta(hours=1)
"""Time over which a share is judged."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One place that answers a route; `p95_ms` is what its callers see [ms]."""

    name: str
    option: RegionOption
    p95_ms: float | None = None


Weights = Mapping[str, int]


def route_candidates(
    backends: Sequence[Backend], current: Weights, energy_kwh: Kwh | None, now: datetime
) -> tuple[Candidate, tuple[Candidate, ...], dict[str, Weights]]:
    """Today's weights as baseline, each backend favoured, all equal.

    Args:
        backends: At least one.
        current: Weights now, whole percent.
        energy_kwh: Energy of an hour of the route's traffic [kWh].
        now: Start of the hour.

    Returns:
        Baseline, candidates, and the weights of each by candidate id.
    """
    ways = [_favour(backends, each.name) for each in backends] + [_equal(backends)]
    weights: dict[str, Weights] = {BASELINE: dict(current)}
    for way in ways:
        if way != dict(current):
            weights.setdefault(name_of(way), way)
    made = {name: shared(name, w, backends, energy_kwh, now) for name, w in weights.items()}
    return made.pop(BASELINE), tuple(made.values()), weights


def name_of(weights: Weights) -> str:
    """Name of a way: `eu-central-1=10,eu-north-1=90`."""
    return ",".join(f"{name}={weights[name]}" for name in sorted(weights))


def worth_a_change(
    last_change: datetime | None, now: datetime, dwell: timedelta, saving: float, band: float
) -> bool:
    """Whether a route may change again: rested long enough, and the saving is beyond the band.

    Args:
        last_change: When it last changed; none: never.
        now: Instant.
        dwell: Least time between two changes.
        saving: Relative saving of the change, 0.05 for 5 %.
        band: Least relative saving, the hysteresis.
    """
    rested = last_change is None or now - last_change >= dwell
    return rested and saving > band


def _favour(backends: Sequence[Backend], name: str) -> dict[str, int]:
    others = [each.name for each in backends if each.name != name]
    if not others:
        return {name: 100}
    share, rest = divmod(100 - FAVOURED, len(others))
    return {name: FAVOURED + rest} | dict.fromkeys(others, share)


def _equal(backends: Sequence[Backend]) -> dict[str, int]:
    share, rest = divmod(100, len(backends))
    return {each.name: share + (index < rest) for index, each in enumerate(backends)}


def shared(
    name: str, weights: Weights, backends: Sequence[Backend], energy: Kwh | None, now: datetime
) -> Candidate:
    """One way to share a route, with its figures; those that are not known of all of it are absent."""
    shares = [(each, weights.get(each.name, 0) / 100) for each in backends]
    main = max(shares, key=lambda pair: pair[1])[0].option.region
    used = [each for each, share in shares if share > 0]
    whole = sum(weights.get(each.name, 0) for each in backends) == 100  # noqa: PLR2004  (percent)
    if not whole:
        # A part of the traffic goes where nothing is known: no figure stands for all of it.
        return Candidate(id=name, start=now, end=now + WINDOW, energy_kwh=energy)
    slowest = [each.p95_ms for each in used]
    known = [p95 for p95 in slowest if p95 is not None]
    return Candidate(
        id=name,
        region=main.id,
        location=_common(each.option.region.location for each in used),
        provider=_common(each.option.region.provider for each in used),
        zone=main.zone,
        start=now,
        end=now + WINDOW,
        energy_kwh=energy,
        carbon_g=_carbon(shares, energy, now),
        intensity=_intensity(shares, now),
        cost_usd=_cost(shares),
        p95_ms=max(known) if len(known) == len(slowest) else None,
    )


def _common(names: Iterable[str]) -> str | None:
    """The name that all share; none where they differ, so that a rule on it refuses the mix."""
    different = set(names)
    return different.pop() if len(different) == 1 else None


def _means(
    shares: Sequence[tuple[Backend, float]], now: datetime
) -> list[tuple[Backend, float, GramsPerKwh]] | None:
    found = []
    for each, share in shares:
        if not share:
            continue
        forecast = each.option.forecast
        mean = MeanIntensity(forecast)(now, now + WINDOW) if forecast else None
        if mean is None:
            return None
        found.append((each, share, mean))
    return found


def _carbon(
    shares: Sequence[tuple[Backend, float]], energy: Kwh | None, now: datetime
) -> Grams | None:
    means = _means(shares, now)
    if means is None or energy is None:
        return None
    joules = to_joules(energy)
    return Grams(sum(s * emissions(joules, mean, b.option.region.pue) for b, s, mean in means))


def _intensity(shares: Sequence[tuple[Backend, float]], now: datetime) -> GramsPerKwh | None:
    means = _means(shares, now)
    return None if means is None else GramsPerKwh(sum(share * mean for _, share, mean in means))


def _cost(shares: Sequence[tuple[Backend, float]]) -> Usd | None:
    prices = [(share, b.option.region.usd_per_hour.get("ondemand")) for b, share in shares if share]
    known = [share * price for share, price in prices if price is not None]
    return Usd(sum(known)) if len(known) == len(prices) else None
