"""The template for edge or one place: the edge is taken if and only if the promise needs it or it takes less energy."""

# Plain numbers stand for kWh and milliseconds here.
# mypy: disable-error-code="arg-type,operator"

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.pipeline.policies import policy_sources
from greenops.plan.choice import choose
from greenops.policy import PolicySet, compile_policies

TEMPLATE = Path(__file__).parents[3] / "policies" / "templates" / "edge-or-central.yaml"
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
PROMISE_MS = 100.0
SERVICE = Workload(
    "template-edge-or-central", WorkloadKind.INFERENCE, Urgency.INTERACTIVE, "eu-central-1"
)
CENTRAL_ROUND_TRIPS_MS = (5.0, 30.0, 59.9, 60.0, 60.1, 90.0, 200.0)
SERVED_MS, EDGE_ROUND_TRIP_MS = 40.0, 3.0
"""Time that an answer takes at either, P95, and the way to the edge."""
WATTS_IDLE = {"central": 400.0, "edge": 2_200.0}
"""Idle draw of one busy place, and of eleven that wait close to people."""
JOULES = {"central": 12.0, "edge": 3.0}
"""Of one request, with its way through the network."""
CROSSOVER_PER_S = 200.0
"""Where 400 W + 12 J x rate is 2,200 W + 3 J x rate."""


@cache
def policies() -> PolicySet:
    return compile_policies(policy_sources(TEMPLATE))


def way(tier: str, energy_kwh: float | None, p95_ms: float | None, name: str) -> Candidate:
    return Candidate(
        *(name, tier),
        tier=tier,
        start=NOW,
        end=NOW + timedelta(hours=1),
        energy_kwh=energy_kwh,
        p95_ms=p95_ms,
    )


def taken(baseline: Candidate, *others: Candidate) -> str | None:
    job = Job("edge/1", SERVICE, NOW)
    return choose(
        job, baseline, others, policies().judge(job, baseline, others, NOW), NOW
    ).chosen.tier


def an_hour(tier: str, per_s: float) -> float:
    """Energy of an hour at a rate of requests [kWh]."""
    return (WATTS_IDLE[tier] + JOULES[tier] * per_s) / 1000


@pytest.mark.feature("B14")
@pytest.mark.parametrize("now", ["central", "edge"])
@pytest.mark.parametrize("round_trip_ms", CENTRAL_ROUND_TRIPS_MS)
def test_the_edge_is_taken_beyond_the_crossovers_of_load_and_of_distance(now, round_trip_ms):
    latency = {
        "central": SERVED_MS + round_trip_ms,
        "edge": SERVED_MS + EDGE_ROUND_TRIP_MS,
    }
    found = {}
    for per_s in (0.0, 50.0, 199.0, 200.0, 201.0, 1_000.0):
        both = {
            each: way(each, an_hour(each, per_s), latency[each], each)
            for each in ("central", "edge")
        }
        other = "edge" if now == "central" else "central"
        found[per_s] = taken(both[now], both[other])

    if round_trip_ms > PROMISE_MS - SERVED_MS:
        assert set(found.values()) == {"edge"}
        return
    for per_s, tier in found.items():
        at_the_line = per_s == CROSSOVER_PER_S
        assert tier == (now if at_the_line else "edge" if per_s > CROSSOVER_PER_S else "central")


FIGURES = st.tuples(
    st.one_of(st.none(), st.floats(0.0, 10.0)), st.one_of(st.none(), st.floats(1.0, 300.0))
)


@pytest.mark.feature("B14")
@given(central=FIGURES, edge=FIGURES)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_from_one_place_to_the_edge_only_where_the_promise_needs_it_or_energy_is_lower(
    central, edge
):
    chosen = taken(way("central", *central, "now"), way("edge", *edge, "edge"))

    edge_keeps = edge[1] is not None and edge[1] <= PROMISE_MS
    needed = central[1] is not None and central[1] > PROMISE_MS and edge[0] is not None
    lower = central[0] is not None and edge[0] is not None and edge[0] < central[0]
    assert (chosen == "edge") == (edge_keeps and (needed or lower))
