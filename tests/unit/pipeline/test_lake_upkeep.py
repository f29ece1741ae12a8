"""What is due to a lake is done: sent, removed when old, and asked again later and later while the store is down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.lake_shipping import GRACE
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.config import Settings
from greenops.domain.spans import SpanRow
from greenops.errors import UsageError
from greenops.pipeline.lake_packing import Packing
from greenops.pipeline.lake_upkeep import retention_of, upkeep_of
from greenops.testing.clock import FakeClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def write(state, days=0):
    at = NOON + timedelta(days=days)
    known = {"trace_id": "a", "span_id": f"{days}", "service": "shop", "name": "order"}
    times = dict.fromkeys(("start", "end", "time"), at)
    row = SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known | times)
    ParquetLake(state / "lake").write_spans([row], f"{days:012d}-run")


def files(folder):
    return sorted(each.parent.name for each in folder.rglob("*.parquet"))


def packing(settings, clock):
    return Packing(settings.state / "lake", clock, upkeep=upkeep_of(settings, clock))


def test_a_day_goes_away_once_it_is_over_and_from_here_once_it_is_old(tmp_path):
    settings = Settings(state=tmp_path / "state", lake_url=f"file://{tmp_path}/away")
    write(settings.state)
    clock = FakeClock(NOON + timedelta(days=1))
    work = packing(settings, clock)

    work.once()
    assert files(tmp_path / "away") == files(settings.state) == ["day=2026-11-23"]
    clock.sleep(timedelta(days=settings.lake_keep_local_days) + GRACE)
    work.once()

    assert files(settings.state) == []
    assert files(tmp_path / "away") == ["day=2026-11-23"]


def test_days_that_are_older_than_is_allowed_go_here_and_away(tmp_path, caplog):
    settings = Settings(
        state=tmp_path / "state",
        lake_url=f"file://{tmp_path}/away",
        lake_retention_days="spans=2",
        lake_keep_local_days=0,
    )
    for days in range(3):
        write(settings.state, days)
    clock = FakeClock(NOON + timedelta(days=3))
    packing(settings, clock).once()

    clock.sleep(timedelta(days=1))
    packing(settings, clock).once()

    assert files(tmp_path / "away") == ["day=2026-11-25"]
    assert files(settings.state) == []
    assert "older than 2 days" in caplog.text


def test_a_store_that_is_down_is_asked_later_and_later_and_told_of_once(tmp_path, caplog):
    settings = Settings(state=tmp_path / "state", lake_url=f"file://{tmp_path}/away")
    write(settings.state)
    clock = FakeClock(NOON + timedelta(days=1))
    upkeep = upkeep_of(settings, clock)
    work = Packing(settings.state / "lake", clock, upkeep=upkeep)
    (tmp_path / "away").rmdir()
    (tmp_path / "away").write_text("no folder")

    waits = [upkeep.wait_s(900.0)]
    for _ in range(9):
        work.once()
        waits.append(upkeep.wait_s(900.0))

    assert waits == [900, 5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert [each.message.partition(" ")[0] for each in caplog.records] == ["GO0420"]
    assert files(settings.state) == ["day=2026-11-23"]
    (tmp_path / "away").unlink()
    work.once()
    assert upkeep.wait_s(900.0) == 900.0
    assert files(tmp_path / "away") == ["day=2026-11-23"]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("", {}),
        ("30", dict.fromkeys(TABLES, 30)),
        ("spans=30, accounts=90", {"spans": 30, "accounts": 90}),
    ],
)
def test_retention_is_one_number_or_one_for_each_table(text, days):
    assert retention_of(text) == days


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0", "from 1, not `0`"),
        ("soon", "from 1, not `soon`"),
        ("spans=-1", "not `spans=-1`"),
        ("spnas=3", "did you mean `spans`?"),
    ],
)
def test_a_wrong_retention_stops_the_start(tmp_path, text, line):
    settings = Settings(state=tmp_path, lake_retention_days=text)

    with pytest.raises(UsageError) as told:
        upkeep_of(settings, FakeClock(NOON))

    assert line in str(told.value)


def test_what_was_sent_goes_from_here_though_nothing_can_be_packed(tmp_path, caplog):
    settings = Settings(
        state=tmp_path / "state", lake_url=f"file://{tmp_path}/away", lake_keep_local_days=0
    )
    write(settings.state)
    clock = FakeClock(NOON + timedelta(days=1))
    work = packing(settings, clock)
    work.once()
    (settings.state / "lake" / "v1" / "packing.lock").unlink()
    (settings.state / "lake" / "v1" / "packing.lock").mkdir()

    clock.sleep(GRACE)
    work.once()

    assert [each.message.partition(" ")[0] for each in caplog.records] == ["GO0411"]
    assert files(settings.state) == []
