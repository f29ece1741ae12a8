"""Idle power of a device that is seen at rest, and of one that never rests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from greenops.domain.energy import Method
from greenops.observe.idle import Idle
from greenops.observe.idle_power import FIT_EVERY, IdlePower, fitted
from greenops.testing.meters import SyntheticMeter
from greenops.units import Watts

IDLE, FULL, CORES = 40.0, 160.0, 8
SHAPE = (0.0, 0.156, 0.233, 0.312, 0.386, 0.473, 0.552, 0.653, 0.773, 0.896, 1.0)
"""Median of measured servers between idle and full load. Source: measurement notes, 5.1."""


def line(load: float) -> float:
    return IDLE + (FULL - IDLE) * load


def measured(load: float) -> float:
    at = min(int(load * 10), 9)
    return IDLE + (FULL - IDLE) * (SHAPE[at] + (SHAPE[at + 1] - SHAPE[at]) * (load * 10 - at))


def learned(
    power: Callable[[float], float], least: float, most: float, noise: float = 0.0
) -> IdlePower:
    dice, idle = Random(5), IdlePower()
    for _ in range(10 * 20 * FIT_EVERY):
        load = dice.uniform(least, most)
        idle.ran(load * CORES * 0.1)
        idle.learn(power(load) * (1 + dice.gauss(0, noise)) * 0.1, 0.1)
    return idle


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_device_that_never_rests_has_its_idle_power_read_off_its_load(noise: float) -> None:
    idle = learned(line, 0.1, 0.9, noise)

    assert idle.lowest is not None
    assert idle.lowest > 1.5 * IDLE
    assert idle.watts == pytest.approx(IDLE, rel=0.1)


@pytest.mark.parametrize(("least", "most"), [(0.1, 0.9), (0.05, 0.35), (0.5, 0.9)])
def test_the_bend_of_real_servers_costs_less_than_taking_the_lowest_power(
    least: float, most: float
) -> None:
    idle = learned(measured, least, most, 0.02)

    assert idle.lowest is not None
    assert abs(idle.watts - IDLE) < 0.5 * abs(idle.lowest - IDLE)


def test_a_device_that_was_seen_at_rest_needs_no_line() -> None:
    idle = learned(measured, 0.0, 0.9)
    for _ in range(20):
        idle.ran(0.0)
        idle.learn(IDLE * 0.1, 0.1)

    assert idle.watts == idle.lowest == pytest.approx(IDLE)


def test_where_nobody_says_how_busy_a_device_is_its_lowest_power_is_idle() -> None:
    idle = IdlePower()
    for second in range(200):
        idle.ran(None)
        idle.learn(50.0 + second % 7, 1.0)

    assert idle.watts == 50.0


def test_a_load_that_does_not_vary_teaches_no_line() -> None:
    idle = learned(line, 0.5, 0.5, 0.02)

    assert idle.watts == idle.lowest


def test_windows_that_lie_far_off_do_not_bend_the_line() -> None:
    dice = Random(3)
    windows = [(load, line(load) + dice.gauss(0, 1)) for load in (dice.random() for _ in range(90))]
    windows += [(0.9, 20.0), (0.95, 600.0), (0.1, 500.0)]

    found = fitted(windows, sure=5.0)

    assert found == pytest.approx(IDLE, abs=1.0)


def test_power_that_falls_with_load_teaches_no_idle_power() -> None:
    assert fitted([(load / 100, 100.0 - load) for load in range(100)], sure=50.0) is None


def test_a_told_idle_power_holds_for_a_device_before_its_kind_and_never_for_a_model() -> None:
    told = Idle(watts={"gpu": Watts(70.0), "GPU-1": Watts(90.0)})
    board = SyntheticMeter(device="GPU-0", device_kind="gpu").info
    model = replace(board, method=Method.MODELED)

    assert told.told(board).idle_power == 70.0
    assert told.told(replace(board, device="GPU-1")).idle_power == 90.0
    assert told.told(replace(board, device_kind="cpu")) == replace(board, device_kind="cpu")
    assert told.told(model) is model
