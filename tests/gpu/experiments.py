"""What is asked of a board: its counter's steps and lag, part-time loads, two kernels in turn, batches, rest.

Everything that runs and sleeps is passed in, so that the same experiments run on a board whose truth is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any, Protocol

from greenops.domain.energy import EnergyReading
from greenops.observe.attribution import Attribution, Tick
from greenops.ports import EnergyMeter
from greenops.units import NS_PER_S

POLL_S = 0.001
TICK_S = 0.1
SETTLE_S = 0.25
"""More than two steps of the counter: what ran before has reached it."""
KERNELS = ("arithmetic", "waiting")


class Board(Protocol):
    """What keeps a device busy."""

    def begin(self, name: str, seconds: float) -> None: ...
    def wait(self) -> None: ...
    def busy(self, name: str, seconds: float) -> None: ...
    def batch(self, size: int) -> None: ...


class Sensors(Protocol):
    """What else the driver tells; none where it does not."""

    def average_w(self) -> float | None: ...
    def instant_w(self) -> float | None: ...
    def temperature_c(self) -> float | None: ...


@dataclass(frozen=True)
class Bench:
    """A board, its meter, and time."""

    meter: EnergyMeter
    board: Board
    sensors: Sensors
    now_ns: Callable[[], int]
    sleep: Callable[[float], None]

    def until(self, seconds: float, every_s: float = POLL_S) -> Iterator[None]:
        """Again and again for so long."""
        end = self.now_ns() + int(seconds * NS_PER_S)
        while self.now_ns() < end:
            yield
            self.sleep(every_s)

    def watts(self, work: Callable[[], None]) -> float:
        """Mean power while something runs [W]."""
        first = self.meter.read()
        work()
        return _power(first, self.meter.read())

    def rest(self, seconds: float) -> float:
        """Power of the board at rest [W], after what ran before has reached the counter."""
        self.sleep(SETTLE_S)
        return self.watts(lambda: self.sleep(seconds))


def _power(first: EnergyReading, last: EnergyReading) -> float:
    return (last.joules - first.joules) / (last.at_ns - first.at_ns) * NS_PER_S


@dataclass(frozen=True)
class Steps:
    """(a) How often the counter steps, and how late a load shows [ms]."""

    period_ms: float
    longest_ms: float
    lag_ms: float


def steps(bench: Bench, seconds: float, loads: int = 5) -> Steps:
    seen = _seen(bench, seconds)
    periods = [(later.at_ns - one.at_ns) / 1e6 for one, later in pairwise(seen)]
    lags = []
    for _ in range(loads):
        bench.sleep(SETTLE_S)
        began = bench.now_ns()
        bench.board.begin("arithmetic", 1.0)
        under = _seen(bench, 0.9)
        bench.board.wait()
        powers = [_power(one, later) for one, later in pairwise(under)]
        middle = (min(powers) + max(powers)) / 2
        first = next(n for n, power in enumerate(powers) if power >= middle)
        lags.append((under[first + 1].at_ns - began) / 1e6)
    return Steps(median(periods), max(periods), median(lags))


def _seen(bench: Bench, seconds: float) -> list[EnergyReading]:
    """Readings at which the counter had moved, the first as it stood."""
    found = [bench.meter.read()]
    for _ in bench.until(seconds):
        now = bench.meter.read()
        if now.joules != found[-1].joules:
            found.append(now)
    return found


@dataclass(frozen=True)
class PartTime:
    """(b) One square wave: mean power by the counter, by NVML's average and by its instant power [W]."""

    half_ms: float
    counter_w: float
    average_w: float | None
    instant_w: float | None


def part_time(bench: Bench, half_s: float, seconds: float) -> PartTime:
    bench.sleep(SETTLE_S)
    averages: list[float | None] = []
    instants: list[float | None] = []

    def look() -> None:
        averages.append(bench.sensors.average_w())
        instants.append(bench.sensors.instant_w())

    def wave() -> None:
        for _ in range(max(1, round(seconds / half_s / 2))):
            bench.board.begin("arithmetic", half_s)
            for _ in bench.until(half_s):
                look()
            bench.board.wait()
            for _ in bench.until(half_s):
                look()

    counted = bench.watts(wave)
    return PartTime(half_s * 1e3, counted, _mean(averages), _mean(instants))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) / len(known) if known else None


@dataclass
class Books:
    """The product's attribution of one board, looked at ten times a second."""

    bench: Bench
    keys: int = 0
    got: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device = self.bench.meter.info.device
        self.books = Attribution([self.bench.meter.info])
        self.threads: dict[int, int] = {}
        self.ticked = 0
        self.tick()

    def start(self, name: str) -> int:
        self.keys += 1
        self.threads[self.keys] = 0
        self.books.spans.start(self.keys, name, None, self.keys, 0, self.bench.now_ns())
        return self.keys

    def end(self, key: int) -> None:
        self.books.spans.end(key, 0, self.bench.now_ns())

    def look(self) -> None:
        if self.bench.now_ns() - self.ticked >= TICK_S * NS_PER_S:
            self.tick()

    def tick(self) -> None:
        reading, self.ticked = self.bench.meter.read(), self.bench.now_ns()
        look = Tick(self.ticked, 0, {self.device: reading}, None, 0, dict(self.threads))
        for each in self.books.tick(look):
            self.got[each.key] = each.energy.self_j if each.energy is not None else 0.0
            self.threads.pop(each.key, None)

    def settle(self) -> None:
        for _ in self.bench.until(3 * TICK_S, TICK_S):
            self.tick()


@dataclass(frozen=True)
class Turns:
    """(c) Two kernels in turn: dynamic power of the first over the second's, alone, and as spans were given it."""

    turn_s: float
    alone: float
    shared: float


def turns(bench: Bench, turn_s: float, seconds: float, alone_s: float) -> Turns:
    rest = bench.rest(alone_s)
    alone = []
    for name in KERNELS:
        bench.board.busy(name, SETTLE_S)
        alone.append(bench.watts(lambda name=name: bench.board.busy(name, alone_s)) - rest)
    bench.sleep(2.0)
    books = Books(bench)
    for _ in bench.until(1.5, TICK_S):
        books.tick()
    spans: dict[str, list[int]] = {name: [] for name in KERNELS}
    for _ in range(max(1, round(seconds / turn_s / 2))):
        for name in KERNELS:
            key = books.start(name)
            left = turn_s
            while left > 0:
                bench.board.busy(name, min(left, TICK_S))
                left -= TICK_S
                books.look()
            books.end(key)
            spans[name].append(key)
    books.settle()
    first, second = (sum(books.got[key] for key in spans[name]) for name in KERNELS)
    return Turns(turn_s, alone[0] / alone[1], first / second)


@dataclass(frozen=True)
class Batch:
    """(d) Requests in batches of one size [J a request]: what a span is given, and what a run alone draws."""

    size: int
    share_j: float
    isolated_j: float
    batches_per_s: float


def batches(bench: Bench, sizes: Sequence[int], seconds: float) -> list[Batch]:
    bench.sleep(2.0)
    rest = bench.rest(seconds)
    return [_batch(bench, size, seconds, rest) for size in sizes]


def _batch(bench: Bench, size: int, seconds: float, rest: float) -> Batch:
    books = Books(bench)
    for _ in bench.until(1.5, TICK_S):
        books.tick()
    first = bench.meter.read()
    spans = [books.start("answer") for _ in range(size)]
    began, count = bench.now_ns(), 0
    while bench.now_ns() - began < seconds * NS_PER_S:
        bench.board.batch(size)
        count += 1
        books.look()
    lasted = (bench.now_ns() - began) / NS_PER_S
    for key in spans:
        books.end(key)
    books.settle()
    last = bench.meter.read()
    drawn = last.joules - first.joules - rest * (last.at_ns - first.at_ns) / NS_PER_S
    given = sum(books.got[key] for key in spans)
    return Batch(size, given / size / count, drawn / size / count, count / lasted)


@dataclass(frozen=True)
class Rest:
    """(e) The board at rest before and after a load: medians [W], and temperatures [C]."""

    before_w: float
    after_w: float
    before_c: float | None
    after_c: float | None


def rest(bench: Bench, runs: int, seconds: float, load_s: float) -> Rest:
    def several() -> tuple[float, float | None]:
        found: list[Any] = [
            (bench.rest(seconds), bench.sensors.temperature_c()) for _ in range(runs)
        ]
        warm = [each for _, each in found if each is not None]
        return median(each for each, _ in found), median(warm) if warm else None

    before, cold = several()
    bench.board.busy("arithmetic", load_s)
    after, warm = several()
    return Rest(before, after, cold, warm)
