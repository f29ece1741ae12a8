"""Candidates: all places, pools and starts, every figure equal to a sum minute by minute."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone

import pytest

from greenops.domain.decision import Candidate, Judgement, Verdict
from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.domain.workload import ClockTime, Job, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import UsageError
from greenops.plan.candidates import RegionOption, batch_candidates, placement_candidates
from greenops.plan.choice import choose
from greenops.plan.guard import latest_safe_start
from greenops.plan.intensity import MeanIntensity
from greenops.units import GramsPerKwh, Kwh, Seconds, Usd

NOW = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made for this test", replay=True)
BATCH = Workload(
    name="nightly-enrichment",
    kind=WorkloadKind.BATCH,
    urgency=Urgency.DEFERRABLE,
    home_region="us-west-1",
    allowed_regions=("us-west-1", "eu-north-1"),
    duration_p95_s=Seconds(7200),
    energy_kwh=Kwh(10),
    transfer_gb=50.0,
)
JOB = Job("nightly-enrichment/2021-10-08", BATCH, NOW, NOW + 12 * HOUR)


def forecast(
    *values: float | None,
    start: datetime = NOW - 2 * HOUR,
    step: timedelta = HOUR,
    error: float | None = 0.1,
) -> Forecast:
    known = tuple(None if v is None else GramsPerKwh(v) for v in values)
    return Forecast("Z", KIND, start, step, known, issued_at=start, id="f", error=error)


def region(name: str, pue: float = 1.2, per_gb: float = 0.02) -> Region:
    prices = {"ondemand": Usd(2.0), "spot": Usd(0.5)}
    return Region(name, "aws", "US", "Z", pue, "made up", prices, Usd(per_gb), "made up")


HOME = RegionOption(region("us-west-1"), forecast(*range(100, 148)))
NORTH = RegionOption(region("eu-north-1", 1.1, per_gb=0.09), forecast(*range(20, 68)))


def by_minute(series: Forecast, start: datetime, end: datetime) -> float | None:
    """Mean over a run, added up minute by minute: slow and plain."""
    values = []
    while start < end:
        index = (start - series.start) // series.step
        if not 0 <= index < len(series.values) or series.values[index] is None:
            return None
        values.append(series.values[index])
        start += timedelta(minutes=1)
    return sum(v for v in values if v is not None) / len(values) if values else None


def test_the_mean_equals_a_sum_by_minute_for_any_window() -> None:
    rng = random.Random(7)
    gaps = 0

    for _ in range(1_500):
        step = timedelta(minutes=rng.choice([5, 15, 30, 60]))
        values = [None if rng.random() < 0.03 else rng.uniform(0, 900) for _ in range(48)]
        series = forecast(*values, start=NOW, step=step)
        start = NOW + timedelta(minutes=rng.randint(-30, 48 * 60))
        end = start + timedelta(minutes=rng.randint(0, 300))

        mean, plain = MeanIntensity(series)(start, end), by_minute(series, start, end)

        gaps += plain is None
        assert mean == (None if plain is None else pytest.approx(plain, abs=1e-9))
    assert 100 < gaps < 1_400


def test_there_is_one_candidate_per_place_pool_and_slot_up_to_the_latest_safe_start() -> None:
    baseline, ways = batch_candidates(JOB, [HOME, NORTH], NOW)

    starts = sorted({each.start for each in ways if each.start})
    assert (baseline.region, baseline.pool, baseline.start) == ("us-west-1", "ondemand", NOW)
    assert starts == [NOW + i * HOUR / 2 for i in range(21)]
    assert len(ways) == 2 * 2 * 21 - 1
    assert len({each.id for each in (baseline, *ways)}) == len(ways) + 1


def test_every_figure_of_a_move_is_filled_and_right() -> None:
    _, ways = batch_candidates(JOB, [HOME, NORTH], NOW)

    found = next(each for each in ways if each.id == "eu-north-1/spot/2021-10-08T09:30Z")

    mean, at_home = (0.5 * 23 + 24 + 0.5 * 25) / 2, (0.5 * 103 + 104 + 0.5 * 105) / 2
    assert found.intensity == pytest.approx(mean)
    assert found.carbon_g == pytest.approx(11 * mean + 50 * 0.06 * (mean + at_home) / 2)
    assert found.carbon_low_g == pytest.approx(
        0.9 * (11 * mean + 50 * 0.001 * (mean + at_home) / 2)
    )
    assert found.carbon_high_g == pytest.approx(1.1 * (11 * mean + 1.5 * (mean + at_home)))
    # Traffic is paid where it leaves: at home.
    assert found.cost_usd == pytest.approx(2 * 0.5 + 50 * 0.02)
    assert [found.energy_kwh, found.transfer_gb, found.forecast_age_s] == [10.0, 50.0, 7200.0]
    assert (found.start, found.end) == (NOW + 1.5 * HOUR, NOW + 3.5 * HOUR)
    assert (found.zone, found.location, found.provider) == ("Z", "US", "aws")


def test_the_range_of_each_hour_counts_where_the_forecast_has_one() -> None:
    hours = [float(value) for value in range(20, 68)]
    low = tuple(GramsPerKwh(value - 2) for value in hours[:-40]) + (None,) * 40
    high = tuple(GramsPerKwh(value + 5) for value in hours)
    told = replace(forecast(*hours, error=0.1), low=low, high=high)

    still = Job("j", replace(BATCH, transfer_gb=0.0), NOW, NOW + 12 * HOUR)

    _, ways = batch_candidates(still, [HOME, replace(NORTH, forecast=told)], NOW)

    by_id = {each.id: each for each in ways}
    near, far = (by_id[f"eu-north-1/spot/2021-10-08T{at}Z"] for at in ("09:30", "16:00"))
    assert near.carbon_g == pytest.approx(11 * 24)
    assert (near.carbon_low_g, near.carbon_high_g) == pytest.approx((11 * 22, 11 * 29))
    # No low of these hours: what the source states of all of them stands in.
    assert far.carbon_g == pytest.approx(11 * 30.5)
    assert (far.carbon_low_g, far.carbon_high_g) == pytest.approx((9.9 * 30.5, 12.1 * 30.5))


def test_staying_at_home_moves_no_data_and_pays_for_none() -> None:
    baseline, _ = batch_candidates(JOB, [HOME], NOW)

    assert baseline.transfer_gb == 0
    assert baseline.cost_usd == 4.0


def test_what_is_not_known_is_absent_and_never_zero() -> None:
    bare = Job("j", replace(BATCH, energy_kwh=None, transfer_gb=None), NOW, NOW + 4 * HOUR)
    unforetold = RegionOption(region("eu-north-1"))
    dry = replace(HOME, forecast=forecast(*[100] * 48, error=None))

    _, no_energy = batch_candidates(bare, [dry, unforetold], NOW)
    _, known = batch_candidates(JOB, [dry, unforetold], NOW)

    assert {each.carbon_g for each in no_energy} == {None}
    away = [each for each in no_energy if each.region == "eu-north-1"]
    assert {(each.cost_usd, each.transfer_gb) for each in away} == {(None, None)}
    blind = [each for each in known if each.region == "eu-north-1"]
    assert {(e.carbon_g, e.intensity, e.forecast_age_s) for e in blind} == {(None, None, None)}
    assert {each.carbon_low_g for each in known} == {None}


def test_a_run_that_outlasts_its_forecast_has_no_carbon() -> None:
    short = replace(HOME, forecast=forecast(100, 100, 100, 100, 100))

    _, ways = batch_candidates(JOB, [short], NOW)

    known = {each.start for each in ways if each.carbon_g is not None}
    assert max(start for start in known if start) == NOW + HOUR


def test_starts_are_aligned_but_the_first_is_at_once() -> None:
    now = NOW + timedelta(minutes=7)

    _, ways = batch_candidates(JOB, [HOME], now)

    starts = sorted({each.start for each in ways if each.start})
    assert starts[:3] == [now, NOW + HOUR / 2, NOW + HOUR]


def test_ids_name_utc_whatever_zone_the_clock_is_in() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5)))

    _, ways = batch_candidates(JOB, [NORTH, HOME], local)

    assert ways[0].id == "eu-north-1/ondemand/2021-10-08T08:00Z"


def test_regions_that_are_not_allowed_are_not_considered() -> None:
    other = RegionOption(region("us-east-1"), HOME.forecast)

    _, ways = batch_candidates(JOB, [HOME, other], NOW)

    assert {each.region for each in ways} == {"us-west-1"}


def test_without_a_deadline_nothing_waits_past_its_schedule() -> None:
    nightly = replace(BATCH, schedule=ClockTime(time(12), "UTC"))

    baseline, ways = batch_candidates(Job("j", nightly, NOW), [HOME], NOW)

    assert baseline.start == NOW + 4 * HOUR
    assert max(each.start for each in ways if each.start) == baseline.start


@pytest.mark.feature("B11")
def test_a_job_whose_slack_is_gone_runs_at_once_and_not_at_its_schedule() -> None:
    nightly = replace(BATCH, schedule=ClockTime(time(23), "UTC"))
    late = Job("j", nightly, NOW, NOW + 12 * HOUR)
    now = NOW + 11 * HOUR

    baseline, ways = batch_candidates(late, [HOME, NORTH], now)
    own = Verdict("baseline", allowed=False, reasons=("limit/deadline",))
    decision = choose(late, baseline, ways, Judgement(("p",), (own,), Limits(), "0" * 64), now)

    assert ways == ()
    assert decision.chosen.start == now
    assert "slack is gone" in decision.reason


@pytest.mark.parametrize(
    "workload", [replace(BATCH, duration_p95_s=None), replace(BATCH, home_region="moon-1")]
)
def test_a_job_that_cannot_be_planned_says_why(workload: Workload) -> None:
    with pytest.raises(UsageError, match="cannot be planned"):
        batch_candidates(Job("j", workload, NOW), [HOME], NOW)


def test_a_service_could_be_anywhere_and_policies_say_where_not() -> None:
    service = Job("c", replace(BATCH, kind=WorkloadKind.INFERENCE, allowed_regions=()), NOW)

    baseline, ways = placement_candidates(service, [NORTH, HOME], NOW, 80.0)

    assert (baseline.id, baseline.region, baseline.p95_ms) == ("baseline", "us-west-1", 80.0)
    assert [(each.id, each.p95_ms, each.end) for each in ways] == [("eu-north-1", 80.0, NOW + HOUR)]
    with pytest.raises(UsageError, match="unknown region"):
        placement_candidates(service, [NORTH], NOW)


def greedy(baseline: Candidate, ways: tuple[Candidate, ...]) -> Judgement:
    """Allows everything and wants the least carbon: nothing but the guard keeps it in time."""
    verdicts = (
        Verdict(each.id, allowed=True, score=(each.carbon_g or 1e9, 0.0))
        for each in (baseline, *ways)
    )
    return Judgement(("greedy",), tuple(verdicts), Limits(), "0" * 64, "greenest")


@pytest.mark.slow
@pytest.mark.feature("B1", "C6", "B11")
def test_ten_thousand_jobs_of_exact_duration_miss_no_deadline_they_could_keep() -> None:
    rng = random.Random(6)
    falling = [*(900 - 10 * i for i in range(72))]  # Always better to wait: the worst case.
    option = RegionOption(region("us-west-1"), forecast(*falling))
    waited = 0

    for number in range(10_000):
        length = timedelta(minutes=rng.randint(1, 600))
        slack = timedelta(minutes=rng.randint(0, 720))
        workload = replace(BATCH, duration_p95_s=Seconds(length.total_seconds()))
        submitted = NOW + timedelta(minutes=rng.randint(0, 1440))
        job = Job(f"j{number}", workload, submitted, submitted + length + slack)
        now = submitted + rng.choice([timedelta(), slack / 2, slack])

        baseline, ways = batch_candidates(job, [option], now, slot=2 * HOUR)
        chosen = choose(job, baseline, ways, greedy(baseline, ways), now).chosen

        latest = latest_safe_start(job)
        assert job.deadline
        assert latest
        assert chosen.start
        # The baseline starts at once where its start has passed.
        assert chosen is baseline or now <= chosen.start
        assert max(now, chosen.start) <= latest
        assert max(now, chosen.start) + length <= job.deadline
        waited += chosen.start > now
    assert waited > 3_000
