"""Things are made one ahead, in order, and what fails fails where it would have come."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from greenops.adapters.ahead import ahead, in_order


def test_the_same_items_come_in_order_and_the_next_is_made_meanwhile():
    made, third = [], threading.Event()

    def items():
        for at in range(5):
            made.append(at)
            if at == 2:
                third.set()
            yield at

    found = []
    for each in ahead(items(), "test"):
        found.append(each)
        if each == 1:
            assert third.wait(10), "the third is made while the second is looked at"
            assert made == [0, 1, 2]

    assert found == list(range(5))


def test_an_error_comes_after_what_was_made_before_it():
    def items():
        yield 1
        yield None
        raise OSError("gone")

    found = []
    with pytest.raises(OSError, match="gone"):
        found.extend(ahead(items(), "test"))

    assert found == [1, None]


def test_nothing_comes_of_nothing_and_who_stops_early_leaves_no_thread():
    before = threading.active_count()

    assert list(ahead(iter(()), "test")) == []
    left = ahead(iter(range(9)), "test")
    assert next(left) == 0
    left.close()

    assert threading.active_count() == before


def test_results_come_in_order_and_no_more_parts_are_begun_than_may_be_held():
    begun: list[int] = []

    def submit(part):
        begun.append(part)
        done = Future()
        done.set_result(10 * part)
        return done

    found = []
    for each in in_order(submit, range(6), 2):
        found.append(each)
        assert len(begun) - len(found) <= 1, "the other of the two is in our hands"

    assert found == [0, 10, 20, 30, 40, 50]
