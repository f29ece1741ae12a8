"""Ways of many runs in columns: the candidates that the planner lists for each, to the last bit."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pytest

from greenops.domain.decision import Candidate
from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.domain.workload import (
    Blackout,
    Calendar,
    ClockTime,
    Job,
    Urgency,
    Workload,
    WorkloadKind,
)
from greenops.errors import UsageError
from greenops.plan.candidates import LOCAL, RegionOption, batch_candidates
from greenops.plan.fleet import INSTANT, SPAN, Fleet
from greenops.plan.fleet_calendar import calendar_text
from greenops.plan.fleet_cube import FILLED, Cube, cubes
from greenops.plan.fleet_figures import NUMBERS, TEXTS, TIMES, Figures
from greenops.plan.fleet_intensity import EPOCH, Laid, MeanColumns, Runs, _quotient
from greenops.plan.guard import run_time, scheduled_start
from greenops.plan.intensity import TICK, MeanIntensity

NOW = datetime(2021, 10, 8, 8, 7, 11, 123_456, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made for this test", replay=True)
NAMES = ("id", *TEXTS, *TIMES, *NUMBERS)
PRICES: tuple[dict[str, float], ...] = (
    {"ondemand": 2.0, "spot": 0.7},
    {"ondemand": 1.9},
    {"spot": 0.3},
    {},
)


CALENDARS = (
    Calendar("UTC", blackouts=(Blackout(time(8), time(9, 30)), Blackout(time(12), time(13)))),
    Calendar("Europe/Berlin", blackouts=(Blackout(time(10, 45), time(10, 15)),)),
)


def series(rng, zone="Z", start=None, values=None):
    count = rng.choice([3, 20, 60])
    step = timedelta(minutes=rng.choice([5, 15, 30, 60]))
    told = values or [
        None if rng.random() < 0.02 else round(rng.uniform(0, 900), rng.choice([0, 2, 12]))
        for _ in range(count)
    ]
    ends = [[None if v is None else v * f for v in told] for f in (0.9, 1.2)]
    ranged = rng.random() < 0.4
    return Forecast(
        zone,
        KIND,
        start or NOW.replace(minute=0, second=0, microsecond=0) - rng.choice([0, 1, 3]) * HOUR,
        step,
        tuple(told),
        issued_at=NOW - timedelta(seconds=rng.random() * 9000),
        id=zone,
        error=rng.choice([None, 0.1, 1.2]),
        low=tuple(ends[0]) if ranged else None,
        high=tuple(ends[1]) if ranged else None,
    )


def options(rng):
    shared = series(rng)
    found = []
    for at in range(rng.randint(1, 4)):
        forecast = rng.choice([shared, series(rng), None])
        zone = forecast.zone if forecast else None
        place = rng.choice(["EU", "US"])
        found.append(
            RegionOption(
                Region(f"r{at}", "aws", place, zone, 1.1, "", rng.choice(PRICES), 0.02, ""),
                forecast,
            )
        )
    return found


def a_job(rng, names, at=0):
    length = rng.choice([600.0, 3600.0, 5400.25, 7.0, 7200.1])
    work = Workload(
        f"w{at}",
        WorkloadKind.BATCH,
        Urgency.DEFERRABLE,
        rng.choice(names),
        tuple(rng.sample(names, rng.randint(0, len(names)))),
        duration_s=rng.choice([None, length * 0.8, length]),
        duration_p95_s=length,
        energy_kwh=rng.choice([None, 0.3, 17.123]),
        transfer_gb=rng.choice([None, 0.0, 12.5]),
        schedule=rng.choice([None, None, ClockTime(time(11, 30), "Europe/Berlin")]),
        target=rng.choice([None, None, LOCAL]),
        calendar=rng.choice([None, None, *CALENDARS]),
    )
    submitted = NOW - rng.choice([timedelta(0), HOUR, 3 * HOUR, timedelta(seconds=1)])
    deadline = rng.choice([None, NOW + HOUR / 2, NOW + 4 * HOUR, NOW + 11 * HOUR])
    return Job(f"w{at}/1", work, submitted, deadline)


def table(jobs):
    works = [each.workload for each in jobs]
    texts = {
        "job.name": [each.name for each in works],
        "job.home_region": [each.home_region for each in works],
    }
    numbers = {
        f"job.{name}": pa.array([getattr(each, name) for each in works], pa.float64())
        for name in ("duration_s", "energy_kwh", "transfer_gb")
    }
    lists = pa.array([list(each.allowed_regions) or None for each in works], pa.list_(pa.string()))
    instants = {
        "job.submitted": [each.submitted for each in jobs],
        "limits.deadline": [each.deadline for each in jobs],
        "scheduled": [scheduled_start(each.workload, each.submitted) for each in jobs],
    }
    return pa.table(
        {
            **{name: pa.array(each, pa.string()) for name, each in texts.items()},
            **numbers,
            **{name: pa.array(each, INSTANT) for name, each in instants.items()},
            "job.allowed_regions": lists,
            "run_time": pa.array([run_time(each) for each in works], SPAN),
            "calendar": pa.array([calendar_text(each.calendar) for each in works], pa.string()),
            "movable": pa.array([each.target != LOCAL for each in works], pa.bool_()),
        }
    )


def listed(cube: Cube) -> dict[int, list[Candidate]]:
    """Run → its ways as the planner's records, the baseline first."""
    real, ways = cube.real().ravel(), cube.table(NAMES)
    found: dict[int, list[Candidate]] = {int(job): [] for job in cube.jobs}
    for row in ways.filter(pa.array(real)).to_pylist():
        facts = {name: row[f"candidate.{name}"] for name in NAMES}
        found[int(cube.jobs[row["job"]])].append(Candidate(**facts))
    return found


@pytest.mark.parametrize("cells", [1, 40, 2**19])
def test_the_cube_holds_the_very_candidates_that_the_planner_lists(cells):
    rng = random.Random(cells)
    ways = 0

    for _ in range(120):
        among = options(rng)
        names = [each.region.id for each in among]
        jobs = [a_job(rng, names, at) for at in range(rng.randint(1, 5))]

        found = {}
        for cube in cubes(Figures(Fleet.of(table(jobs), among, NOW)), cells):
            found |= listed(cube)

        for at, job in enumerate(jobs):
            baseline, others = batch_candidates(job, among, NOW)
            assert found[at] == [baseline, *others]
            ways += len(others)
    assert ways > 2_000


def test_a_phase_moves_all_starts_but_the_first_off_the_slots():
    rng = random.Random(2)
    among = options(rng)
    job = replace(a_job(rng, ["r0"]), submitted=NOW, deadline=NOW + 6 * HOUR)
    job = replace(job, workload=replace(job.workload, calendar=None, schedule=None))
    late = [timedelta(minutes=at) for at in (0, 5, 29)]
    runs = table([job] * 3).append_column("phase", pa.array(late, SPAN))

    [cube] = cubes(Figures(Fleet.of(runs, among, NOW)))

    for ways, phase in zip(listed(cube).values(), late, strict=True):
        first, *others = sorted({way.start for way in ways if way.start})
        assert first == NOW
        assert {(start - EPOCH) % (HOUR / 2) for start in others} == {phase}
        assert others[0] - NOW <= HOUR / 2 >= job.deadline - run_time(job.workload) - others[-1]


def test_a_part_of_the_cube_never_has_more_cells_than_it_may_but_for_one_run_alone():
    rng = random.Random(5)
    among = options(rng)
    jobs = [a_job(rng, [e.region.id for e in among], at) for at in range(60)]

    parts = list(cubes(Figures(Fleet.of(table(jobs), among, NOW)), 200))

    assert sorted(int(job) for part in parts for job in part.jobs) == list(range(60))
    assert all(part.real().size <= 200 or len(part.jobs) == 1 for part in parts)
    assert len(parts) > 5


def test_like_runs_come_together_in_few_parts_with_little_that_only_fills_lines():
    rng = random.Random(6)
    among = options(rng)
    jobs = [a_job(rng, [e.region.id for e in among], at) for at in range(6_000)]

    parts = list(cubes(Figures(Fleet.of(table(jobs), among, NOW))))

    real = [each.real() for each in parts]
    ways, cells = sum(each.sum() for each in real), sum(each.size for each in real)
    assert ways > 50_000
    assert len(parts) < 6
    assert cells - ways < 1.1 * FILLED * len(parts)


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 60 * 10**6, 1800 * 10**6])
def test_means_in_columns_are_those_one_by_one_to_the_last_bit(unit):
    """From whole half hours to microseconds, so with exact floats, with whole numbers, and in parts."""
    rng = random.Random(unit)
    known = 0

    for _ in range(40):
        forecast = series(rng)
        means, one = MeanColumns(forecast), MeanIntensity(forecast)
        first = (NOW - EPOCH) // TICK // unit * unit
        begin = [
            first + rng.randrange(-4 * 3600 * 10**6, 50 * 3600 * 10**6) // unit * unit
            for _ in "12345"
        ]
        length = [max(unit, rng.randrange(1, 9 * 3600 * 10**6) // unit * unit) for _ in "12345"]
        runs = Runs(np.array(begin), np.array(length), 9, 1800 * 10**6)

        found = means(runs, Laid.of(runs, means.start, means.step, means.count))

        for (job, at), start in np.ndenumerate(runs.starts()):
            since = EPOCH + int(start) * TICK
            mean = one(since, since + length[job] * TICK)
            assert np.isnan(found[job, at]) if mean is None else found[job, at] == mean
            known += mean is not None
    assert known > 200


@pytest.mark.parametrize(
    ("values", "days"),
    [
        ([4_000.0, 0.0, 3_999.999999999], 12),
        ([1e-6, 2e-6, 0.0], 3),
        ([-40.0, 10.1, 0.3], 3),
        ([5e5, 1.0], 3),
        ([100.0], 3),
        ([300.123456789, 0.000000001], 40),
    ],
    ids=["high", "next to nothing", "below zero", "beyond all", "even", "long"],
)
def test_means_over_any_microsecond_are_those_one_by_one_at_the_edges(values, days):
    draw = np.random.default_rng(days)
    told = tuple(float(each) for each in draw.choice(values, 24 * 2 * days))
    forecast = replace(series(random.Random(1)), values=told, step=HOUR, start=NOW)
    means, one = MeanColumns(forecast), MeanIntensity(forecast)
    lengths = draw.integers(1, days * 24 * 3600 * 10**6, 60)
    begins = (NOW - EPOCH) // TICK + draw.integers(0, days * 24 * 3600 * 10**6, 60)
    runs = Runs(begins, lengths, 3, 1_800_000_007)

    found = means(runs, Laid.of(runs, means.start, means.step, means.count))

    for (job, at), start in np.ndenumerate(runs.starts()):
        since = EPOCH + int(start) * TICK
        mean = one(since, since + int(lengths[job]) * TICK)
        assert np.isnan(found[job, at]) if mean is None else found[job, at] == mean


def test_quotients_of_large_whole_numbers_are_rounded_once():
    rng = random.Random(3)
    over = [rng.randrange(10**14, 2**52) for _ in range(2_000)]
    area = [rng.randrange(2**54, 2**61) for _ in over]
    # Just beside the middle of two floats, where rounding twice goes wrong.
    for at in range(0, len(over), 2):
        middle = 2 * rng.randrange(2**52, 2**53) + 1
        area[at] = middle * over[at] // 2**44 + rng.choice([0, 1])

    found = _quotient(np.array(area), np.array(over))

    assert found.tolist() == [a / b for a, b in zip(area, over, strict=True)]
    parts = [(a % b) / b + a // b for a, b in zip(area, over, strict=True)]
    assert parts != found.tolist()


def test_a_run_that_cannot_be_planned_is_named():
    rng = random.Random(1)
    among, job = options(rng), a_job(rng, ["r0"])

    with pytest.raises(UsageError, match="`w0` cannot be planned: unknown region `r0`"):
        Fleet.of(table([job]), [], NOW)
    nameless = table([job]).drop_columns(["run_time"]).append_column("run_time", pa.nulls(1, SPAN))
    with pytest.raises(UsageError, match="`w0` cannot be planned: no run time"):
        Fleet.of(nameless, among, NOW)
