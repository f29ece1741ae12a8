"""By what rule a device's energy is shared."""

from __future__ import annotations

from random import Random

import pytest

from greenops.domain.energy import Boundary, Category, EnergyReading, MeterInfo, Method
from greenops.observe.attribution import Attribution, Finished, Tick
from greenops.observe.device import joules
from greenops.observe.idle import Idle, IdlePolicy
from greenops.observe.split import ByDeviceTime
from greenops.units import Joules, Seconds, Watts

MS = 1_000_000
ME, OTHER = 100, 200


def info(kind: str = "gpu", idle: float = 0.0, step_s: float = 0.0) -> MeterInfo:
    return MeterInfo(
        "meter",
        kind,
        kind,
        Method.MEASURED,
        Boundary.CHIP,
        0.05,
        idle_power=Watts(idle),
        update_period=Seconds(step_s),
    )


class Board:
    """Ticks of 100 ms of one device; spans each on a thread of their own."""

    def __init__(self, meter: MeterInfo, idle: Idle | None = None) -> None:
        self.books = Attribution([meter], idle or Idle())
        self.device = meter.device
        if meter.device_kind == "gpu":
            self.books.splitters[self.device] = ByDeviceTime(pid=ME)
        self.now = 0
        self.drawn = 0.0
        self.cpu: dict[int, int] = {}
        self.done: dict[int, Finished] = {}
        self.tick(0.0, ms=0)

    def start(self, key: int, name: str = "a") -> None:
        self.cpu[key] = 0
        self.books.spans.start(key, name, None, key, 0, self.now)

    def end(self, key: int) -> None:
        self.books.spans.end(key, self.cpu[key], self.now)

    def tick(
        self,
        watts: float,
        ms: int = 100,
        users: dict[int, float | None] | None = None,
        host_ms: int = 0,
    ) -> None:
        self.now += ms * MS
        self.drawn += watts * ms / 1000
        reading = EnergyReading(self.device, self.now, Joules(self.drawn), users)
        process = sum(self.cpu.values())
        look = Tick(
            self.now, 0, {self.device: reading}, process + host_ms * MS, process, dict(self.cpu)
        )
        self.done.update({each.key: each for each in self.books.tick(look)})

    def part(self, category: Category) -> float:
        return joules(self.books.devices[self.device].parts[category])

    def got(self, key: int) -> float:
        energy = self.done[key].energy
        assert energy is not None
        return energy.self_j

    def rule(self, key: int) -> str:
        energy = self.done[key].energy
        assert energy is not None
        return energy.attribution


def test_one_span_alone_on_a_gpu_gets_all_of_it() -> None:
    board = Board(info())
    board.start(1)
    board.tick(100)
    board.end(1)
    board.tick(0)

    assert board.got(1) == pytest.approx(10.0)
    assert board.rule(1) == "exclusive"


def test_spans_that_wait_for_one_gpu_share_it_by_wall_time() -> None:
    board = Board(info())
    board.start(1)
    board.start(2)
    board.tick(100)
    board.end(1)
    board.end(2)
    board.tick(0)

    assert board.got(1) == pytest.approx(board.got(2)) == pytest.approx(5.0)
    assert board.rule(1) == "wall_share"


def test_tokens_say_who_used_a_gpu() -> None:
    board = Board(info())
    board.start(1)
    board.start(2)
    board.books.spans.open[1].written = 30
    board.books.spans.open[2].written = 10
    board.tick(100)
    board.end(1)
    board.end(2)
    board.tick(0)

    assert board.got(1) == pytest.approx(7.5)
    assert board.rule(1) == "token_weights"


def test_what_a_token_read_draws_is_learned() -> None:
    board, random = Board(info()), Random(3)
    board.start(1)
    board.start(2)
    for _ in range(400):
        read, written = random.randrange(200), random.randrange(1, 50)
        board.books.spans.open[1].read = read
        board.books.spans.open[2].written = written
        board.tick(0.1 * read + 1.0 * written)
    board.books.learn(0)
    board.books.spans.open[1].read = 100
    board.books.spans.open[2].written = 10
    before = [board.books.spans.open[key].quanta for key in (1, 2)]
    board.tick(20.0)

    first, second = (
        joules(board.books.spans.open[key].quanta - was)
        for key, was in zip((1, 2), before, strict=True)
    )
    assert first == pytest.approx(1.0, rel=0.05)
    assert second == pytest.approx(1.0, rel=0.05)


def test_a_process_that_does_not_use_the_gpu_gets_none_of_it() -> None:
    board = Board(info())
    board.start(1)
    board.tick(100, users={OTHER: 0.9})
    board.end(1)
    board.tick(0, users={OTHER: 0.9})

    assert board.got(1) == 0
    assert board.part(Category.OTHER_PROCESS) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("users", "mine"),
    [
        ({ME: 0.2, OTHER: 0.6}, 2.5),
        ({ME: None, OTHER: None}, 5.0),
        ({ME: 0.0, OTHER: 0.0}, 5.0),
        ({ME: 0.3, OTHER: None}, 10.0),
        ({ME: None}, 10.0),
        (None, 10.0),
    ],
)
def test_processes_on_one_gpu_share_it_by_how_busy_they_kept_it(
    users: dict[int, float | None] | None, mine: float
) -> None:
    board = Board(info())
    board.start(1)
    board.tick(100, users=users)

    assert board.part(Category.ATTRIBUTED) == pytest.approx(mine)
    assert board.part(Category.OTHER_PROCESS) == pytest.approx(10.0 - mine)


def test_learned_rates_move_energy_between_operations_and_lose_none() -> None:
    board, random = Board(info("cpu")), Random(4)
    board.start(1, "light")
    board.start(2, "heavy")
    for _ in range(400):
        first, second = random.randrange(100), random.randrange(100)
        board.cpu[1] += first * MS
        board.cpu[2] += second * MS
        board.tick((5 * first + 8 * second) / 100)
    board.books.learn(0)
    was = [board.books.spans.open[key].quanta for key in (1, 2)]
    board.cpu[1] += 50 * MS
    board.cpu[2] += 50 * MS
    board.tick(6.5)
    got = [joules(board.books.spans.open[key].quanta - was[key - 1]) for key in (1, 2)]
    doubt = board.books.spans.open[1].doubt

    assert got == pytest.approx([0.25, 0.4], rel=0.02)
    assert sum(got) == pytest.approx(0.65, rel=1e-9)
    assert doubt > 0
    assert board.books.devices["cpu"].residual == 0


def test_a_span_weighed_by_learned_rates_says_so() -> None:
    board, random = Board(info("cpu")), Random(4)
    board.start(1, "light")
    for tick in range(400):
        board.start(tick + 2, "heavy")
        first, second = random.randrange(100), random.randrange(100)
        board.cpu[1] += first * MS
        board.cpu[tick + 2] += second * MS
        board.end(tick + 2)
        board.tick((5 * first + 8 * second) / 100)
        if tick == 350:
            board.books.learn(0)

    last = board.done[401].energy
    assert last is not None
    assert last.attribution == "operation_rate"
    assert board.rule(100) == "cpu_time"
    assert last.high_j - last.self_j > 0.05 * last.self_j


@pytest.mark.parametrize(
    ("idle", "attributed", "left"),
    [
        (Idle(), 0.5, 0.4),
        (Idle(IdlePolicy.BY_DYNAMIC_SHARE), 0.7, 0.2),
        (Idle(IdlePolicy.BY_RESERVATION), 0.9, 0.0),
        (Idle(IdlePolicy.BY_RESERVATION, reserved=0.25), 0.6, 0.3),
    ],
)
@pytest.mark.feature("G5")
def test_who_answers_for_idle_energy_is_a_choice(
    idle: Idle, attributed: float, left: float
) -> None:
    board = Board(info("cpu", idle=4.0), idle)
    board.start(1)
    board.cpu[1] += 50 * MS
    board.tick(14.0, host_ms=50)

    assert board.part(Category.ATTRIBUTED) == pytest.approx(attributed)
    assert board.part(Category.IDLE) == pytest.approx(left)
    assert board.part(Category.OTHER_PROCESS) == pytest.approx(0.5)
    taken = joules(board.books.devices[board.device].taken)
    assert taken == pytest.approx(attributed - 0.5)


def test_idle_energy_stays_idle_where_nothing_ran() -> None:
    board = Board(info("cpu", idle=4.0), Idle(IdlePolicy.BY_RESERVATION))
    board.tick(4.0)

    assert board.part(Category.IDLE) == pytest.approx(0.4)


def test_where_no_threads_clock_can_be_read_spans_share_by_wall_time() -> None:
    books = Attribution([info("cpu")])
    books.tick(Tick(0, 0, {"cpu": EnergyReading("cpu", 0, Joules(0.0))}, 0, 0, {}))
    books.spans.start(1, "a", None, 1, None, 0)
    books.spans.start(2, "a", None, 2, None, 0)
    books.spans.end(2, None, 50 * MS, thread=2)
    reading = EnergyReading("cpu", 100 * MS, Joules(3.0))

    books.tick(Tick(100 * MS, 0, {"cpu": reading}, 100 * MS, 100 * MS, {}))
    books.spans.end(1, None, 100 * MS, thread=1)
    (done,) = books.tick(Tick(100 * MS, 0, {"cpu": reading}, 100 * MS, 100 * MS, {}))

    assert done.energy is not None
    assert done.energy.self_j == pytest.approx(2.0)
    assert done.energy.attribution == "wall_share"
    assert joules(books.devices["cpu"].parts[Category.ATTRIBUTED]) == pytest.approx(3.0)


def test_a_service_of_one_operation_learns_nothing() -> None:
    board = Board(info("cpu"))
    board.start(1, "only")
    for _ in range(400):
        board.cpu[1] += 50 * MS
        board.tick(5.0)
    board.books.learn(0)

    rates = board.books.splitters["cpu"].rates
    assert rates is not None
    assert not rates.learned


def test_rates_that_cannot_be_fitted_are_given_up_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board(info("cpu"))
    rates = board.books.splitters["cpu"].rates
    assert rates is not None
    monkeypatch.setattr(rates, "due", lambda _: True)
    monkeypatch.setattr(type(rates), "_sums", lambda _: 1 / 0)

    board.books.learn(0)
    board.start(1)
    board.cpu[1] += 50 * MS
    board.tick(5.0)

    assert "GO0703" in caplog.text
    assert board.books.splitters["cpu"].rates is None
    assert board.part(Category.ATTRIBUTED) == pytest.approx(0.5)


def test_memory_is_shared_by_cpu_time_beside_the_package_and_counted_once() -> None:
    package, memory = info("cpu"), info("memory")
    books = Attribution([package, memory], Idle())
    counters = {"cpu": 0.0, "memory": 0.0}

    def tick(now_ms: int, cpu: dict[int, int]) -> list[Finished]:
        readings = {
            each: EnergyReading(each, now_ms * MS, Joules(joules))
            for each, joules in counters.items()
        }
        used = sum(cpu.values())
        return books.tick(Tick(now_ms * MS, 0, readings, used, used, cpu))

    tick(0, {})
    books.spans.start(1, "a", None, 1, 0, 0)
    books.spans.start(2, "b", None, 2, 0, 0)
    counters |= {"cpu": 8.0, "memory": 4.0}
    tick(100, {1: 75 * MS, 2: 25 * MS})
    books.spans.end(1, 75 * MS, 100 * MS)
    books.spans.end(2, 25 * MS, 100 * MS)
    got = {each.key: each.energy for each in tick(200, {})}

    assert {key: each and each.self_j for key, each in got.items()} == {1: 9.0, 2: 3.0}
    assert {key: joules(each.measured) for key, each in books.devices.items()} == counters


def test_a_span_that_ends_between_two_steps_of_a_counter_waits_for_its_energy() -> None:
    board = Board(info(step_s=0.1))
    board.tick(50)
    board.start(1)
    board.tick(0, ms=20)
    board.end(1)
    board.tick(0, ms=5)
    waits = 1 not in board.done
    board.start(2)

    board.tick(60, ms=75)
    board.end(2)
    board.tick(20)

    assert waits
    assert board.got(1) == pytest.approx(60 * 0.075 * 20 / 95, rel=0.01)
    assert board.got(2) == pytest.approx(60 * 0.075 * 75 / 95, rel=0.01)
    assert board.part(Category.ATTRIBUTED) == pytest.approx(60 * 0.075)
    assert board.books.devices["gpu"].residual == 0


def test_a_counter_that_stands_for_three_of_its_steps_is_waited_for_no_longer() -> None:
    board = Board(info(step_s=0.1))
    board.tick(50)
    board.start(1)
    board.tick(0, ms=50)
    board.end(1)

    board.tick(0, ms=200)
    late = 1 not in board.done
    board.tick(0, ms=100)

    assert late
    assert board.got(1) == 0


def test_a_span_that_cannot_wait_for_a_late_counter_goes_out_with_what_it_has() -> None:
    board = Board(info(step_s=0.1))
    board.start(1)
    board.tick(50)
    board.end(1)
    board.tick(0, ms=5)

    found, again = board.books.finish(1), board.books.finish(1)
    board.tick(50, ms=95)

    assert again is None
    assert found is not None
    assert found.energy is not None
    assert found.energy.self_j == pytest.approx(5.0)
    assert board.part(Category.ATTRIBUTED) == pytest.approx(5.0)
    assert board.books.devices["gpu"].residual == 0


def test_what_others_ran_before_a_step_comes_has_its_part_of_the_step() -> None:
    board = Board(info("cpu", step_s=0.1))
    board.tick(50)
    board.tick(0, ms=50, host_ms=50)
    board.start(1)
    board.cpu[1] = 50 * MS
    board.tick(100, ms=50, host_ms=50)
    board.end(1)
    board.tick(10, host_ms=50)

    assert board.got(1) == pytest.approx(2.5)
    assert board.part(Category.OTHER_PROCESS) == pytest.approx(2.5)
