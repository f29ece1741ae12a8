"""The demo's policy on every night that has a real forecast, decided by the real engine."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenops.adapters.packaged import packaged
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.decision import Judgement, Verdict
from greenops.domain.replay import Replay
from greenops.domain.workload import Job, Limits
from greenops.grid.series import mean_intensity
from greenops.pipeline.decide import Decider
from greenops.pipeline.grid import load_grid
from greenops.pipeline.policies import read_policies
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.plan.choice import choose
from greenops.testing.clock import FakeClock

LOCAL = ZoneInfo("America/Los_Angeles")


@pytest.fixture(scope="module")
def decider():
    settings = Settings()
    return Decider(
        settings, FakeClock(), read_policies(packaged("policies")), load_grid(settings, FakeClock())
    )


def nights():
    return [
        datetime.combine(issued.date(), time(1), tzinfo=LOCAL).astimezone(UTC)
        for issued in ShippedGrid().issues("CISO")
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.feature("C2", "C6", "B1")
def test_on_every_night_the_rule_holds_the_deadline_is_kept_and_most_carbon_is_saved(decider):
    savings = []
    for due in nights():
        at = replace(decider, clock=FakeClock(due, Replay(due, due, 1.0)))
        made = at.decide(JobRequest("nightly-enrichment", f"{due:%Y-%m-%d}", due)).decision
        chosen, baseline = made.chosen, made.baseline

        assert chosen.cost_usd <= 1.10 * baseline.cost_usd
        assert chosen.start + timedelta(hours=4) <= made.deadline == due + timedelta(hours=12)
        assert all("T00:00" in each for each in made.forecast_ids.values())
        actual = decider.grid.provider.actual("CISO", due, due + timedelta(hours=12))
        paid = mean_intensity(actual, chosen.start, chosen.end)
        unmoved = mean_intensity(actual, baseline.start, baseline.end)
        savings.append(1 - paid / unmoved)

    savings.sort()
    assert len(savings) == 181
    assert savings[len(savings) // 2] >= 0.20
    assert sum(each < 0 for each in savings) <= 2


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.feature("B1")
def test_with_durations_that_err_by_a_fifth_at_most_one_job_in_a_hundred_is_late(decider):
    draw = random.Random(11)
    region = decider.grid.regions["us-west-1"]
    usual = decider.workload("nightly-enrichment")
    issues = ShippedGrid().issues("CISO")
    late = jobs = 0
    for _ in range(2_000):
        submitted = draw.choice(issues) + timedelta(minutes=draw.randrange(24 * 60))
        hours = draw.uniform(0.5, 4)
        # The 95th percentile of a run that takes 0.8 to 1.2 of its usual time, evenly spread.
        work = replace(
            usual, schedule=None, duration_s=hours * 3600, duration_p95_s=1.18 * hours * 3600
        )
        deadline = submitted + timedelta(hours=1.18 * hours + draw.uniform(0, 24))
        job = Job(str(jobs), work, submitted, deadline)
        forecast = decider.grid.provider.forecast("CISO", submitted)
        baseline, candidates = batch_candidates(job, [RegionOption(region, forecast)], submitted)
        verdicts = [
            Verdict(each.id, allowed=True, score=(each.carbon_g, 0.0))
            if each.carbon_g is not None
            else Verdict(each.id, allowed=False)
            for each in (baseline, *candidates)
        ]
        made = choose(
            job, baseline, candidates, Judgement((), tuple(verdicts), Limits(), ""), submitted
        )
        took = timedelta(hours=hours * draw.uniform(0.8, 1.2))
        late += made.chosen.start + took > deadline
        jobs += 1

    assert jobs == 2_000
    assert late <= 0.01 * jobs
