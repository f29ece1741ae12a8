"""Finished days go to object storage, and every reader finds each row once at any moment of that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from greenops.adapters import lake_places
from greenops.adapters.lake_history import LakeHistory
from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_runs import measured_runs
from greenops.adapters.lake_shipping import GRACE, Sent, Shipper
from greenops.adapters.lake_store import keep_store, store_at, store_of
from greenops.adapters.lake_sums import LakeSums
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Judgement
from greenops.domain.spans import SpanRow
from greenops.domain.usage import Window
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import InvalidFile, Unreachable, UsageError
from greenops.plan.choice import choose

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORKLOAD = Workload("etl", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu", team="data")
TOMORROW = date(2026, 11, 24)
MONTH = Window(NOON - timedelta(days=20), NOON + timedelta(days=10))


def span(number, energy_j=1.5, **told):
    known = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "service": "shop",
        "workload": "shop",
        "name": "order",
        "start": NOON,
        "end": NOON,
        "time": NOON,
        "energy_j": energy_j,
        "attributes": {"n": str(number)},
    }
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known | told)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """What lies away is listed anew at each look."""
    monkeypatch.setattr(lake_places, "FRESH_S", -1.0)


@pytest.fixture
def lake(tmp_path):
    folder = tmp_path / "state" / "lake"
    for at in range(6):
        ParquetLake(folder).write_spans([span(2 * at), span(2 * at + 1)], f"{at:012d}-run")
    Packer(folder, TABLES).pack(TOMORROW)
    keep_store(folder, f"file://{tmp_path}/away?")
    return folder


class Wall:
    def __init__(self):
        self.now = NOON + timedelta(days=1)

    def __call__(self):
        return self.now


def shipper(lake, wall=None, store=None):
    return Shipper(lake, store or store_of(lake), TABLES, wall or Wall())


def sum_j(lake):
    (used,) = LakeSums(lake)([MONTH])
    return {name: each.energy_j.total for name, each in used.items()}


def here(lake):
    return sorted(each.name for each in (lake / "v1" / "spans").glob("day=*/*.parquet"))


def away(tmp_path):
    return sorted(each.name for each in (tmp_path / "away").rglob("*") if each.is_file())


def test_a_packed_day_is_sent_once_and_counts_once(lake, tmp_path):
    first = shipper(lake).ship(TOMORROW)
    again = shipper(lake).ship(TOMORROW)

    assert (first.files, again) == (1, Sent())
    (name,) = away(tmp_path)
    assert name.startswith("0-packed-1-")
    assert name.endswith(".v2.parquet")
    assert sum_j(lake) == {"shop": 12 * 1.5}


def test_a_copy_here_goes_after_a_while_and_rows_are_read_away(lake, tmp_path):
    wall = Wall()
    shipper(lake, wall).ship(TOMORROW)

    early = shipper(lake, wall).drop(TOMORROW)
    wall.now += GRACE
    late = shipper(lake, wall).drop(TOMORROW)

    assert (early.gone, late.gone) == (0, 1)
    assert here(lake) == []
    assert sum_j(lake) == {"shop": 12 * 1.5}


def test_one_sum_over_the_life_of_a_day_is_the_same_at_each_look(lake):
    wall, sums = Wall(), LakeSums(lake)
    shipping = shipper(lake, wall)
    seen = [sums([MONTH])]

    for step in (
        lambda: shipping.ship(TOMORROW),
        lambda: setattr(wall, "now", wall.now + GRACE),
        lambda: shipping.drop(TOMORROW),
    ):
        step()
        seen.append(sums([MONTH]))

    assert len({str(each) for each in seen}) == 1


def test_rows_that_come_after_a_day_went_away_are_read_beside_it_and_sent_too(lake, tmp_path):
    wall = Wall()
    shipper(lake, wall).ship(TOMORROW)
    wall.now += GRACE
    shipper(lake, wall).drop(TOMORROW)

    ParquetLake(lake).write_spans([span(77, 100.0)], "000000000077-run")
    # The same message came again, and its segment is written anew.
    ParquetLake(lake).write_spans([span(0, 2.0), span(1, 2.0)], "000000000000-run")
    loose = sum_j(lake)
    Packer(lake, TABLES).pack(TOMORROW)
    packed = sum_j(lake)
    shipper(lake, wall).ship(TOMORROW)
    sent = sum_j(lake)
    wall.now += GRACE
    shipper(lake, wall).drop(TOMORROW)

    assert loose == packed == sent == sum_j(lake) == {"shop": 10 * 1.5 + 100.0 + 4.0}
    assert here(lake) == []
    assert [each.split("-")[2] for each in away(tmp_path)] == ["1", "2"]


def test_what_a_later_packing_holds_as_well_is_removed_away(lake, tmp_path):
    shipper(lake).ship(TOMORROW)
    ParquetLake(lake).write_spans([span(77, 100.0)], "000000000077-run")
    Packer(lake, TABLES).pack(TOMORROW)

    shipper(lake).ship(TOMORROW)

    assert [each.split("-")[2] for each in away(tmp_path)] == ["2"]
    assert sum_j(lake) == {"shop": 12 * 1.5 + 100.0}


def test_a_lake_without_local_files_is_read_from_where_it_went(lake, tmp_path):
    shipper(lake).ship(TOMORROW)
    other = tmp_path / "other" / "lake"
    keep_store(other, f"file://{tmp_path}/away")

    assert sum_j(other) == {"shop": 12 * 1.5}
    assert LakeHistory(other).days() == ()
    assert list(ParquetLake(other).spans()) == []


def decide(lake, at):
    of = Job(f"job-{at}", WORKLOAD, NOON)
    places = [Candidate(each, region="eu", carbon_g=float(at)) for each in ("baseline", f"c{at}")]
    made = choose(of, places[0], places[1:], Judgement((), (), Limits(), "0"), NOON)
    record = DecisionRecord(replace(made, id=f"dec-{at}"), tuple(places), (), {}, job=of)
    ParquetLake(lake).write_decision(record)


def replayed(lake):
    history = LakeHistory(lake)
    batches = list(history.batches(history.days(), ["carbon_g"], 3, staged=True))
    return [
        (batch.decisions.column("id").to_pylist(), batch.source.column("id").to_pylist())
        for batch in batches
    ], batches


def test_a_replay_reads_decisions_that_lie_away_and_goes_on_when_they_go(lake):
    for at in range(5):
        decide(lake, at)
    small, under_way = replayed(lake)
    wall = Wall()
    Packer(lake, TABLES).pack(TOMORROW)
    shipper(lake, wall).ship(TOMORROW)
    decide(lake, 5)
    wall.now += GRACE
    assert shipper(lake, wall).drop(TOMORROW).gone == 3

    away, _ = replayed(lake)

    flat = [[each for part in found for each in part[1]] for found in (small, away)]
    assert flat[1] == [*flat[0], "baseline", "c5"]
    assert [each.source.column("id").to_pylist() for each in under_way] == [e[1] for e in small]


class Down:
    """A store that does not answer from some call on."""

    def __init__(self, store, calls):
        self._store, self._left = store, calls

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if name not in ("size", "put", "found", "opened", "read", "remove"):
            return found

        def call(*values):
            self._left -= 1
            if self._left < 0:
                raise self._store.away(name, "no route to host")
            return found(*values)

        return call


@pytest.mark.parametrize("calls", range(6))
def test_a_store_that_goes_away_at_any_call_loses_and_doubles_nothing(lake, calls):
    down = Down(store_of(lake), calls)

    with suppress(Unreachable):
        shipper(lake, store=down).ship(TOMORROW)
    between = sum_j(lake)
    shipper(lake).ship(TOMORROW)

    assert between == sum_j(lake) == {"shop": 12 * 1.5}
    assert shipper(lake).ship(TOMORROW) == Sent()


def test_a_copy_here_stays_where_the_store_does_not_hold_it(lake, tmp_path):
    wall = Wall()
    shipper(lake, wall).ship(TOMORROW)
    wall.now += GRACE
    (name,) = away(tmp_path)
    next((tmp_path / "away").rglob(name)).unlink()

    assert shipper(lake, wall).drop(TOMORROW).gone == 0
    assert here(lake) == ["0-packed-1.v2.parquet"]


def test_sums_tell_that_the_store_is_away_rather_than_too_little(lake, tmp_path):
    wall = Wall()
    shipper(lake, wall).ship(TOMORROW)
    wall.now += GRACE
    shipper(lake, wall).drop(TOMORROW)
    (tmp_path / "away").rename(tmp_path / "gone")

    with pytest.raises(Unreachable, match="GO0420"):
        sum_j(lake)
    (tmp_path / "away").mkdir()
    with pytest.raises(Unreachable, match="holds nothing of day=2026-11-23"):
        sum_j(lake)
    assert measured_runs(lake.parent, "shop", NOON.date()) == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host/bucket", "begins with none of"),
        ("s3://", "names no bucket"),
        ("s3://key:secret@bucket/x", "credentials"),
        ("s3://bucket?colour=red", "unknown option `colour`"),
        ("bucket", "begins with none of"),
    ],
)
def test_a_wrong_address_is_told_at_once_and_without_its_secrets(url, why):
    with pytest.raises(UsageError, match=why) as told:
        store_at(url)

    assert told.value.code == "GO0421"
    assert "secret" not in str(told.value)


def test_a_lake_goes_on_at_one_address(lake, tmp_path):
    with pytest.raises(UsageError, match="is not where this lake has files"):
        keep_store(lake, f"file://{tmp_path}/elsewhere")

    (lake / "store.json").write_text("{")
    with pytest.raises(InvalidFile, match="GO0421"):
        store_of(lake)
