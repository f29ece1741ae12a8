"""Hosts whose processes come, go and report when they like, against a meter that knows the truth."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.spans import EnergyAccount
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.host_energy import REMEMBERED

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
IDLE_W = 20.0


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


def rows(
    name: str, second: float, parts: dict[str, float], *, start: float | None = None, host="h"
) -> list[EnergyAccount]:
    """One reading of one process."""
    begun = None if start is None else at(start)
    return [
        EnergyAccount(
            "s", name, "w", "cpu", category, at(second), joules, "measured", "rapl", host, begun
        )
        for category, joules in parts.items()
    ]


@dataclass
class Truth:
    """What a host draws, second by second, and the readings its processes make of it."""

    lives: dict[str, tuple[int, int, int]]
    """Process → birth, death, seconds between readings."""
    ends: int
    rng: random.Random
    others_w: float = 5.0
    own: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (born, dead, _) in self.lives.items():
            self.own[name] = [
                self.rng.choice((0.0, 0.0, 3.0, 60.0)) if born <= second < dead else 0.0
                for second in range(self.ends)
            ]

    def drawn(self, start: int, end: int) -> float:
        own = sum(sum(joules[start:end]) for joules in self.own.values())
        return own + (IDLE_W + self.others_w) * (end - start)

    def readings(self) -> Iterator[tuple[int, list[EnergyAccount]]]:
        """Second of arrival and rows, in order of arrival."""
        found = []
        for name, (born, dead, every) in self.lives.items():
            for second in sorted({*range(born + every, dead, every), dead}):
                own = sum(self.own[name][born:second])
                idle = IDLE_W * (second - born)
                other = self.drawn(born, second) - idle - own
                parts = {"attributed": own, "idle": idle, "other_process": other}
                found.append((second, rows(name, second, parts, start=born)))
        return iter(sorted(found, key=lambda each: each[0]))


def total(sums: Footprint) -> float:
    return sum(sums.energy_by_workload().values())


LIVES = {
    "one": {"a": (0, 600, 60)},
    "in step": {"a": (0, 600, 60), "b": (0, 600, 60), "c": (0, 600, 60)},
    "apart": {"a": (0, 600, 60), "b": (17, 600, 60), "c": (41, 600, 45)},
    "one after another": {"a": (0, 200, 60), "b": (200, 400, 60), "c": (400, 600, 60)},
    "overlapping": {"a": (0, 250, 60), "b": (130, 470, 60), "c": (300, 600, 60)},
    "short beside long": {f"b{n}": (n * 50, n * 50 + 40, 60) for n in range(10)}
    | {"a": (0, 600, 30)},
}


@pytest.mark.parametrize("name", LIVES)
def test_a_counter_never_falls_and_ends_at_what_the_meter_read(name):
    truth = Truth(LIVES[name], 600, random.Random(7))
    sums, shown = Footprint(), {}

    for _, reading in truth.readings():
        sums.add([], reading)
        now = sums.energy_by_workload()
        assert all(now[key] >= joules for key, joules in shown.items())
        shown = now

    energy = sums.energy()
    own = sum(sum(joules) for joules in truth.own.values())
    assert energy["attributed"] == pytest.approx(own)
    assert energy["idle"] == pytest.approx(IDLE_W * 600)
    # Between two readings energy counts as drawn evenly, which shows where one process takes over from
    # another in the middle; elsewhere nothing is lost or gained.
    apart = 400.0 if name == "overlapping" else 1e-6
    assert energy["other_process"] == pytest.approx(truth.others_w * 600, abs=apart)
    # What a process used before its first reading looks like another's until then.
    unseen = 0.0 if name == "one" else 60 * 60.0
    assert truth.drawn(0, 600) - 1e-6 <= total(sums) <= truth.drawn(0, 600) + unseen


def test_readings_at_different_times_do_not_make_energy_of_other_processes():
    sums, shown = Footprint(), []

    for second in range(60, 660, 60):
        # The other process used 10 W of the 30 W that this one sees, and says so 20 s later.
        sums.add([], rows("a", second, {"idle": 20.0 * second, "other_process": 10.0 * second}))
        shown.append(sums.energy()["other_process"])
        later = second + 20
        sums.add([], rows("b", later, {"idle": 20.0 * later, "attributed": 10.0 * later}))
        shown.append(sums.energy()["other_process"])

    assert max(shown[2:]) <= 600.0
    assert shown[-1] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("start", [0.0, None])
def test_a_successor_goes_on_where_its_predecessor_ended(start):
    sums = Footprint()
    life = {"idle": 100.0, "attributed": 50.0}
    for second in (50, 100, 150):
        share = {category: joules * second / 150 for category, joules in life.items()}
        sums.add([], rows("a", second, share, start=start))
    for second in (50, 100, 150):
        share = {category: joules * second / 150 for category, joules in life.items()}
        begun = None if start is None else 150.0
        sums.add([], rows("b", 150 + second, share, start=begun))

    assert total(sums) == pytest.approx(300.0)
    assert sums.energy()["idle"] == pytest.approx(200.0)


def test_three_pods_of_one_node_count_its_energy_once():
    sums = Footprint()
    for number in range(3):
        parts = {"attributed": 10.0, "idle": 100.0, "other_process": 20.0}
        sums.add([], rows(f"pod-{number}", 60 + number, parts))

    assert total(sums) == pytest.approx(130.0)


def test_energy_of_spans_that_stay_open_moves_without_a_fall_and_without_a_gain():
    sums = Footprint()
    sums.add([], rows("a", 10, {"attributed": 4.0, "unattributed": 1.0}))
    before = sums.energy_by_workload()

    sums.add([], rows("a", 20, {"attributed": 3.0, "unattributed": 3.0}))

    after = sums.energy_by_workload()
    assert (before["w", "attributed"], after["w", "attributed"]) == (4.0, 4.0)
    assert total(sums) == pytest.approx(6.0)
    assert sums.energy()["attributed"] == 3.0


def test_a_process_begun_anew_under_one_name_adds_up():
    sums = Footprint()
    sums.add([], rows("a", 60, {"attributed": 500.0, "idle": 50.0}, start=0))
    sums.add([], rows("a", 70, {"attributed": 2.0, "idle": 1.0}, start=61))

    assert sums.energy()["attributed"] == 502.0


def test_accounts_whose_counters_began_moments_apart_are_of_one_process():
    sums = Footprint()
    for second in (60, 120):
        for begun, category in enumerate(("attributed", "idle", "other_process")):
            sums.add([], rows("a", second, {category: second / 60}, start=60 + begun / 1e6))

    assert sums.energy() == pytest.approx(
        {"attributed": 2.0, "idle": 2.0, "other_process": 2.0, "overhead": 0, "unattributed": 0}
    )


def test_readings_of_an_earlier_version_without_a_start_are_of_the_same_process():
    sums = Footprint()
    sums.add([], rows("a", 60, {"attributed": 5.0, "idle": 50.0}))
    sums.add([], rows("a", 120, {"attributed": 9.0, "idle": 90.0}, start=10))

    assert total(sums) == 99.0


def test_reading_the_same_rows_again_gives_no_less():
    truth = Truth(LIVES["overlapping"], 600, random.Random(3))
    live, again = Footprint(), Footprint()

    for _, reading in truth.readings():
        live.add([], reading)
        live.energy()
    again.add([], [row for _, reading in truth.readings() for row in reading])

    assert again.energy_by_workload() == pytest.approx(live.energy_by_workload())


def test_many_short_processes_are_kept_as_one_sum_and_do_not_count_twice():
    sums, many = Footprint(), REMEMBERED + 50
    for number in range(many):
        parts = {"attributed": 1.0, "idle": 10.0}
        reading = rows(f"job-{number}", 10 * number + 10, parts, start=10 * number)
        sums.add([], reading)
    (device,) = sums._hosts.values()

    sums.add([], rows("job-0", 10 * many, {"attributed": 1.0, "idle": 10.0}, start=0))

    assert sums.energy()["attributed"] == many
    assert sums.energy()["idle"] == pytest.approx(10.0 * many)
    assert len(device._active) + len(device._silent) <= REMEMBERED + 3
