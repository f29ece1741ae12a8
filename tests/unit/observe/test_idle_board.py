"""A board that is given more than it needs: what it draws while nothing runs is a line of its own."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from greenops.domain.energy import Category, EnergyReading
from greenops.observe.account import Account
from greenops.observe.attribution import Attribution, Tick
from greenops.testing.meters import SyntheticMeter
from greenops.units import Joules

TICK_NS = 100_000_000
MINUTES = 10


@pytest.mark.feature("G5")
@pytest.mark.parametrize("busy", [0.05, 0.3, 0.7])
@pytest.mark.parametrize("noise", [0.0, 0.02], ids=["steady", "2 % noise"])
def test_the_idle_share_of_a_board_that_rests_at_first_is_within_a_point_of_the_truth(
    busy: float, noise: float
) -> None:
    draw = random.Random(7)
    info = replace(SyntheticMeter(device="GPU-a", device_kind="gpu").info, idle_power=None)
    books = Attribution([info])
    now, joules, idle, running, left = 0, 0.0, 0.0, True, 0
    for _ in range(MINUTES * 600):
        books.tick(
            Tick(
                at_ns=now,
                period=0,
                readings={"GPU-a": EnergyReading("GPU-a", now, Joules(round(joules, 3)))},
                host_ns=None,
                process_ns=0,
                threads={},
            )
        )
        if left == 0:
            # The board waits first; requests come in bursts of 1 to 10 s, and pauses make up the rest.
            running = not running
            left = draw.randint(10, 100)
            left = left if running else max(1, round(left * (1 - busy) / busy))
        left -= 1
        now += TICK_NS
        rest = 7.0 * (1 + draw.uniform(-noise, noise))
        idle += rest
        joules += rest + (draw.uniform(15, 40) if running else 0.0)

    account = Account.of(books.devices["GPU-a"], 0)

    assert account.parts[Category.IDLE] / account.measured == pytest.approx(idle / joules, abs=0.01)
    assert account.residual == 0


def test_the_idle_share_of_a_processor_that_never_rests_is_within_two_points_of_the_truth() -> None:
    draw = random.Random(11)
    info = replace(SyntheticMeter(device="package-0").info, idle_power=None)
    books = Attribution([info])
    now, joules, host, process = 0, 0.0, 0, 0
    rest, core, cores = 40.0, 12.0, 8
    load = 0.5
    for _ in range(MINUTES * 600):
        reading = EnergyReading("package-0", now, Joules(round(joules, 6)))
        books.tick(Tick(now, 0, {"package-0": reading}, host, process, {1: process}))
        load = min(0.9, max(0.2, load + draw.uniform(-0.05, 0.05)))
        now += TICK_NS
        busy = int(load * cores * TICK_NS)
        host, process = host + busy, process + busy // 3
        joules += rest * 0.1 + core * busy / 1e9

    account = Account.of(books.devices["package-0"], 0)

    whole = rest * MINUTES * 60 / joules
    assert account.parts[Category.IDLE] / account.measured == pytest.approx(whole, abs=0.02)
