"""Many runs that all want the clean hour: no more at once than may be, and spread within the slot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.console import JobRequest
from greenops.domain.decision import Candidate
from greenops.domain.record import canonical
from greenops.domain.workload import Job
from greenops.pipeline.decide import decide_again
from greenops.plan.crowd import crowded, phase, with_room
from greenops.policy import compile_policies
from tests.integration.pipeline.test_replanning import FILE, NIGHT, House, at, spiked

CAPPED = FILE.replace("  duration: 1h\n", "  durationP95: 1h\n  maxConcurrent: 3\n")
SPREAD = FILE.replace("  duration: 1h\n", "  duration: 1h\n  jitter: 20m\n")
HOUR = timedelta(hours=1)
BARE = compile_policies([("w.yaml", CAPPED)]).workloads["night"]


class Crowd(House):
    """A loop whose decider knows of all plans."""

    def use(self, grid):
        super().use(grid)
        object.__setattr__(self.decider, "planned", self.engine.waiting.planned)


def submit(house, number):
    request = JobRequest("night", f"night/{number}", house.clock.now(), triggered=True)
    return house.engine.submit(request)


def starts(house, numbers):
    return [house.db.decision_of(f"night/{each}").decision.chosen.start for each in numbers]


def most_at_once(begins):
    edges = sorted(
        [(each, 1) for each in begins] + [(each + HOUR, -1) for each in begins],
        key=lambda each: (each[0], each[1]),
    )
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


@pytest.mark.feature("B8")
def test_a_queue_that_chases_the_clean_hour_never_runs_more_at_once_than_may(tmp_path):
    house = Crowd(tmp_path, CAPPED)

    for number in range(20):
        decision = submit(house, number)
        record = house.db.decision_of(f"night/{number}")
        assert canonical(decide_again(record, house.policies)) == canonical(decision)

    begins = starts(house, range(20))
    assert most_at_once(begins) == 3
    assert all(each <= at(11) for each in begins)
    assert begins.count(at(5)) == 3
    house.close()


@pytest.mark.feature("B8", "C6")
def test_a_deadline_is_stronger_than_a_cap_and_the_decision_says_so(tmp_path):
    house = Crowd(tmp_path, CAPPED.replace("within: 12h", "within: 90m"))

    made = [submit(house, number) for number in range(5)]

    assert all(each.chosen.start <= each.latest_safe_start for each in made)
    assert "though 3 of its runs are planned for then" in made[-1].reason
    assert "though" not in made[2].reason
    house.close()


def test_a_run_without_room_at_its_baseline_waits_for_the_first_that_is_free(tmp_path):
    flat = CAPPED.replace("objectives: [{name: cleanest, minimize: candidate.carbon_g}]\n  ", "")
    house = Crowd(tmp_path, flat)

    made = [submit(house, number) for number in range(4)]

    assert [each.chosen.start for each in made] == [NIGHT, NIGHT, NIGHT, at(1)]
    assert made[3].reason.endswith(", as 3 of its runs are planned before")
    house.close()


@pytest.mark.feature("B8")
def test_a_spike_moves_no_more_runs_into_an_hour_than_may_run_in_it(tmp_path):
    house = Crowd(tmp_path, CAPPED)
    for number in range(6):
        submit(house, number)
    house.clock.advance(HOUR)

    house.grid.say(at(1), "spike", spiked(4, 5, 6))
    house.tick()

    begins = starts(house, range(6))
    assert begins.count(at(8)) == 3
    assert most_at_once(begins) <= 3
    house.close()


@pytest.mark.feature("B8")
def test_jitter_spreads_starts_within_the_slot_by_their_keys_and_keeps_them_in_time(tmp_path):
    house = Crowd(tmp_path, SPREAD)

    made = [submit(house, number) for number in range(30)]

    begins = [each.chosen.start for each in made]
    assert len(set(begins)) > 10
    assert all(timedelta() <= each - at(5) < timedelta(minutes=20) for each in begins)
    assert all(each.chosen.start <= each.latest_safe_start for each in made)
    assert [submit(house, number).chosen.start for number in range(30)] == begins
    house.close()


def test_two_ways_never_have_one_name_though_a_run_comes_at_any_second(tmp_path):
    house = Crowd(tmp_path, SPREAD)

    for number in range(20):
        house.clock.advance(timedelta(seconds=7))
        submit(house, number)
        names = [each.id for each in house.db.decision_of(f"night/{number}").candidates]
        assert len(set(names)) == len(names)
    house.close()


@given(st.text(min_size=1), st.integers(60, 1800))
def test_a_key_has_one_phase_within_the_jitter(key, seconds):
    job = Job(key, replace(BARE, jitter=timedelta(seconds=seconds)), NIGHT)

    assert timedelta() <= phase(job) == phase(job) < timedelta(seconds=seconds)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=12), st.integers(0, 40))
def test_room_is_what_a_count_by_the_quarter_hour_leaves(planned, begins):
    job = Job("k", BARE, NIGHT)
    quarter = timedelta(minutes=15)
    spans = [(NIGHT + a * quarter, NIGHT + (a + length) * quarter) for a, length in planned]
    way = Candidate("w", start=NIGHT + begins * quarter)

    [found] = with_room(job, [way], spans)

    fullest = max(
        sum(a <= begins + step < a + length for a, length in planned) for step in range(4)
    )
    assert found.capacity_free == 3 - fullest
    assert crowded(job, found) is (fullest >= 3)
