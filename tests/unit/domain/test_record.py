from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.action import Action, SetWeights, StartJob
from greenops.domain.decision import Candidate, Mode, Verdict
from greenops.domain.record import canonical, parse, plain, restore
from greenops.domain.workload import ClockTime, Limits

NOON = datetime(2021, 10, 8, 12, tzinfo=UTC)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
instants = st.none() | st.datetimes(timezones=st.just(UTC))
candidates = st.builds(
    Candidate,
    id=st.text(),
    region=st.none() | st.text(),
    start=instants,
    end=instants,
    carbon_g=numbers,
    cost_usd=numbers,
)


@given(candidates)
def test_a_record_comes_back_as_it_went(candidate):
    assert restore(Candidate, plain(candidate)) == candidate


@pytest.mark.parametrize("change", [SetWeights("r", {"a": 40, "b": 60}), StartJob("k", NOON, NOON)])
def test_an_action_finds_its_kind_of_change_again(change):
    action = Action("a", "t", change, "d", NOON)

    assert restore(Action, plain(action)) == action


def test_times_and_durations_come_back():
    limits = Limits(timedelta(hours=2), ClockTime(time(6, 30), "Europe/Paris"))

    assert restore(Limits, plain(limits)) == limits


def test_equal_records_have_equal_bytes():
    one = Verdict("c", allowed=False, errors={"b": "1", "a": "2"})
    other = Verdict("c", allowed=False, errors={"a": "2", "b": "1"})

    assert canonical(one) == canonical(other)


def test_absent_fields_are_left_out_and_enums_are_words():
    assert plain(Candidate(id="x")) == {"id": "x"}
    assert plain(Mode.AUDIT) == "audit"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"id": 7}, "`Candidate.id` must be str, not `7`"),
        ({"id": "x", "regoin": "y"}, "`Candidate` has no field `regoin`"),
        ({}, "`Candidate` lacks `id`"),
        ([], "`Candidate` must be an object"),
        ({"id": "x", "carbon_g": "much"}, "`Candidate.carbon_g` must be float, not `much`"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(value, said):
    with pytest.raises(ValueError, match=said.replace("`", ".")):
        restore(Candidate, value)


def test_what_is_no_record_is_refused():
    with pytest.raises(TypeError, match="no plain form"):
        plain({1, 2})


def test_numbers_that_json_cannot_say_are_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(Candidate(id="x", carbon_g=float("nan")))


@pytest.mark.parametrize(
    "value",
    [
        {"id": "x", "start": "2021-10-08T00:00:00"},
        {"id": "x", "start": "0001-01-01T00:00:00+05:00"},
        {"id": "x", "start": 7},
        {"id": "x", "start": []},
    ],
    ids=["naive", "before time", "number", "list"],
)
def test_an_instant_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match=r"\w"):
        restore(Candidate, value)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Candidate, b"[" * 100_000),
        (Limits, b'{"deadline_within": 1e300}'),
        (Limits, b'{"deadline_within": "1"}'),
        (Candidate, b"\xff"),
        (SetWeights, b'{"route": "r", "weights": 7}'),
    ],
    ids=["deep", "too long", "text", "bytes", "no map"],
)
def test_content_of_any_kind_is_a_record_or_a_value_error(kind, content):
    with pytest.raises(ValueError, match=r"\w"):
        parse(kind, content)


def test_every_instant_comes_back_in_utc():
    found = restore(Candidate, {"id": "x", "start": "2021-10-08T14:00:00+02:00"})

    assert found.start == NOON
    assert found.start.tzinfo is UTC
