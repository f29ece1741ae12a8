"""Deciding how a route with origins is shared: one decision for all of them, weights for each.

The rules are asked twice: of each backend as if it answered all, which makes the masks, and of the table that
came of it, as one candidate beside what is shown now. So no traffic is planned where a rule forbids it, and the
whole keeps its limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate
from greenops.domain.route import Front
from greenops.domain.workload import Job
from greenops.pipeline.decide import Decider
from greenops.pipeline.route_traffic import RouteTraffic, traffic_of
from greenops.plan.candidates import BASELINE, RegionOption
from greenops.plan.choice import OF_SAVING
from greenops.plan.route_mix import mixed
from greenops.plan.routes import Weights, name_of
from greenops.plan.routing_lp import Shared, share_traffic
from greenops.plan.routing_table import (
    RoutingTable,
    Served,
    at_home,
    best_table,
    served,
    whole_percent,
)
from greenops.plan.slot_table import Ints
from greenops.policy import PolicySet


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """What was decided of a route with origins, and what it rests on.

    Attributes:
        ways: Candidate → origin → backend → percent. The baseline is what is shown now, with what cannot be
            answered so sent on to where it can.
        table: The best table, in whole percent; its order says where a gateway goes on from what is full.
        shared: The optimum and the prices that prove it.
        best: What becomes of the traffic by the best table.
    """

    record: DecisionRecord
    ways: Mapping[str, Mapping[str, Weights]]
    of: RouteTraffic
    table: RoutingTable
    shared: Shared
    best: Served


def decide_sharing(
    decider: Decider, front: Front, current: Mapping[str, Weights] | None = None
) -> Sharing:
    """Decide how all origins of a route share its backends from now on.

    Args:
        decider: What is known.
        front: A route with origins.
        current: Origin → weights that are shown now; one that is absent is at home.

    Raises:
        UsageError: The workload is not declared, or nothing says what a request takes.
    """
    now = decider.clock.now()
    job = Job(f"{front.route}/{now:%Y-%m-%dT%H:%M}Z", decider.workload(front.workload), now)
    options = _options(decider, front, now)
    of = traffic_of(front, options, job.workload, {}, now)
    # What is shown may meet what came since: what cannot be answered so is sent on.
    shown = _shown(of, current or {})
    refused = _refused(_in_force(decider, now), job, of, shown, now)
    of = traffic_of(front, options, job.workload, refused, now)
    baseline = _percent(of, _repaired(of, shown))
    shared = share_traffic(of.traffic)
    exact = best_table(of.traffic, shown, shared)
    best = _percent(of, exact)
    ways = {BASELINE: baseline}
    if (best != baseline).any():
        ways[_name(of, best)] = best
    made = [_candidate(of, name, percent, now) for name, percent in ways.items()]
    table = RoutingTable(best / 100, exact.order)
    return Sharing(
        record=decider.judge(job, made[0], made[1:], now, options),
        ways={name: _weights(front, percent) for name, percent in ways.items()},
        of=of,
        table=table,
        shared=shared,
        best=served(table, of.traffic),
    )


def _in_force(decider: Decider, now: datetime) -> PolicySet:
    return decider.policies if decider.in_force is None else decider.in_force(now)


def _options(decider: Decider, front: Front, now: datetime) -> list[RegionOption]:
    for each in front.backends:
        decider.grid.regions[each.region]  # an unknown region is an error that names the nearest
    known = {e.region.id: e for e in decider.options(now, {b.region for b in front.backends})}
    return [known[each.region] for each in front.backends]


def _shown(of: RouteTraffic, current: Mapping[str, Weights]) -> RoutingTable:
    """The weights that are shown, home where an origin has none; by the order of now."""
    home = at_home(of.traffic)
    shares = home.shares.copy()
    for row, origin in enumerate(of.front.origins):
        weights = current.get(origin.name)
        if weights:
            shares[row] = [weights.get(each.name, 0) / 100 for each in of.front.backends]
            shares[row] /= shares[row].sum() or 1.0
        if not shares[row].any():
            shares[row] = home.shares[row]
    return RoutingTable(shares, best_table(of.traffic, home).order)


def _repaired(of: RouteTraffic, shown: RoutingTable) -> RoutingTable:
    """The same table without what may not be, or finds no room, now; a row that nobody answers stays."""
    found = served(shown, of.traffic)
    total = found.placed.sum(axis=1, keepdims=True)
    whole = (total > 0) & (found.unserved[:, None] == 0)
    shares = np.where(whole, found.placed / np.where(total > 0, total, 1.0), shown.shares)
    kept = of.traffic.demand[:, None] == 0
    return RoutingTable(np.where(kept, shown.shares, shares), shown.order)


def _percent(of: RouteTraffic, table: RoutingTable) -> Ints:
    return whole_percent(table.shares, of.traffic.home, of.traffic.may)


def _name(of: RouteTraffic, percent: Ints) -> str:
    """Shares of the whole route's traffic, `north=62,south=38`, as a way of one origin is named."""
    demand = of.traffic.demand
    shares = np.rint(demand @ percent / demand.sum()).astype(int).tolist()
    names = [each.name for each in of.front.backends]
    return name_of({name: share for name, share in zip(names, shares, strict=True) if share})


def _candidate(of: RouteTraffic, name: str, percent: Ints, now: datetime) -> Candidate:
    return mixed(name, of.parts(percent / 100 * of.traffic.demand[:, None]), now)


def _weights(front: Front, percent: Ints) -> dict[str, Weights]:
    names = [each.name for each in front.backends]
    return {
        origin.name: {name: int(p) for name, p in zip(names, row, strict=True) if p}
        for origin, row in zip(front.origins, percent, strict=True)
    }


def _refused(
    policies: PolicySet, job: Job, of: RouteTraffic, shown: RoutingTable, now: datetime
) -> dict[str, Sequence[str]]:
    """Backend → rules that refuse it, were it to answer all.

    One that answers some already is asked as it stands: limits that compare with it ask of a choice. Of the
    others the limits on what is saved do not count here, for it is the whole that must keep them.
    """
    everything = of.traffic.demand[:, None]
    baseline = _candidate(of, BASELINE, _percent(of, shown), now)
    asked = (shown.shares * everything).sum(axis=0)
    found: dict[str, Sequence[str]] = {}
    for at, backend in enumerate(of.front.backends):
        placed = np.zeros(shown.shares.shape)
        placed[:, at] = of.traffic.demand
        alone = mixed(backend.name, of.parts(placed), now)
        if asked[at]:
            reasons = policies.judge(job, alone, (), now).verdicts[0].reasons
        else:
            verdicts = policies.judge(job, baseline, (alone,), now).verdicts
            reasons = tuple(each for each in verdicts[1].reasons if each not in OF_SAVING)
        if reasons:
            found[backend.name] = reasons
    return found


def broken_by(decider: Decider, found: Sharing, weights: Mapping[str, Weights]) -> tuple[str, ...]:
    """Rules that a route breaks while its origins show these weights, at the instant of a decision on it."""
    now, job = found.record.decision.decided_at, found.record.job
    if job is None:
        return ()
    percent = _percent(found.of, _shown(found.of, weights))
    # As the baseline: limits that compare with it ask of a choice, not of a step to it.
    stands = _candidate(found.of, BASELINE, percent, now)
    return _in_force(decider, now).judge(job, stands, (), now).verdicts[0].reasons
