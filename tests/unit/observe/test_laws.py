"""Laws of the books under everything that may happen: nothing is lost, nothing is negative, order does not matter."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.energy import Boundary, Category, EnergyReading, MeterInfo, Method
from greenops.observe.attribution import Attribution, Finished, Tick
from greenops.observe.device import QUANTA_PER_JOULE
from greenops.observe.idle import Idle, IdlePolicy
from greenops.observe.open_spans import MOST_OPEN
from greenops.units import Joules, Seconds, Watts

MS = 1_000_000
THREADS = 3
WRAP = 0.7
RATED = 400.0


def device(name: str, kind: str, idle: float | None) -> MeterInfo:
    return MeterInfo(
        "meter",
        name,
        kind,
        Method.MEASURED,
        Boundary.CHIP,
        0.05,
        wrap=Joules(WRAP) if kind == "cpu" else None,
        rated_power=Watts(RATED),
        idle_power=None if idle is None else Watts(idle),
        update_period=Seconds(0.1),
    )


@dataclass
class Machine:
    """Threads that run and sleep, two devices that count, wrap, reset and go silent, and the books of it."""

    dice: Random
    idle: float | None
    policy: Idle
    now: int = 0
    process: int = 0
    host: int = 0
    done: dict[int, Finished] = field(default_factory=dict)
    open: list[tuple[int, int]] = field(default_factory=list)
    keys: int = 0

    def __post_init__(self) -> None:
        self.infos = [device("cpu", "cpu", self.idle), device("gpu", "gpu", self.idle)]
        self.books = Attribution(self.infos, self.policy)
        self.cpu = dict.fromkeys(range(1, THREADS + 1), 0)
        self.counters = {"cpu": 0.0, "gpu": 0.0}
        self.tick()

    def clock(self, thread: int) -> int | None:
        return self.cpu[thread] if self.dice.random() < 0.5 else None

    def start(self) -> None:
        self.keys += 1
        thread = self.dice.randint(1, THREADS)
        parent = self.dice.choice(self.open)[0] if self.open and self.dice.random() < 0.7 else None
        name = f"op{self.keys % 3}"
        self.books.spans.start(self.keys, name, parent, thread, self.clock(thread), self.now)
        self.open.append((self.keys, thread))

    def end(self) -> None:
        if self.open:
            key, home = self.open.pop(self.dice.randrange(len(self.open)))
            thread = home if self.dice.random() < 0.8 else self.dice.randint(1, THREADS)
            keep = self.dice.random() < 0.8
            self.books.spans.end(key, self.clock(thread), self.now, keep, thread=thread)

    def run(self) -> None:
        lasted = int(self.dice.expovariate(1 / (20 * MS)))
        self.now += lasted
        for thread in self.cpu:
            ran = int(lasted * self.dice.choice([0.0, 0.5, 1.0]))
            self.cpu[thread] += ran
            self.process += ran
        self.process += int(lasted * self.dice.choice([0, 0, 1]))
        self.host = max(self.host + int(lasted * self.dice.choice([0, 1])), self.process)
        self.counters["cpu"] = (self.counters["cpu"] + 10 * lasted / 1e9) % WRAP
        self.counters["gpu"] += 100 * lasted / 1e9

    def reset(self) -> None:
        self.counters[self.dice.choice(["cpu", "gpu"])] = 0.0

    def jump(self) -> None:
        self.counters["gpu"] += 1e4

    def tokens(self) -> None:
        if self.open:
            key = self.dice.choice(self.open)[0]
            self.books.spans.count(key, self.dice.randint(-1, 50), self.dice.randint(-1, 5))

    def die(self) -> None:
        self.cpu[self.dice.randint(1, THREADS)] = 0

    def tick(self) -> None:
        silent = self.dice.choice([None, None, None, "cpu", "gpu"])
        users = self.dice.choice([None, {1: 0.5}, {}])
        readings = {
            name: None
            if name == silent
            else EnergyReading(name, self.now, Joules(joules), users if name == "gpu" else None)
            for name, joules in self.counters.items()
        }
        look = Tick(
            self.now,
            self.now // (500 * MS),
            readings,
            self.dice.choice([None, self.host]),
            self.process,
            {t: ns for t, ns in self.cpu.items() if self.dice.random() < 0.95},
            frozenset({THREADS}),
            native=self.dice.random() < 0.3,
        )
        for each in self.books.tick(look):
            assert each.key not in self.done
            self.done[each.key] = each
        if self.dice.random() < 0.05:
            self.books.learn(self.now)

    def check(self) -> None:
        held = self.books.spans.held()
        exported = sum(
            round(done.energy.self_j * QUANTA_PER_JOULE)
            for done in self.done.values()
            if done.energy
        )
        attributed = 0
        for name, account in self.books.devices.items():
            assert account.residual == 0
            assert all(quanta >= 0 for quanta in account.parts.values())
            attributed += account.parts[Category.ATTRIBUTED] - held.get(name, 0)
        assert exported <= attributed
        for done in self.done.values():
            if done.energy is not None:
                assert 0 <= done.energy.self_j <= done.energy.total_j
                assert done.energy.low_j <= done.energy.self_j <= done.energy.high_j
                assert done.cpu_ns >= 0


DEEDS = ("start", "start", "end", "end", "run", "run", "run", "tick", "tick", "tokens")
MISHAPS = ("reset", "jump", "die")


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    idle=st.sampled_from([None, 0.0, 3.0]),
    policy=st.sampled_from(list(IdlePolicy)),
    mishaps=st.booleans(),
)
@pytest.mark.feature("D3")
def test_energy_is_conserved_whatever_happens(
    seed: int, idle: float | None, policy: IdlePolicy, mishaps: bool
) -> None:
    machine = Machine(Random(seed), idle, Idle(policy, 0.5))
    deeds = DEEDS + (MISHAPS if mishaps else ())

    for _ in range(120):
        getattr(machine, machine.dice.choice(deeds))()
        machine.check()

    machine.books.close()
    machine.check()
    assert machine.books.spans.held() == {}


@settings(max_examples=50, deadline=None)
@given(
    order=st.permutations(range(6)),
    used=st.lists(st.integers(0, 100), min_size=6, max_size=6),
    joules=st.floats(0, 50),
)
def test_the_order_of_threads_decides_no_more_than_a_quantum(
    order: list[int], used: list[int], joules: float
) -> None:
    books = Attribution([device("gpu", "cpu", 0.0)])
    books.tick(
        Tick(0, 0, {"gpu": EnergyReading("gpu", 0, Joules(0.0))}, 0, 0, dict.fromkeys(range(6), 0))
    )
    for thread in order:
        books.spans.start(thread + 1, "a", None, thread, 0, 0)
    for thread in reversed(order):
        books.spans.end(thread + 1, used[thread] * MS, 100 * MS)
    whole = sum(used) * MS
    reading = EnergyReading("gpu", 100 * MS, Joules(joules % WRAP))

    clocks = {t: used[t] * MS for t in range(6)}
    done = books.tick(Tick(100 * MS, 0, {"gpu": reading}, whole, whole, clocks))
    later = replace(reading, at_ns=500 * MS)  # where nothing was drawn, the counter stands
    done += books.tick(Tick(500 * MS, 0, {"gpu": later}, whole, whole, clocks))

    got = {each.key - 1: each.energy.self_j for each in done if each.energy}
    for thread in range(6):
        fair = joules % WRAP * used[thread] / sum(used) if sum(used) else 0.0
        assert got[thread] == pytest.approx(fair, abs=4 / QUANTA_PER_JOULE)


def test_a_hundred_thousand_open_spans_are_bounded_and_lose_nothing() -> None:
    books = Attribution([device("cpu", "cpu", 0.0)])
    books.tick(Tick(0, 0, {"cpu": EnergyReading("cpu", 0, Joules(0.0))}, 0, 0, {1: 0}))
    for key in range(1, 100_001):
        books.spans.start(key, "a", key - 1 or None, 1, key * 1_000, key * 1_000)

    books.spans.shed()
    reading = EnergyReading("cpu", 100 * MS, Joules(0.5))
    books.tick(Tick(100 * MS, 0, {"cpu": reading}, 100 * MS, 100 * MS, {1: 100 * MS}))
    for key in range(1, 100_001):
        books.spans.end(key, 100 * MS, 100 * MS)

    account = books.devices["cpu"]
    assert account.residual == 0
    assert len(books.spans.waiting) <= MOST_OPEN
    assert (
        account.parts[Category.ATTRIBUTED] + account.parts[Category.UNATTRIBUTED]
        == account.measured
    )
