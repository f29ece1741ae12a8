from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenops.adapters.meter_log import MeterLog
from greenops.testing.meters import SyntheticMeter


def test_each_reading_is_a_line_with_laps_added(tmp_path: Path) -> None:
    meter = SyntheticMeter(watts={"a": 1.0}, wrap=2.0, quantum=0.5, monotonic_ns=lambda: 7)
    log = MeterLog(meter, tmp_path / "log" / "search-1.jsonl")

    for _ in range(5):
        log.read()
        meter.work("a", 1.5)
    log.close()

    lines = [
        json.loads(line) for line in (tmp_path / "log/search-1.jsonl").read_text().splitlines()
    ]
    assert [line["joules"] for line in lines] == pytest.approx([0, 1.5, 3.0, 4.5, 6.0])
    assert {line["device"] for line in lines} == {"package-0"}
    assert {line["at_ns"] for line in lines} == {7}
    assert meter.closed


def test_a_log_that_cannot_be_written_does_not_stop_the_meter(tmp_path: Path) -> None:
    meter = SyntheticMeter(watts={"a": 1.0}, quantum=0.5)
    log = MeterLog(meter, tmp_path / "log.jsonl")
    log._file.close()
    meter.work("a", 1.0)

    assert log.read().joules == 1.0
