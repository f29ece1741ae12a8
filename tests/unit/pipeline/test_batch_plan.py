"""Jobs of a file planned together: held to searches over every choice, and to their deadlines and limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.batch_job import Site
from greenops.errors import DataMissing, UsageError
from greenops.pipeline.batch_draft import Why
from greenops.pipeline.batch_forecasts import newest_forecasts
from greenops.pipeline.batch_limits import Limits
from greenops.pipeline.batch_plan import longest_queue, plan_batch
from greenops.testing.grid import FakeGrid
from tests.unit.pipeline.batch_jobs import (
    HOUR,
    START,
    at,
    foretold,
    job,
    keeps_its_word,
    most_drawn,
    seconds_of,
)

HOURS = 6
VALUES = st.lists(st.integers(0, 9) | st.none(), min_size=HOURS, max_size=HOURS).filter(any)
NO_LIMIT = Limits()


def windows(data, index, **more):
    first = data.draw(st.integers(0, HOURS - 1))
    last = data.draw(st.integers(first + 1, HOURS))
    count = data.draw(st.integers(1, 3))
    return job(f"j{index}", last * HOUR, count * HOUR, earliest_s=first * HOUR, **more)


def ways(each, values):
    """Sets of hours that a job may run in."""
    first, after = ((t - START).total_seconds() // HOUR for t in (each.earliest, each.deadline))
    hours = [h for h in range(int(first), int(after)) if values[h] is not None]
    some = combinations(hours, each.duration_s // HOUR)
    return [s for s in some if each.interruptible or s[-1] - s[0] + 1 == len(s)]


def least_by_search(jobs, values, limit_kw):
    """(jobs that can run together, least emissions of them) over every choice, jobs in full or not at all."""
    best = {}
    for choice in product(*([(), *ways(each, values)] for each in jobs)):
        drawn = np.zeros(HOURS)
        for each, hours in zip(jobs, choice, strict=True):
            drawn[list(hours)] += each.power_kw
        if (drawn > limit_kw + 1e-9).any():
            continue
        ran = sum(bool(hours) for hours in choice)
        cost = sum(
            e.power_kw * sum(values[h] for h in s) for e, s in zip(jobs, choice, strict=True)
        )
        best[ran] = min(cost, best.get(ran, np.inf))
    return best


@pytest.mark.feature("B8")
@given(st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_slot_is_over_its_places_and_no_placement_of_the_planned_jobs_emits_less(data):
    values, places = data.draw(VALUES), data.draw(st.integers(1, 3))
    pieces = data.draw(st.booleans())
    count = data.draw(st.integers(1, 4))
    jobs = [windows(data, i, power_kw=2.0, interruptible=pieces) for i in range(count)]

    plan = plan_batch(jobs, foretold(A=values), START, Limits(places))

    keeps_its_word(plan, jobs)
    late = [each for each in plan.not_planned if each.why is Why.ROOM]
    assert longest_queue((*plan.jobs, *late)) <= places
    assert plan.totals.longest_queue <= places
    ran = [each for each in jobs if each.id in {told.id for told in plan.jobs}]
    least = least_by_search(ran, values, 2.0 * places)
    if plan.shared[0].exact:
        assert plan.totals.carbon_g == pytest.approx(least[len(ran)])
        assert plan.shared[0].gap in (None, 0)
    elif plan.shared[0].gap is not None:
        bound = plan.totals.carbon_g * (1 - plan.shared[0].gap)
        assert bound <= least[len(ran)] + 1e-6
    if max(least_by_search(jobs, values, 2.0 * places)) == len(jobs) and plan.shared[0].exact:
        assert not plan.not_planned


@pytest.mark.feature("B8")
@given(st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_jobs_of_different_power_stay_under_the_cap_and_within_the_gap_that_is_told(data):
    values, cap = data.draw(VALUES), data.draw(st.sampled_from([2.0, 3.0, 4.0]))
    powers = st.sampled_from([0.5, 1.0, 2.0, 5.0])
    jobs = [windows(data, i, power_kw=data.draw(powers)) for i in range(4)]

    plan = plan_batch(jobs, foretold(A=values), START, Limits(cap_kw=cap))

    keeps_its_word(plan, jobs)
    sizes = {each.id: each.power_kw for each in jobs}
    late = [e for e in plan.not_planned if e.why is Why.ROOM and sizes[e.id] <= cap]
    assert most_drawn(plan, sizes, [*plan.jobs, *late]).get("A", 0) <= cap + 1e-9
    ran = [each for each in jobs if each.id in {told.id for told in plan.jobs}]
    if plan.shared[0].gap is not None:
        least = least_by_search(ran, values, cap)[len(ran)]
        assert plan.totals.carbon_g * (1 - plan.shared[0].gap) <= least + 1e-6
    for each in plan.not_planned:
        assert each.why is not Why.LIMIT or (sizes[each.id] > cap and each.pieces == ())


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.feature("B8", "B1")
@pytest.mark.parametrize("pieces", [True, False])
def test_twenty_thousand_jobs_chase_the_clean_hours_and_no_slot_is_over_capacity(pieces):
    draw = np.random.default_rng(8)
    hours = 72
    values = {z: draw.uniform(100, 500, hours).tolist() for z in "AB"}
    starts, waits = draw.integers(0, 40 * HOUR, 20_000), draw.integers(12, 32, 20_000)
    count = draw.integers(1, 4, 20_000) if pieces else draw.integers(1, 3, 20_000)
    jobs = [
        job(
            f"job-{i}",
            min(int(first) + int(wait) * HOUR, hours * HOUR),
            int(n) * HOUR - 60,
            earliest_s=int(first),
            place="AB"[i % 2],
            interruptible=pieces,
        )
        for i, (first, wait, n) in enumerate(zip(starts, waits, count, strict=True))
    ]
    places = 600

    plan = plan_batch(jobs, foretold(**values), START, Limits(places), jitter_s=50)

    keeps_its_word(plan, jobs)
    assert max(most_drawn(plan, {each.id: 1 for each in jobs}).values()) == places
    assert not plan.not_planned
    assert plan.totals.saving > 0.1
    for shared in plan.shared:
        assert shared.gap is not None
        assert shared.gap < (1e-12 if pieces else 0.02)


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.feature("B1")
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=3, deadline=None, derandomize=True)
def test_of_ten_thousand_jobs_with_exact_run_times_none_ends_late(seed):
    draw = np.random.default_rng(seed)
    values = draw.uniform(50, 500, 96).round(2)
    values[draw.integers(0, 96, 5)] = np.nan
    known = [None if np.isnan(v) else v for v in values]
    rows = zip(
        draw.integers(0, 60 * HOUR, 10_000).tolist(),
        draw.integers(1, 30 * HOUR, 10_000).tolist(),
        draw.integers(-HOUR, 20 * HOUR, 10_000).tolist(),
        draw.integers(0, 3, 10_000).tolist(),
        strict=True,
    )
    jobs = [
        job(
            f"{i}",
            first + length + slack,
            length,
            earliest_s=first,
            interruptible=kind > 0,
            resume_s=300 if kind > 1 else 0,
        )
        for i, (first, length, slack, kind) in enumerate(rows)
    ]

    plan = plan_batch(jobs, foretold(900, A=known), START, NO_LIMIT, jitter_s=600)

    keeps_its_word(plan, jobs)
    assert len(plan.jobs) > 5_000
    assert {e.why for e in plan.not_planned} == {Why.WINDOW, Why.FORECAST, Why.SLOTS}
    assert all(e.late_s for e in plan.not_planned if e.why is Why.WINDOW)


@given(st.data())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_jobs_that_wait_for_each_other_emit_the_least_there_is_in_their_order(data):
    values = data.draw(VALUES)
    jobs = [windows(data, i, power_kw=data.draw(st.sampled_from([1.0, 3.0]))) for i in range(3)]
    after = data.draw(st.sampled_from([(("j0",), ("j1",)), (("j0",), ("j0",)), ((), ("j0", "j1"))]))
    jobs = [jobs[0], replace(jobs[1], after=after[0]), replace(jobs[2], after=after[1])]

    plan = plan_batch(jobs, foretold(A=values), START, NO_LIMIT)

    keeps_its_word(plan, jobs)
    index = {each.id: i for i, each in enumerate(jobs)}
    best = None
    for choice in product(*(ways(each, values) for each in jobs)):
        if all(choice[index[b]][-1] < choice[i][0] for i, e in enumerate(jobs) for b in e.after):
            cost = sum(
                e.power_kw * sum(values[h] for h in s) for e, s in zip(jobs, choice, strict=True)
            )
            best = cost if best is None else min(best, cost)
    linked = {b for e in jobs for b in e.after} | {e.id for e in jobs if e.after}
    planned = {told.id for told in plan.jobs}
    assert linked <= planned or not (linked & planned)
    if best is not None:
        assert plan.totals.carbon_g == pytest.approx(best)
        assert not plan.not_planned
    ends = {told.id: told.pieces[-1].end for told in (*plan.jobs, *plan.not_planned)}
    begins = {told.id: told.pieces[0].start for told in (*plan.jobs, *plan.not_planned)}
    assert all(begins[e.id] >= ends[b] for e in jobs for b in e.after)


def test_a_chain_tells_what_does_not_fit_and_when_it_would_end():
    jobs = [job("a", 3 * HOUR, 2 * HOUR), job("b", 3 * HOUR, 2 * HOUR, after=("a",))]

    plan = plan_batch(jobs, foretold(A=[5.0] * 6), START, NO_LIMIT)

    assert [(e.id, e.why, e.late_s) for e in plan.not_planned] == [
        ("a", Why.CHAIN, 0.0),
        ("b", Why.CHAIN, 1.0 * HOUR),
    ]


def test_without_a_limit_a_job_starts_at_the_best_second():
    one = job("a", 4 * HOUR, 5400, earliest_s=100)

    plan = plan_batch([one], foretold(A=[9.0, 5.0, 1.0, 8.0]), START, NO_LIMIT)

    assert seconds_of(plan.jobs[0]) == [(5400.0, 10800.0)]
    assert plan.jobs[0].carbon_g == pytest.approx(0.5 * 5 + 1)
    assert plan.jobs[0].baseline_g == pytest.approx(9 * 3500 / HOUR + 5 * 1900 / HOUR)
    assert plan.jobs[0].saving_g == pytest.approx(plan.totals.saving_g)


def test_going_on_after_a_pause_is_in_the_emissions():
    one = job("a", 4 * HOUR, 2 * HOUR, interruptible=True, resume_s=360, power_kw=2.0)

    plan = plan_batch([one], foretold(A=[1.0, 9.0, 1.0, 9.0]), START, NO_LIMIT)

    assert len(plan.jobs[0].pieces) == 2
    assert plan.jobs[0].carbon_g == pytest.approx(2 * (1 + 1 + 0.1))


def test_a_piece_is_no_shorter_than_the_least_chunk():
    one = job("a", 6 * HOUR, 4 * HOUR, interruptible=True, least_chunk_s=2 * HOUR)

    plan = plan_batch([one], foretold(A=[1.0, 2.0, 9.0, 1.0, 9.0, 1.0]), START, NO_LIMIT)

    assert all(end - start >= 2 * HOUR for start, end in seconds_of(plan.jobs[0]))


def test_a_job_without_room_is_told_the_soonest_end_that_the_others_leave():
    jobs = [job(f"j{i}", 2 * HOUR) for i in range(4)]

    plan = plan_batch(jobs, foretold(A=[5.0, 1.0, 9.0, 9.0]), START, Limits(1))

    assert len(plan.jobs) == 2
    assert [(e.why, e.late_s) for e in plan.not_planned] == [(Why.ROOM, HOUR), (Why.ROOM, 2 * HOUR)]
    assert plan.shared[0].without_room == 2
    assert [e.carbon_g for e in plan.not_planned] == [9.0, 9.0]


def test_room_after_the_forecast_is_told_without_emissions():
    jobs = [job("a", HOUR), job("b", HOUR)]

    plan = plan_batch(jobs, foretold(A=[5.0]), START, Limits(1))

    assert seconds_of(plan.not_planned[0]) == [(HOUR, 2 * HOUR)]
    assert plan.not_planned[0].carbon_g is None


def test_at_once_under_a_limit_is_as_soon_as_there_is_room():
    jobs = [job("a", 4 * HOUR), job("b", 4 * HOUR)]

    plan = plan_batch(jobs, foretold(A=[5.0, 4.0, 1.0, 2.0]), START, Limits(1))

    assert [e.baseline_g for e in plan.jobs] == [5.0, 4.0]
    assert plan.totals.saving_g == pytest.approx(9.0 - 3.0)


def test_what_is_not_foretold_is_told_and_never_guessed():
    jobs = [
        job("gap", 2 * HOUR, 2 * HOUR),
        job("beyond", 30 * HOUR, HOUR, earliest_s=20 * HOUR),
        job("fine", 9 * HOUR),
    ]

    plan = plan_batch(jobs, foretold(A=[None, 3.0, 2.0]), START, NO_LIMIT)

    assert [(e.id, e.why, e.carbon_g) for e in plan.not_planned] == [
        ("gap", Why.FORECAST, None),
        ("beyond", Why.FORECAST, None),
    ]
    assert plan.jobs[0].baseline_g is plan.jobs[0].saving_g is None
    assert (plan.totals.compared, plan.totals.baseline_g, plan.totals.saving) == (0, 0, None)


@pytest.mark.feature("B8")
def test_jitter_spreads_starts_by_id_inside_slot_window_and_forecast():
    jobs = [job(f"j{i}", 4 * HOUR, 1800) for i in range(100)] + [job("tight", 3 * HOUR)]
    said = foretold(A=[9.0, 9.0, 1.0, 8.0])

    plan = plan_batch(jobs, said, START, NO_LIMIT, jitter_s=1200)

    keeps_its_word(plan, jobs)
    starts = [seconds_of(each)[0][0] - 2 * HOUR for each in plan.jobs]
    assert len(set(starts)) > 80
    assert max(starts) <= 1200
    assert starts[-1] == 0
    again = plan_batch(jobs[::-1], said, START, NO_LIMIT, jitter_s=1200)
    assert {e.id: e.pieces for e in again.jobs} == {e.id: e.pieces for e in plan.jobs}


def test_emissions_are_told_after_the_jitter():
    jobs = [job(f"j{i}", 4 * HOUR) for i in range(2)]

    plan = plan_batch(jobs, foretold(A=[9.0, 9.0, 1.0, 8.0]), START, NO_LIMIT, jitter_s=1200)

    for told in plan.jobs:
        over = seconds_of(told)[0][0] - 2 * HOUR
        assert told.carbon_g == pytest.approx((1 * (HOUR - over) + 8 * over) / HOUR)
    assert plan.totals.carbon_g > 2


def test_two_places_of_one_zone_have_a_limit_each_also_where_a_region_is_named_as_a_zone():
    jobs = [
        job("a", 4 * HOUR),
        replace(job("b", 4 * HOUR), place="other"),
        replace(job("c", 4 * HOUR), zone="B", pue=1.2),
    ]

    plan = plan_batch(
        jobs, foretold(A=[5.0, 4.0, 1.0, 2.0], B=[9.0, 1.0, 9.0, 9.0]), START, Limits(1)
    )

    assert [seconds_of(each)[0][0] / HOUR for each in plan.jobs] == [2, 2, 1]


@pytest.mark.parametrize(
    ("change", "limits", "said"),
    [
        ({"after": ("a",)}, Limits(1), "`b` waits for other jobs"),
        ({"interruptible": True, "resume_s": 5}, Limits(1), "stopping `b` has a price"),
        ({"interruptible": True}, Limits(1), "`b` runs in pieces and `a` in one"),
        ({"power_kw": 2.0}, Limits(1), "`a` draws 1 kW and `b` 2 kW, with `--places`"),
        ({"after": ("a",), "interruptible": True}, NO_LIMIT, "`b` runs in pieces and is one of"),
    ],
)
def test_what_no_method_covers_is_refused_with_what_is_covered(change, limits, said):
    jobs = [job("a", 9 * HOUR, 2 * HOUR), replace(job("b", 9 * HOUR, 2 * HOUR), **change)]

    with pytest.raises(UsageError, match="GO0696") as told:
        plan_batch(jobs, foretold(A=[1.0] * 9), START, limits)

    assert said in str(told.value)


def test_pieces_of_different_power_are_refused():
    jobs = [
        job(n, 9 * HOUR, 2 * HOUR, power_kw=p, interruptible=True) for n, p in (("a", 1), ("b", 2))
    ]

    with pytest.raises(UsageError, match="`a` draws 1 kW and `b` 2 kW, and `a` runs in pieces"):
        plan_batch(jobs, foretold(A=[1.0] * 9), START, Limits(cap_kw=5))


def test_run_times_that_fill_no_whole_slots_are_counted_and_end_on_time():
    jobs = [job(n, 4 * HOUR, 1800, interruptible=True) for n in "abc"]

    plan = plan_batch(jobs, foretold(A=[5.0, 4.0, 1.0, 2.0]), START, Limits(1))

    assert plan.rounded == 3
    assert sorted(seconds_of(e)[0] for e in plan.jobs) == [
        (h * HOUR, h * HOUR + 1800) for h in (1, 2, 3)
    ]


def test_a_plan_from_within_a_slot_starts_no_job_before_it():
    now = at(1800)
    one = replace(job("a", 4 * HOUR), earliest=now)

    free = plan_batch([one], foretold(start=now, A=[1.0, 1.0, 5.0, 5.0]), now, NO_LIMIT)
    limited = plan_batch([one], foretold(start=now, A=[1.0, 1.0, 5.0, 5.0]), now, Limits(1))

    assert seconds_of(free.jobs[0]) == [(1800, 5400)]
    assert seconds_of(limited.jobs[0]) == [(3600, 7200)]


def test_running_at_once_is_taken_where_whole_slots_are_dirtier_or_too_few():
    kinds = {"interruptible": True, "resume_s": 60}
    jobs = [
        job("dirtier", 3 * HOUR, earliest_s=900, **kinds),
        job("few", HOUR + 900, earliest_s=900, **kinds),
        job("first", 2 * HOUR, 1800, earliest_s=900),
        job("second", 2 * HOUR, 1800, earliest_s=900, after=("first",)),
    ]

    plan = plan_batch(jobs, foretold(A=[1.0, 9.0, 9.0]), START, NO_LIMIT)

    keeps_its_word(plan, jobs)
    assert [(each.id, seconds_of(each)) for each in plan.jobs] == [
        ("dirtier", [(900, 4500)]),
        ("few", [(900, 4500)]),
        ("first", [(900, 2700)]),
        ("second", [(2700, 4500)]),
    ]


def test_a_chain_gives_the_clean_hour_to_the_job_that_draws_most():
    jobs = [job("small", 5 * HOUR), job("large", 5 * HOUR, after=("small",), power_kw=5.0)]

    plan = plan_batch(jobs, foretold(A=[9.0, 5.0, 1.0, 4.0, 3.0]), START, NO_LIMIT)

    assert [seconds_of(each)[0][0] / HOUR for each in plan.jobs] == [1, 2]


def test_room_that_jobs_give_back_goes_to_those_that_then_fit():
    jobs = [job(f"j{i}", 6 * HOUR, 3 * HOUR, interruptible=True) for i in range(4)]
    jobs += [job("long", 6 * HOUR, 6 * HOUR, interruptible=True)]

    plan = plan_batch(jobs, foretold(A=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), START, Limits(2))

    keeps_its_word(plan, jobs)
    assert [each.id for each in plan.jobs] == ["j0", "j1", "j2", "j3"]


def test_of_two_limits_the_narrower_holds():
    jobs = [job(f"j{i}", 6 * HOUR, power_kw=2.0) for i in range(6)]
    said = foretold(A=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])

    for limits in (Limits(2, cap_kw=9.0), Limits(5, cap_kw=5.0)):
        assert plan_batch(jobs, said, START, limits).totals.longest_queue == 2


def test_at_once_the_room_is_of_who_may_run_first():
    jobs = [job("later", 4 * HOUR, earliest_s=120), job("first", 4 * HOUR, earliest_s=60)]

    plan = plan_batch(jobs, foretold(A=[5.0, 4.0, 1.0, 2.0]), START, Limits(1))

    assert {e.id: (e.baseline_start - START).total_seconds() for e in plan.jobs} == {
        "first": HOUR,
        "later": 2 * HOUR,
    }


def test_the_gap_is_of_the_jobs_that_have_room():
    jobs = [job(f"j{i}", 6 * HOUR, 2 * HOUR) for i in range(8)]

    plan = plan_batch(jobs, foretold(A=[5.0, 1.0, 2.0, 4.0, 3.0, 9.0]), START, Limits(2))

    assert [e.why for e in plan.not_planned] == [Why.ROOM] * 2
    assert plan.shared[0].without_room == 2
    assert plan.shared[0].gap is not None
    assert plan.totals.longest_queue == 2


def test_jitter_keeps_a_run_in_what_is_held_for_it():
    jobs = [job(f"j{i}", 4 * HOUR, 3000) for i in range(8)]

    plan = plan_batch(jobs, foretold(A=[2.0, 1.0, 1.0, 9.0]), START, Limits(4), jitter_s=3000)

    assert plan.totals.longest_queue == 4
    offsets = [seconds_of(each)[0][0] % HOUR for each in plan.jobs]
    assert 0 < max(offsets) <= 600


def test_jitter_keeps_jobs_before_what_waits_for_them():
    jobs = [
        each
        for i in range(20)
        for each in (job(f"a{i}", 4 * HOUR), job(f"b{i}", 4 * HOUR, after=(f"a{i}",)))
    ]

    plan = plan_batch(jobs, foretold(A=[9.0, 1.0, 1.0, 9.0]), START, NO_LIMIT, jitter_s=1800)

    pieces = {each.id: seconds_of(each)[0] for each in plan.jobs}
    assert all(pieces[f"a{i}"][1] <= pieces[f"b{i}"][0] for i in range(20))
    assert len({pieces[f"b{i}"][0] for i in range(20)}) > 10


def test_parts_of_a_second_are_never_before_the_earliest_or_after_the_deadline():
    half = timedelta(milliseconds=500)
    one = replace(job("a", 2 * HOUR, 10), earliest=START + half, deadline=at(11) + half)

    plan = plan_batch([one], foretold(A=[1.0, 2.0]), START, NO_LIMIT)

    assert seconds_of(plan.jobs[0]) == [(1, 11)]


def test_the_power_usage_effectiveness_of_a_region_counts():
    one = replace(job("a", 2 * HOUR), pue=1.5)

    plan = plan_batch([one], foretold(A=[4.0, 9.0]), START, NO_LIMIT)

    assert plan.jobs[0].carbon_g == pytest.approx(6.0)


def test_a_zone_whose_forecast_is_too_old_is_told_so_beside_one_that_has_none():
    grid = FakeGrid({"A": [1.0] * 96}, every=timedelta(days=9))
    now = START + timedelta(days=2)
    jobs = [replace(job("a", 90 * HOUR), earliest=now)]
    both = FakeGrid({"A": [1.0] * 96, "B": [1.0] * 96}, every=timedelta(days=9))

    with pytest.raises(DataMissing, match=r"GO0697.*newest forecast of `A` is 48 h old"):
        newest_forecasts(grid, ["A"], now, now, max_age_s=86_400)
    said = newest_forecasts(both, ["A", "C"], now, now, max_age_s=3e5)

    plan = plan_batch([*jobs, replace(jobs[0], id="c", zone="C")], said, now, NO_LIMIT)
    assert [each.id for each in plan.jobs] == ["a"]
    assert [(e.why, e.carbon_g, e.late_s) for e in plan.not_planned] == [(Why.FORECAST, None, 0)]
    assert "`C`" in plan.not_planned[0].reason


def test_slots_are_a_quarter_of_an_hour_or_what_the_forecasts_steps_allow():
    def slot(minutes, asked=None):
        grid = FakeGrid({"A": [1.0] * 96})
        said = grid.forecast("A", START)
        step = timedelta(minutes=minutes)
        odd = replace(said, step=step)
        return newest_forecasts(Told(odd), ["A"], START, START, max_age_s=1, slot_s=asked)

    assert [slot(m).table.step_s for m in (60, 30, 10, 7)] == [900, 900, 300, 60]
    assert slot(60, 1200).table.step_s == 1200
    with pytest.raises(UsageError, match="GO0696 a slot of 1200 s does not divide the 1800 s"):
        slot(30, 1200)


class Told:
    """A provider of one forecast."""

    name = "told"

    def __init__(self, forecast):
        self._forecast = forecast

    def forecast(self, zone, at):
        return self._forecast


MOVED_KWH = 0.06 / 2
"""Energy of moving a gigabyte that is drawn in each of the two grids [kWh]."""


@pytest.mark.feature("B10")
@given(st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_job_that_may_move_runs_where_and_when_it_emits_least_its_data_included(data):
    series = {zone: data.draw(VALUES, label=zone) for zone in "ABC"}
    gb, kw, hours = data.draw(st.sampled_from([0.0, 1.0, 30.0])), 2.0, data.draw(st.integers(1, 3))
    pue = {"A": 1.0, "B": 1.1, "C": 1.5}
    away = tuple(Site(zone, zone, pue[zone]) for zone in "BC")
    one = windows(data, 0, power_kw=kw)
    one = replace(one, duration_s=hours * HOUR, elsewhere=away, transfer_gb=gb)

    plan = plan_batch([one], foretold(**series), START, NO_LIMIT)

    def emitted(zone, run):
        own = kw * pue[zone] * sum(series[zone][h] for h in run)
        if zone == "A" or not gb:
            return own
        if any(series["A"][h] is None for h in run):
            return None
        return own + gb * MOVED_KWH * sum(series[zone][h] + series["A"][h] for h in run) / hours

    every = [emitted(zone, run) for zone in "ABC" for run in ways(one, series[zone])]
    found = [grams for grams in every if grams is not None]
    assert len(plan.jobs) == bool(found)
    if found:
        keeps_its_word(plan, [one])
        told = plan.jobs[0]
        assert told.carbon_g == pytest.approx(min(found), abs=1e-5)
        assert told.moved_from == (None if told.place == "A" else "A")


@pytest.mark.feature("B10")
def test_a_hundred_gigabytes_for_each_kwh_keep_a_job_at_home():
    one = job("heavy", 6 * HOUR, elsewhere=(Site("B", "B", 1.0),), transfer_gb=100.0)
    light = replace(one, id="light", transfer_gb=0.1)

    plan = plan_batch([one, light], foretold(A=[9.0] * 6, B=[1.0] * 6), START, NO_LIMIT)

    assert [(each.place, each.moved_from) for each in plan.jobs] == [("A", None), ("B", "A")]
    assert plan.jobs[1].carbon_g == pytest.approx(1.0 + 0.1 * MOVED_KWH * 10)
    assert plan.jobs[1].baseline_g == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("more", "limits", "why"),
    [
        ({"interruptible": True}, NO_LIMIT, "runs in pieces"),
        ({"after": ("first",)}, NO_LIMIT, "waits for others"),
        ({}, Limits(2), "other regions"),
    ],
)
def test_what_moves_is_whole_alone_and_under_no_limit(more, limits, why):
    jobs = [job("first", 6 * HOUR), job("j", 6 * HOUR, elsewhere=(Site("B", "B", 1.0),), **more)]

    with pytest.raises(UsageError, match=why):
        plan_batch(jobs, foretold(A=[1.0] * 6, B=[1.0] * 6), START, limits)


def test_jobs_that_move_to_one_place_are_spread_there():
    jobs = [
        job(f"j{n}", 3 * HOUR, 600, elsewhere=(Site("B", "B", 1.0),), transfer_gb=0.1)
        for n in range(4)
    ]

    plan = plan_batch(
        jobs, foretold(A=[9.0] * 3, B=[5.0, 1.0, 5.0]), START, NO_LIMIT, jitter_s=3000
    )

    assert {each.place for each in plan.jobs} == {"B"}
    starts = {seconds_of(each)[0][0] for each in plan.jobs}
    assert len(starts) == 4
    assert all(HOUR <= start < 2 * HOUR for start in starts)
    assert all(each.carbon_g == pytest.approx(1 / 6 + 0.1 * MOVED_KWH * 10) for each in plan.jobs)
