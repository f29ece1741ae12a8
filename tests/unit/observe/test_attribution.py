"""Laws of attribution, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.energy import (
    Boundary,
    Category,
    EnergyReading,
    MeterInfo,
    Method,
    Unknown,
)
from greenops.observe.account import Account
from greenops.observe.attribution import Attribution, Finished, Tick
from greenops.observe.device import QUANTA_PER_JOULE, joules, share
from greenops.observe.open_spans import MOST_OPEN, MOST_WAITING
from greenops.units import Joules, Watts

MS = 1_000_000


def meter(
    *,
    kind: str = "cpu",
    idle: float | None = 0.0,
    wrap: float | None = None,
    rated: float | None = None,
) -> MeterInfo:
    return MeterInfo(
        name="rapl",
        device=kind,
        device_kind=kind,
        method=Method.MEASURED,
        boundary=Boundary.CHIP,
        uncertainty=0.05,
        wrap=None if wrap is None else Joules(wrap),
        rated_power=None if rated is None else Watts(rated),
        idle_power=None if idle is None else Watts(idle),
    )


class Whole:
    """Stands for the SDK's span."""


class World:
    """Virtual machine: threads burn CPU, a meter counts, spans come and go."""

    def __init__(self, info: MeterInfo) -> None:
        self.info = info
        self.books = Attribution([info])
        self.now = self.process = self.host = 0
        self.threads = {1: 0, 2: 0, 9: 0}
        self.drawn = 0.0
        self.done: dict[int, Finished] = {}
        self.native = False
        self.wholes: dict[int, Whole] = {}
        self.shown: dict[Category, float] = {}
        self.fell: list[Category] = []
        self.tick()

    def run(self, thread: int, ms: float, watts: float = 10.0) -> None:
        ns = int(ms * MS)
        self.now += ns
        self.threads[thread] += ns
        self.process += ns
        self.host += ns
        self.drawn += watts * ns / 1e9

    def run_native(self, ms: float, watts: float = 10.0) -> None:
        ns = int(ms * MS)
        self.now += ns
        self.process += ns
        self.host += ns
        self.drawn += watts * ns / 1e9

    def show(self) -> None:
        device = self.info.device
        held = self.books.spans.held().get(device, 0)
        parts = Account.of(self.books.devices[device], held).parts
        self.fell += [each for each, now in parts.items() if now < self.shown.get(each, 0.0)]
        self.shown = dict(parts)

    def start(self, key: int, thread: int = 1, parent: int | None = None) -> None:
        whole = self.wholes[key] = Whole()
        self.books.spans.start(
            key, f"op{key}", parent, thread, self.threads[thread], self.now, whole
        )

    def forget(self, key: int) -> None:
        self.wholes.pop(key, None)

    def end(self, key: int, thread: int = 1) -> None:
        self.books.spans.end(key, self.threads[thread], self.now)

    def tick(self, *, read: bool = True, period: int = 0) -> None:
        self.settle(self.look(read=read, period=period))

    def settle(self, look: Tick) -> None:
        for each in self.books.tick(look):
            self.done[each.key] = each

    def look(self, *, read: bool = True, period: int = 0) -> Tick:
        counted = self.drawn
        if self.info.wrap is not None:
            counted %= self.info.wrap
        reading = EnergyReading(self.info.device, self.now, Joules(counted)) if read else None
        return Tick(
            at_ns=self.now,
            period=period,
            readings={self.info.device: reading},
            host_ns=self.host,
            process_ns=self.process,
            threads=dict(self.threads),
            overhead=frozenset({9}),
            native=self.native,
        )

    def part(self, category: Category) -> float:
        return joules(self.books.devices[self.info.device].parts[category])

    def self_j(self, key: int) -> float:
        energy = self.done[key].energy
        assert energy is not None
        return energy.self_j


def test_a_span_gets_what_its_thread_drew() -> None:
    world = World(meter())

    world.start(1)
    world.run(1, 50)
    world.end(1)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.5)
    assert world.part(Category.ATTRIBUTED) == world.self_j(1)


def test_self_excludes_children_and_total_includes_them() -> None:
    world = World(meter())

    world.start(1)
    world.run(1, 10)
    world.start(2, parent=1)
    world.run(1, 30)
    world.end(2)
    world.tick()
    world.run(1, 20)
    world.end(1)
    world.tick()

    energy = world.done[1].energy
    assert energy is not None
    assert energy.self_j == pytest.approx(0.3)
    assert energy.total_j == pytest.approx(0.6)
    assert world.self_j(2) == pytest.approx(0.3)


def test_a_child_that_outlives_its_parent_adds_to_no_total() -> None:
    world = World(meter())

    world.start(1)
    world.start(2, thread=2, parent=1)
    world.run(1, 10)
    world.end(1)
    world.run(2, 10)
    world.end(2, thread=2)
    world.tick()

    energy = world.done[1].energy
    assert energy is not None
    assert energy.total_j == energy.self_j == pytest.approx(0.1)


def test_threads_without_a_span_are_unattributed_and_our_own_are_overhead() -> None:
    world = World(meter())

    world.start(1)
    world.run(1, 10)
    world.run(2, 20)
    world.run(9, 30)
    world.end(1)
    world.tick()

    assert world.part(Category.ATTRIBUTED) == pytest.approx(0.1)
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(0.2)
    assert world.part(Category.OVERHEAD) == pytest.approx(0.3)


def test_native_threads_are_shared_among_open_spans_and_labelled() -> None:
    world = World(meter())
    world.native = True

    world.start(1)
    world.start(2, thread=2)
    world.run_native(100)
    world.end(1)
    world.end(2, thread=2)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.5)
    assert world.self_j(2) == pytest.approx(0.5)
    energy = world.done[1].energy
    assert energy is not None
    assert energy.attribution == "wall_share"
    assert world.done[1].cpu_ns == pytest.approx(50 * MS)


def test_native_threads_with_no_open_span_are_unattributed() -> None:
    world = World(meter())
    world.native = True

    world.run_native(100)
    world.tick()

    assert world.part(Category.UNATTRIBUTED) == pytest.approx(1.0)


def test_other_processes_get_their_part() -> None:
    world = World(meter())

    world.start(1)
    world.run(1, 50)
    world.host += 50 * MS
    world.drawn += 0.5
    world.end(1)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.5)
    assert world.part(Category.OTHER_PROCESS) == pytest.approx(0.5)


def test_idle_power_is_taken_first() -> None:
    world = World(meter(idle=4.0))

    world.start(1)
    world.run(1, 100, watts=10)
    world.end(1)
    world.tick()

    assert world.part(Category.IDLE) == pytest.approx(0.4)
    assert world.self_j(1) == pytest.approx(0.6)


def test_an_unknown_idle_power_is_the_lowest_seen() -> None:
    world = World(meter(idle=None))

    world.run(2, 1000, watts=3)
    world.tick()
    world.run(2, 1000, watts=10)
    world.tick()

    assert world.part(Category.IDLE) == pytest.approx(6.0)


def test_a_gpu_is_shared_by_wall_time() -> None:
    world = World(meter(kind="gpu"))

    world.start(1)
    world.run_native(30)
    world.end(1)
    world.tick()
    world.run_native(30)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.3)
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(0.3)


def test_a_lap_of_the_counter_is_counted() -> None:
    world = World(meter(wrap=1.0))

    for _ in range(9):
        world.run(2, 30)
        world.tick()

    assert joules(world.books.devices["cpu"].measured) == pytest.approx(2.7)


def test_a_reset_is_dropped_and_counted() -> None:
    world = World(meter())
    world.run(2, 100)
    world.tick()

    world.drawn = 0.0
    world.now += 100 * MS
    world.tick()

    account = world.books.devices["cpu"]
    assert account.resets == 1
    assert joules(account.measured) == pytest.approx(1.0)


def test_a_jump_beyond_the_rated_power_is_refused() -> None:
    world = World(meter(rated=10.0))

    world.now += 100 * MS
    world.drawn += 1000.0
    world.tick()

    account = world.books.devices["cpu"]
    assert account.jumps == 1
    assert account.measured == 0


def test_a_clock_that_stands_still_loses_nothing() -> None:
    world = World(meter())
    world.drawn += 1.0
    world.tick()

    world.now += 100 * MS
    world.tick()

    assert joules(world.books.devices["cpu"].measured) == pytest.approx(1.0)


def test_a_span_that_no_reading_covers_has_unknown_energy() -> None:
    world = World(meter())

    world.start(1)
    world.run(1, 10)
    world.end(1)
    world.tick(read=False)

    assert world.done[1].energy is None
    assert world.done[1].unknown is Unknown.METER_FAILED


class TwoMeters:
    """One thread, a processor at 10 W and a board at 100 W; either may fail to be read."""

    def __init__(self) -> None:
        self.books = Attribution([meter(), meter(kind="gpu")])
        self.now = 0
        self.tick()

    def tick(self, *failing: str) -> dict[int, Finished]:
        at = self.now
        drawn = {"cpu": 10.0 * at / 1e9, "gpu": 100.0 * at / 1e9}
        readings = {
            device: None if device in failing else EnergyReading(device, at, Joules(counted))
            for device, counted in drawn.items()
        }
        done = self.books.tick(Tick(at, 0, readings, None, at, {1: at}))
        return {each.key: each for each in done}

    def span(self, key: int, ms: int) -> None:
        self.books.spans.start(key, "a", None, 1, self.now, self.now)
        self.now += ms * MS
        self.books.spans.end(key, self.now, self.now)

    def part(self, device: str, category: Category) -> float:
        return joules(self.books.devices[device].parts[category])


def test_a_span_that_lacks_one_of_two_meters_has_unknown_energy() -> None:
    world = TwoMeters()

    world.span(1, 100)
    done = world.tick("gpu")

    assert done[1].energy is None
    assert done[1].unknown is Unknown.METER_FAILED
    assert world.part("cpu", Category.ATTRIBUTED) == 0
    assert world.part("cpu", Category.UNATTRIBUTED) == pytest.approx(1.0)


def test_a_meter_that_comes_back_charges_no_later_span_for_the_gap() -> None:
    world = TwoMeters()
    world.span(1, 900)
    world.tick("gpu")

    world.span(2, 100)
    done = world.tick()

    assert done[2].energy is not None
    assert done[2].energy.self_j == pytest.approx(11.0)
    assert world.part("gpu", Category.ATTRIBUTED) == pytest.approx(10.0)
    assert world.part("gpu", Category.UNATTRIBUTED) == pytest.approx(90.0)


def test_a_span_longer_than_a_failure_gets_all_its_energy() -> None:
    world = TwoMeters()
    world.books.spans.start(1, "a", None, 1, 0, 0)
    for _ in range(3):
        world.now += 100 * MS
        world.tick("gpu", "cpu")
    world.now += 100 * MS
    world.books.spans.end(1, world.now, world.now)

    done = world.tick()

    assert done[1].energy is not None
    assert done[1].energy.self_j == pytest.approx(44.0)
    assert done[1].cpu_ns == 400 * MS


def test_a_span_that_was_open_when_a_counter_was_reset_has_unknown_energy() -> None:
    world = World(meter())
    world.start(1)
    world.run(1, 100)
    world.tick()
    world.drawn = 0.0
    world.run(1, 10)
    world.tick()

    world.run(1, 100)
    world.end(1)
    world.tick()

    assert world.done[1].unknown is Unknown.METER_FAILED
    assert world.part(Category.ATTRIBUTED) == 0
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(2.0)


def test_a_meter_first_read_while_a_span_runs_does_not_tell_all_of_it() -> None:
    books = Attribution([meter()])
    books.spans.start(1, "a", None, 1, 0, 0)
    reading = {"cpu": EnergyReading("cpu", 100 * MS, Joules(5.0))}
    books.tick(Tick(100 * MS, 0, reading, None, 100 * MS, {1: 100 * MS}))
    books.spans.end(1, 200 * MS, 200 * MS)

    reading = {"cpu": EnergyReading("cpu", 200 * MS, Joules(6.0))}
    (done,) = books.tick(Tick(200 * MS, 0, reading, None, 200 * MS, {1: 200 * MS}))

    assert done.unknown is Unknown.METER_FAILED


def test_without_a_meter_energy_is_unknown() -> None:
    books = Attribution([])
    books.spans.start(1, "a", None, 1, 0, 0)
    books.spans.end(1, 5, 5)

    (done,) = books.tick(Tick(10, 0, {}, None, 5, {1: 5}))

    assert done.unknown is Unknown.NO_METER


def test_energy_of_spans_open_at_the_end_becomes_unattributed() -> None:
    world = World(meter())
    world.start(1)
    world.run(1, 100)
    world.tick()

    world.books.close()

    assert world.part(Category.ATTRIBUTED) == 0
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(1.0)


def test_spans_that_overlap_without_nesting_do_no_harm() -> None:
    world = World(meter())

    world.start(1)
    world.start(2)
    world.run(1, 10)
    world.end(1)
    world.run(1, 10)
    world.end(2)
    world.end(2)
    world.tick()

    assert world.self_j(1) + world.self_j(2) == pytest.approx(0.2)


def test_a_long_span_knows_its_energy_by_period() -> None:
    world = World(meter())

    world.start(1)
    for period in range(3):
        world.run(1, 100)
        world.tick(period=period)
    world.end(1)
    world.tick(period=3)

    assert world.done[1].periods == pytest.approx({0: 1.0, 1: 1.0, 2: 1.0})


def test_a_span_thrown_away_without_an_end_gives_its_energy_back() -> None:
    world = World(meter())
    whole = Whole()
    world.books.spans.start(1, "a", None, 1, 0, 0, whole)
    world.run(1, 50)
    world.tick()

    world.run(1, 10)
    del whole
    world.start(2)
    world.run(1, 40)
    world.end(2)
    world.tick()

    assert list(world.books.spans.open) == []
    assert world.self_j(2) == pytest.approx(0.4)
    assert world.part(Category.ATTRIBUTED) == world.self_j(2)
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(0.6)


def test_a_span_that_ended_is_not_missed_when_the_sdk_lets_it_go() -> None:
    world = World(meter())
    whole = Whole()
    world.books.spans.start(1, "a", None, 1, 0, 0, whole)
    world.run(1, 50)
    world.end(1)

    del whole
    world.tick()

    assert world.self_j(1) == pytest.approx(0.5)


def test_of_too_many_open_spans_the_oldest_are_dropped() -> None:
    world = World(meter())
    for key in range(1, 2 * MOST_OPEN):
        world.start(key)
    world.run(1, 100)
    world.tick()
    world.books.spans.shed()

    newest = world.books.spans.open[2 * MOST_OPEN - 1]

    assert len(world.books.spans.open) <= MOST_OPEN
    assert joules(newest.quanta) == pytest.approx(1.0)
    assert 1 not in world.books.spans.open


def test_of_too_many_spans_that_wait_the_oldest_are_given_up() -> None:
    world = World(meter())
    for key in range(1, MOST_WAITING + 10):
        world.start(key)
        world.end(key)

    world.books.spans.shed()
    world.tick()

    assert 1 not in world.done
    assert len(world.done) == MOST_WAITING


def test_what_happens_after_the_clocks_were_read_counts_once() -> None:
    world = World(meter())
    world.start(1)
    world.run(1, 10)
    look = world.look()
    world.run(1, 5)
    world.end(1)
    world.start(2)
    world.run(1, 5)
    world.threads[7] = 0
    world.start(3, thread=7)

    world.settle(look)
    world.run(7, 10)
    world.end(3, thread=7)
    world.end(2)
    world.tick()

    assert world.part(Category.ATTRIBUTED) == pytest.approx(0.3)
    assert world.self_j(1) > 0.09
    assert world.self_j(3) > 0.09


STEP = st.one_of(
    st.tuples(st.just("start"), st.integers(1, 2), st.integers(0, 30)),
    st.tuples(st.just("end"), st.integers(0, 30), st.integers(1, 2)),
    st.tuples(st.just("run"), st.sampled_from([1, 2, 9]), st.floats(0, 80)),
    st.tuples(st.just("native"), st.just(0), st.floats(0, 80)),
    st.tuples(st.just("other"), st.just(0), st.floats(0, 80)),
    st.tuples(st.just("tick"), st.booleans(), st.just(0)),
    st.tuples(st.just("look"), st.booleans(), st.just(0)),
    st.tuples(st.just("settle"), st.just(0), st.just(0)),
    st.tuples(st.just("reset"), st.just(0), st.just(0)),
    st.tuples(st.just("forget"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("abandon"), st.integers(1, 30), st.just(0)),
)


def play(world: World, steps: list[tuple[str, int, float]]) -> None:  # noqa: C901, PLR0912 - one verb each
    key = 0
    opened: list[tuple[int, int]] = []
    look: Tick | None = None
    for verb, first, second in steps:
        world.show()
        if verb == "start":
            key += 1
            parent = opened[int(second) % len(opened)][0] if opened else None
            world.start(key, first, parent)
            opened.append((key, first))
        elif verb == "forget" and opened:
            world.forget(opened[int(first) % len(opened)][0])
        elif verb == "abandon":
            world.books.spans.abandon(int(first))
        elif verb == "end" and opened:
            ended, thread = opened.pop(int(first) % len(opened))
            world.books.spans.end(ended, world.threads[thread], world.now)
        elif verb == "run":
            world.run(first, second, watts=2.0 + first)
        elif verb == "native":
            world.run_native(second)
        elif verb == "other":
            world.now += int(second * MS)
            world.host += int(second * MS)
            world.drawn += second / 100
        elif verb == "tick":
            world.tick(read=bool(first))
            look = None
        elif verb == "look":
            look = world.look(read=bool(first))
        elif verb == "settle" and look is not None:
            world.settle(look)
            look = None
        elif verb == "reset":
            world.drawn = 0.0
    world.tick()


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(STEP, max_size=60),
    kind=st.sampled_from(["cpu", "gpu"]),
    idle=st.sampled_from([None, 0.0, 1.5]),
    wrap=st.sampled_from([None, 0.7]),
    native=st.booleans(),
    close=st.booleans(),
)
def test_energy_is_conserved_never_negative_and_self_is_within_total(
    steps: list[tuple[str, int, float]],
    kind: str,
    idle: float | None,
    wrap: float | None,
    native: bool,
    close: bool,
) -> None:
    world = World(meter(kind=kind, idle=idle, wrap=wrap))
    world.native = native

    play(world, steps)
    gathered = sum(span.quanta for span in world.books.spans.open.values())
    if close:
        world.books.close()
        gathered = 0
    world.show()
    assert not world.fell

    account = world.books.devices[kind]
    spans = [done.energy for done in world.done.values() if done.energy]
    exported = sum(int(energy.self_j * QUANTA_PER_JOULE) for energy in spans)
    assert account.residual == 0
    assert all(quanta >= 0 for quanta in account.parts.values())
    assert exported + gathered == account.parts[Category.ATTRIBUTED]
    assert all(0 <= energy.self_j <= energy.total_j for energy in spans)
    assert all(energy.low_j <= energy.self_j <= energy.high_j for energy in spans)
    assert all(sum(d.periods.values()) == d.energy.self_j for d in world.done.values() if d.energy)


@given(st.integers(0, 2**60), st.lists(st.integers(0, 2**50), max_size=20))
def test_shares_sum_to_the_whole_and_are_fair(total: int, weights: list[int]) -> None:
    parts = share(total, weights)

    whole = sum(weights)
    assert sum(parts) == (total if whole else 0)
    assert all(
        abs(p - total * w / whole) <= 2 + total * 1e-15
        for p, w in zip(parts, weights, strict=True)
        if whole
    )


@given(st.permutations([(1, 10), (2, 25), (3, 5)]))
def test_the_order_in_which_spans_start_does_not_matter(order: list[tuple[int, int]]) -> None:
    info = meter()
    books = Attribution([info])
    books.tick(Tick(0, 0, {"cpu": EnergyReading("cpu", 0, Joules(0.0))}, 0, 0, {1: 0, 2: 0, 3: 0}))
    for thread, _ in order:
        books.spans.start(thread, "a", None, thread, 0, 0)
    for thread, ms in order:
        books.spans.end(thread, ms * MS, 40 * MS)

    reading = EnergyReading("cpu", 40 * MS, Joules(4.0))
    done = books.tick(
        Tick(40 * MS, 0, {"cpu": reading}, 40 * MS, 40 * MS, {t: ms * MS for t, ms in order})
    )

    got = {each.key: each.energy.self_j for each in done if each.energy}
    assert got == pytest.approx({1: 1.0, 2: 2.5, 3: 0.5})


def test_ten_thousand_ticks_leave_no_residual() -> None:
    world = World(meter(idle=1.3, wrap=262_143.0))
    world.start(1)

    for _ in range(10_000):
        world.run(1, 7.3, watts=3.7)
        world.tick()
    world.end(1)
    world.tick()

    account = world.books.devices["cpu"]
    assert account.residual == 0
    assert joules(account.measured) == pytest.approx(world.drawn, rel=1e-9)
    assert world.self_j(1) == world.part(Category.ATTRIBUTED)


def test_a_thread_that_died_uses_no_more_time() -> None:
    world = World(meter(kind="gpu"))
    world.start(1, thread=2)
    world.run(2, 10)
    world.tick()

    del world.threads[2]
    world.run_native(50)
    world.tick()
    world.run_native(50)
    world.books.spans.end(1, None, world.now)
    world.tick()

    assert world.self_j(1) == pytest.approx(0.1)
    assert world.part(Category.UNATTRIBUTED) == pytest.approx(1.0)
