from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.clock import SystemClock
from greenops.domain.replay import Replay, parse_replay
from greenops.errors import UsageError

SIM = datetime(2021, 10, 8, 6, tzinfo=UTC)
WALL = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_simulated_time_runs_at_its_rate():
    replay = Replay(SIM, WALL, 1440)

    assert replay.simulated(WALL + timedelta(minutes=1)) == SIM + timedelta(days=1)
    assert replay.wall(SIM + timedelta(days=1)) == WALL + timedelta(minutes=1)
    assert replay.wall_span(timedelta(hours=2)) == timedelta(seconds=5)


def test_the_variable_says_what_it_is_given():
    replay = Replay(SIM, WALL, 1440)

    assert parse_replay(str(replay)) == replay


def test_without_the_variable_simulated_time_is_wall_time():
    clock = SystemClock.from_environment({})

    assert clock.replay is None
    assert abs(clock.now() - clock.wall()) < timedelta(seconds=1)


def test_a_clock_in_a_replay_is_in_the_past_it_plays():
    clock = SystemClock.from_environment({"GREENOPS_REPLAY": str(Replay(SIM, WALL, 1.0))})

    assert clock.now() - clock.wall() == pytest.approx(SIM - WALL, abs=timedelta(seconds=1))


@pytest.mark.parametrize(
    "text", ["now", "2021-10-08@x@1", "2021-10-08T06:00:00@2026-11-23T10:00:00Z@1440"]
)
def test_another_form_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="for example"):
        parse_replay(text)


def test_a_replay_that_stands_still_is_refused():
    with pytest.raises(UsageError, match="above zero"):
        parse_replay("2021-10-08T06:00:00Z@2026-11-23T10:00:00Z@0")
