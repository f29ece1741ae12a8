"""Published routing, computed anew and not below: tests/bench/routing.py prints the figures."""

from __future__ import annotations

import pytest

from tests.bench.routing_parts import published, traffic


@pytest.mark.untraced
@pytest.mark.feature("A7", "B2", "B16")
def test_every_figure_of_the_bench_keeps_its_bound(reference_data):
    figures = [*published.figures()[0], *traffic.bounds()]

    assert {each.key: each.value for each in figures if not each.holds(each.must)} == {}


@pytest.mark.feature("B16")
def test_a_place_without_the_room_of_the_others_is_told(reference_data):
    # Sydney has no other place within 100 ms: while it is down, its people are not answered, and that is said.
    assert traffic.down(100, 0) > 0.2
    assert [traffic.down(100, each) for each in range(1, 6)] == [0] * 5
