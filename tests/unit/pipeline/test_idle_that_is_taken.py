"""Several processes of one host take parts of its idle energy, and all parts add up to its meter."""

# Hand-made records: plain numbers stand for joules.
# mypy: disable-error-code="arg-type"
from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.spans import IDLE_TAKEN, EnergyAccount
from greenops.observe.idle import Idle, IdlePolicy
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.host_energy import REMEMBERED
from greenops.units import Joules

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECONDS = 900
QUANTA = 1e9
"""Parts of a joule in which the host's draw is told, as whole numbers."""


@dataclass
class Process:
    """One instrumented process: when it lives, who answers for idle energy, and when it reports [s]."""

    name: str
    born: int
    dead: int
    idle: Idle
    reports: list[int]
    parts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def see(self, idle: int, mine: int, dynamic: int) -> None:
        """Account for one second of the host, as the observer does [quanta]."""
        taken = self.idle.given(idle, mine, dynamic)
        self.parts["attributed"] += (mine + taken) // 2
        self.parts["unattributed"] += mine + taken - (mine + taken) // 2
        self.parts["idle"] += idle - taken
        self.parts["other_process"] += dynamic - mine
        self.parts[IDLE_TAKEN] += taken

    def rows(self, second: int) -> list[EnergyAccount]:
        at, start = (NOW + timedelta(seconds=each) for each in (second, self.born))
        return [
            EnergyAccount(
                "s", self.name, "w", "cpu", category, at, quanta / QUANTA, "measured", "rapl", "h",
                start,
            )
            for category, quanta in self.parts.items()
            if quanta or category != IDLE_TAKEN
        ]  # fmt: skip


def process(rng: random.Random, name: str, born: int, dead: int, reserved: float) -> Process:
    """A process that reports about as often as it says, and once more at its end."""
    every, second, reports = rng.randrange(20, 90), born, []
    while second < dead:
        second += round(every * rng.uniform(0.87, 1.13))
        reports.append(min(second, dead))
    return Process(name, born, dead, Idle(rng.choice(list(IdlePolicy)), reserved), reports)


def host(rng: random.Random) -> list[Process]:
    """One process that is there all the time, and others that come and go."""
    count = rng.randrange(1, 6)
    parts = [rng.random() for _ in range(count + 1)]
    found = [process(rng, "p0", 0, SECONDS, parts[0] / sum(parts))]
    for number in range(1, count):
        born = rng.randrange(SECONDS - 500)
        # Until it is known to have fallen silent, the others wait for what it may still say.
        dead = rng.choice((SECONDS, rng.randrange(born + 100, SECONDS - 200)))
        found.append(process(rng, f"p{number}", born, dead, parts[number] / sum(parts)))
    return found


@dataclass
class Played:
    """What a host drew [quanta], and what the sums say of it [J]."""

    sums: Footprint
    idle: int
    others: int
    dynamic: int
    taken: int

    @property
    def whole(self) -> int:
        return self.idle + self.others + self.dynamic


def play(rng: random.Random, processes: list[Process], watts: float | None = None) -> Played:
    """Live through a host's seconds; `watts` holds its whole draw the same all the time."""
    sums = Footprint()
    shown: dict[tuple[str | None, str], Joules] = {}
    idle_sum = others_sum = dynamic_sum = 0
    for second in range(1, SECONDS + 1):
        living = [each for each in processes if each.born < second <= each.dead]
        used = [round(rng.choice((0, 0, 3, 60)) * rng.random() * QUANTA) for _ in living]
        others = round(rng.choice((0, 5)) * rng.random() * QUANTA)
        dynamic = sum(used) + others
        idle = round(rng.uniform(10, 30) * QUANTA)
        if watts is not None:
            idle = round(watts * QUANTA) - dynamic
        for each, mine in zip(living, used, strict=True):
            each.see(idle, mine, dynamic)
        idle_sum, others_sum, dynamic_sum = (
            idle_sum + idle, others_sum + others, dynamic_sum + sum(used)
        )  # fmt: skip
        for each in rng.sample(living, len(living)):
            if second in each.reports:
                sums.add([], each.rows(second))
                now = sums.energy_by_workload()
                assert all(now[key] >= joules for key, joules in shown.items())
                assert min(sums.energy().values()) >= 0.0
                shown = now
    return Played(
        sums, idle_sum, others_sum, dynamic_sum, sum(each.parts[IDLE_TAKEN] for each in processes)
    )


@pytest.mark.feature("B2")
@pytest.mark.parametrize("seed", range(40))
def test_idle_that_processes_take_is_taken_from_the_host_once(seed):
    rng = random.Random(seed)

    played = play(rng, host(rng))

    energy = played.sums.energy()
    whole = played.whole / QUANTA
    assert sum(energy.values()) == pytest.approx(whole, rel=1e-9)
    own = energy["attributed"] + energy["unattributed"]
    assert own == pytest.approx((played.dynamic + played.taken) / QUANTA, rel=1e-9)
    near = 1e-9 * whole
    assert energy["idle"] == pytest.approx((played.idle - played.taken) / QUANTA, abs=near)
    assert energy["other_process"] == pytest.approx(played.others / QUANTA, abs=near)
    assert IDLE_TAKEN not in energy


@pytest.mark.parametrize("seed", range(20))
def test_where_one_process_follows_another_the_parts_still_add_up_to_the_meter(seed):
    rng = random.Random(seed)
    ends = sorted(rng.sample(range(150, SECONDS - 100), 3))
    lives = zip([0, *(end - rng.randrange(90, 140) for end in ends)], [*ends, SECONDS], strict=True)
    processes = [process(rng, f"p{n}", *life, reserved=0.25) for n, life in enumerate(lives)]

    played = play(rng, processes, watts=700.0)

    assert sum(played.sums.energy().values()) == pytest.approx(played.whole / QUANTA, rel=1e-9)


def test_what_many_short_processes_took_stays_taken():
    rng, half = random.Random(3), Idle(IdlePolicy.BY_RESERVATION, 0.5)
    lives = [(2 * number, 2 * number + 2) for number in range(REMEMBERED + 40)]
    processes = [Process(f"p{born}", born, dead, half, [dead]) for born, dead in lives]
    processes.append(Process("long", 0, SECONDS, Idle(), list(range(30, SECONDS + 1, 30))))

    played = play(rng, processes, watts=700.0)

    energy = played.sums.energy()
    assert sum(energy.values()) == pytest.approx(played.whole / QUANTA, rel=1e-9)
    assert energy["idle"] == pytest.approx((played.idle - played.taken) / QUANTA, rel=0.02)


def test_who_reserves_more_than_there_is_leaves_no_idle_energy_and_none_below_zero():
    rng = random.Random(1)
    whole = Idle(IdlePolicy.BY_RESERVATION, 1.0)
    both = [Process(name, 0, SECONDS, whole, [300, 600, SECONDS]) for name in ("a", "b")]

    played = play(rng, both)

    assert played.sums.energy()["idle"] == 0.0
