"""Finished days are packed beside everything else, and a fault is a line in the log."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli.main import main
from greenops.domain.spans import SpanRow
from greenops.pipeline.lake_packing import MARGIN, Packing, pack
from greenops.testing.clock import FakeClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    folder = tmp_path / "lake"
    for at in range(3):
        known = {"trace_id": "a", "span_id": f"{at}", "service": "shop", "name": "order"}
        times = dict.fromkeys(("start", "end", "time"), NOON)
        row = SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known | times)
        ParquetLake(folder).write_spans([row], f"{at:012d}-run")
    return folder


def files(lake):
    return sorted(each.name for each in (lake / "v1" / "spans").glob("day=*/*"))


def test_a_simulated_day_is_packed_once_it_is_over_by_a_margin(lake):
    clock = FakeClock(MIDNIGHT + MARGIN - timedelta(seconds=1))

    assert pack(lake, clock).days == 0
    clock.sleep(timedelta(seconds=1))
    assert pack(lake, clock).days == 1
    assert files(lake) == ["0-packed-1.v2.parquet"]


def test_the_thread_packs_and_ends_when_it_is_told(lake):
    packing = Packing(lake, FakeClock(MIDNIGHT + timedelta(days=1)), every_s=0.01)
    done = threading.Event()
    packing._packer.tables = _Watched(packing._packer.tables, done)

    packing.start()
    assert done.wait(20)
    packing.close()

    assert files(lake) == ["0-packed-1.v2.parquet"]
    assert not packing._thread.is_alive()


class _Watched(dict):
    """Tables that tell when all of them were gone through a second time."""

    def __init__(self, tables, done):
        super().__init__(tables)
        self._done, self._times = done, 0

    def items(self):
        self._times += 1
        if self._times == 2:
            self._done.set()
        return super().items()


def test_a_fault_is_one_line_and_the_next_look_tries_again(lake, caplog):
    packing = Packing(lake, FakeClock(MIDNIGHT + timedelta(days=1)))
    lock = lake / "v1" / "packing.lock"
    lock.mkdir()

    assert packing.once().days == 0
    lock.rmdir()

    assert [each.message.partition(" ")[0] for each in caplog.records] == ["GO0411"]
    assert "\n" not in caplog.records[0].message
    assert packing.once().days == 1


def test_a_person_can_pack_at_once(lake, capsys):
    assert main(["lake", "pack", "--state", str(lake.parent)]) == 0
    assert main(["lake", "pack", "--state", str(lake.parent)]) == 0

    assert capsys.readouterr().out == "packed 3 files into 1: 3 rows\nnothing to pack\n"
