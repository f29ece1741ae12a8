"""What would be decided of a file's routes now, for a person or a program: weights, savings, masks, what if one is down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from greenops.domain.decision import Decision
from greenops.domain.route import Front
from greenops.pipeline.decide import Decider
from greenops.pipeline.route_shares import Sharing, decide_sharing
from greenops.pipeline.route_traffic import HOUR_S, Excluded, down
from greenops.pipeline.routing import even
from greenops.plan.candidates import BASELINE
from greenops.plan.routes import Weights
from greenops.plan.routing_table import NOBODY, Served, served, without
from greenops.plan.slot_table import Floats
from greenops.units import Grams, GramsPerKwh, Joules


@dataclass(frozen=True, slots=True)
class OriginPlan:
    """Where requests of one origin would go.

    Attributes:
        weights: Backend → percent.
        then: Backends in the order in which a gateway goes on from one that is full.
        home_g, carbon_g: Emissions of an hour at home and by the weights [g]; none where not known.
        over_rps: What stays at home beyond what home bears [requests/s].
        unserved_rps: What nobody answers [requests/s].
    """

    origin: str
    home: str
    requests_per_s: float
    weights: Weights
    then: tuple[str, ...]
    home_g: Grams | None
    carbon_g: Grams | None
    over_rps: float
    unserved_rps: float


@dataclass(frozen=True, slots=True)
class BackendPlan:
    """What a backend would answer.

    Attributes:
        intensity: Of its grid over the hour [gCO2e/kWh]; none where not known.
        room_saves_g: Emissions of an hour that room for one more request per second would save [g]; none where
            something finds no room for want of it, its grid is not known, or it is down.
    """

    backend: str
    region: str
    intensity: GramsPerKwh | None
    joules_per_request: Joules
    answers_rps: float
    capacity_rps: float | None
    room_saves_g: Grams | None


@dataclass(frozen=True, slots=True)
class WhileDown:
    """What becomes of the traffic by these weights while one backend is down, others going on in their order."""

    backend: str
    carbon_g: Grams | None
    over_rps: float
    unserved_rps: float


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route as it would be decided now, with everybody at home before.

    Attributes:
        home_g, carbon_g: Emissions of an hour at home and by the weights [g]; none where not known of all.
        saving: Of the one against the other [1].
        bound_g: No weights emit less in that hour [g], as the prices of room prove; none where not all is served.
        decided: Whether the rules let these weights be chosen; `reason` says why in a sentence.
        forecast_ids: Zone → forecast that the figures rest on.
    """

    route: str
    workload: str
    at: datetime
    decided: bool
    reason: str
    mode: str
    replay: bool
    origins: tuple[OriginPlan, ...] = ()
    backends: tuple[BackendPlan, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    while_down: tuple[WhileDown, ...] = ()
    weights: Weights | None = None
    home_g: Grams | None = None
    carbon_g: Grams | None = None
    saving: float | None = None
    bound_g: Grams | None = None
    forecast_ids: dict[str, str] | None = None


def plan_routes(
    decider: Decider, fronts: Iterable[Front], gone: Sequence[str] = ()
) -> list[RoutePlan]:
    """Each route as it would be decided now.

    Args:
        decider: What is known.
        fronts: Routes; those with origins once for each of them.
        gone: Backends that are taken as down.

    Raises:
        UsageError: A workload is not declared, or nothing says what a request takes.
    """
    return [
        _together(decider, down(each, gone)) if each.origins else _alone(decider, each)
        for each in fronts
        if each.leads or not each.origins
    ]


def _alone(decider: Decider, front: Front) -> RoutePlan:
    record, ways = decider.decide_route(front, even(front))
    decision = record.decision
    return RoutePlan(
        route=front.name,
        workload=front.workload,
        at=decision.decided_at,
        decided=decision.chosen.id != BASELINE,
        reason=decision.reason,
        mode=decision.mode.value,
        replay=decision.replay,
        weights=dict(ways.get(decision.chosen.id, ways[BASELINE])),
        carbon_g=decision.chosen.carbon_g,
        forecast_ids=dict(decision.forecast_ids),
    )


def _together(decider: Decider, front: Front) -> RoutePlan:
    found = decide_sharing(decider, front)
    decision = found.record.decision
    home, best = _at_home(found), _grams(found, found.best)
    whole_home, whole_best = _sum(home), _sum(best)
    served_whole = not found.shared.left.any()
    return RoutePlan(
        route=front.route,
        workload=front.workload,
        at=decision.decided_at,
        decided=_decided(found, decision),
        reason=decision.reason,
        mode=decision.mode.value,
        replay=decision.replay,
        origins=tuple(_origins(found, home, best)),
        backends=tuple(_backends(found)),
        excluded=found.of.excluded,
        while_down=tuple(_while_down(found)),
        home_g=whole_home,
        carbon_g=whole_best,
        saving=None if not whole_home or whole_best is None else 1 - whole_best / whole_home,
        bound_g=Grams(found.shared.bound * HOUR_S) if served_whole and whole_home else None,
        forecast_ids=dict(decision.forecast_ids),
    )


def _decided(found: Sharing, decision: Decision) -> bool:
    """Whether everybody would go by these weights: they were chosen, or are what is there."""
    return decision.chosen.id != BASELINE or len(found.ways) == 1


def _origins(
    found: Sharing, home: Sequence[Grams | None], best: Sequence[Grams | None]
) -> Iterator[OriginPlan]:
    names = [each.name for each in found.of.front.backends]
    percent = np.rint(found.table.shares * 100).astype(int)
    for row, origin in enumerate(found.of.front.origins):
        order = [names[at] for at in found.table.order[row].tolist() if at != NOBODY]
        yield OriginPlan(
            origin=origin.name,
            home=origin.home,
            requests_per_s=origin.requests_per_s,
            weights={n: int(p) for n, p in zip(names, percent[row], strict=True) if p},
            then=tuple(order),
            home_g=home[row],
            carbon_g=best[row],
            over_rps=float(found.best.over[row]),
            unserved_rps=float(found.best.unserved[row]),
        )


def _backends(found: Sharing) -> Iterator[BackendPlan]:
    of = found.of
    for at, backend in enumerate(of.front.backends):
        price = float(found.shared.price[at])
        known = of.intensity[at] is not None and backend.capacity_rps != 0
        yield BackendPlan(
            backend=backend.name,
            region=backend.region,
            intensity=of.intensity[at],
            joules_per_request=of.joules[at],
            answers_rps=float(found.best.placed[:, at].sum()),
            capacity_rps=backend.capacity_rps,
            room_saves_g=Grams(price * HOUR_S) if known and np.isfinite(price) else None,
        )


def _while_down(found: Sharing) -> Iterator[WhileDown]:
    for at, backend in enumerate(found.of.front.backends):
        if backend.capacity_rps == 0:
            continue
        left = served(found.table, without(found.of.traffic, at))
        yield WhileDown(
            backend=backend.name,
            carbon_g=_sum(_grams(found, left)),
            over_rps=float(left.over.sum()),
            unserved_rps=float(left.unserved.sum()),
        )


def _grams(found: Sharing, became: Served) -> list[Grams | None]:
    """Emissions of an hour of each origin [g]; none where a grid that answers some of it is not known."""
    return [
        _of_row(placed, grams) for placed, grams in zip(became.placed, found.of.grams, strict=True)
    ]


def _at_home(found: Sharing) -> list[Grams | None]:
    """The same with everybody at home, as without GreenOps: also where that is down now."""
    traffic, rows = found.of.traffic, np.arange(len(found.of.traffic.home))
    masses = traffic.demand * found.of.grams[rows, traffic.home] * HOUR_S
    return [None if np.isnan(each) else Grams(each) for each in masses.tolist()]


def _of_row(placed: Floats, grams: Floats) -> Grams | None:
    used = placed > 0
    mass = float((placed[used] * grams[used]).sum()) * HOUR_S
    return None if np.isnan(mass) else Grams(mass)


def _sum(grams: Sequence[Grams | None]) -> Grams | None:
    known = [each for each in grams if each is not None]
    return Grams(sum(known)) if len(known) == len(grams) else None
