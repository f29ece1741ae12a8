"""Operators never guess: a wrong type gives an error value, and an error passes through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import celpy.celtypes as cel
import pytest
from celpy.evaluation import CELEvalError

from greenops.policy.evaluate import to_cel
from greenops.policy.operators import OPERATORS
from greenops.policy.values import kind

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ERROR = CELEvalError("broken")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("_<_", ([True], [False])),
        ("_<_", ("a", 1)),
        ("_+_", (1, 1.0)),
        ("_+_", (True, True)),
        ("_+_", (WHEN, WHEN)),
        ("_-_", ("a", "a")),
        ("_*_", (timedelta(1), timedelta(1))),
        ("_%_", (1.0, 2.0)),
        ("_[_]", ([1], 1)),
        ("_[_]", ([1], -1)),
        ("_[_]", ([1], 0.5)),
        ("_[_]", ([1], True)),
        ("_[_]", ({"a": 1}, "b")),
        ("_/_", (1, 0)),
        ("_%_", ("%9s", 1)),
        ("_%_", (1, 0)),
        ("_*_", (2**62, 2)),
        ("!_", (1,)),
        ("-_", ("a",)),
        ("_in_", ("a", "abc")),
        ("size", (1,)),
        ("ratio", (1.0, 0.0)),
        ("ratio", (1e300, 1e-300)),
        ("ratio", (1, 2)),
        ("string", ([1],)),
        ("double", ("1_0",)),
        ("int", ("1_0",)),
        ("int", (9223372036854775808.0,)),
        ("int", (float("nan"),)),
        ("uint", (-1,)),
        ("bool", ("yes",)),
        ("string", (b"\xff",)),
        ("timestamp", ("now",)),
        ("duration", ("1 day",)),
        ("getDate", (timedelta(1),)),
        ("getSeconds", ("1",)),
        ("_-_", (datetime(9999, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC))),
    ],
)
def test_a_wrong_operand_gives_an_error_value(name, args):
    assert isinstance(OPERATORS[name](*map(to_cel, args)), CELEvalError)


@pytest.mark.parametrize("name", ["_==_", "_<_", "_+_", "_in_", "ratio"])
def test_an_error_passes_through(name):
    assert OPERATORS[name](ERROR, to_cel("a")) is ERROR
    assert OPERATORS[name](to_cel("a"), ERROR) is ERROR


@pytest.mark.parametrize(
    ("name", "left", "right", "gives"),
    [
        ("_&&_", ERROR, False, False),
        ("_&&_", False, ERROR, False),
        ("_||_", ERROR, True, True),
        ("_||_", True, ERROR, True),
        ("_&&_", True, True, True),
        ("_||_", False, False, False),
    ],
)
def test_an_error_is_absorbed_where_the_other_side_decides(name, left, right, gives):
    sides = [each if each is ERROR else to_cel(each) for each in (left, right)]

    assert bool(OPERATORS[name](*sides)) is gives


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [("_&&_", ERROR, True), ("_||_", False, ERROR), ("_&&_", "x", True), ("_||_", False, "x")],
)
def test_an_error_stays_where_nothing_decides(name, left, right):
    sides = [each if each is ERROR else to_cel(each) for each in (left, right)]

    assert isinstance(OPERATORS[name](*sides), CELEvalError)


@pytest.mark.parametrize(
    ("value", "written"),
    [(True, "true"), (False, "false"), (2, "2"), (2.0, "2"), (0.1, "0.1"), (1e300, "1e+300")],
)
def test_string_writes_what_a_person_would(value, written):
    assert OPERATORS["string"](to_cel(value)) == written


def test_times_add_and_an_unsigned_int_is_no_int():
    later = OPERATORS["_+_"](to_cel(WHEN), to_cel(timedelta(hours=1)))

    assert later == WHEN + timedelta(hours=1)
    assert OPERATORS["getSeconds"](to_cel(timedelta(seconds=-1.5))) == -1
    assert kind(cel.UintType(1)) == "uint"
    assert OPERATORS["timestamp"](to_cel("2026-01-01T00:00:00Z")) == WHEN


def test_what_has_no_form_in_the_language_is_refused():
    with pytest.raises(TypeError):
        to_cel(object())
