"""What tests of imports share: samples, a command that must succeed, and what the lake then holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.reported_lake import ReportedLake
from greenops.cli.main import main
from greenops.domain.reported import Amount
from greenops.domain.spans import SpanRow
from greenops.pipeline.reported import energy_of

SAMPLES = Path(__file__).parents[2] / "data" / "imports" / "foreign"
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def bring(state: Path, *argv: str) -> None:
    assert main(["import", *argv, "--state", str(state)]) == 0


def told(capsys: pytest.CaptureFixture[str], state: Path, *argv: str) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    bring(state, *argv, "-o", "json")
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], state: Path, *argv: str, code: int = 2) -> str:
    """The one line of a command that must not succeed, and leaves nothing in the lake."""
    capsys.readouterr()
    assert main(["import", *argv, "--state", str(state)]) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not list(state.glob("lake/**/*.parquet"))
    return said


def amounts(state: Path) -> list[Amount]:
    return list(ReportedLake(state / "lake").amounts())


def energies(state: Path) -> list[Amount]:
    return energy_of(ReportedLake(state / "lake").readings())


def files(state: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file of the lake."""
    found = sorted(state.glob("lake/**/*.parquet"))
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def span(number: int, **given: Any) -> SpanRow:
    """A request that was answered on the second of October, with all that a sum asks of it."""
    end = OCTOBER + timedelta(days=1, seconds=number)
    whole: dict[str, Any] = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "parent_id": None,
        "service": "checkout",
        "instance": None,
        "workload": "checkout",
        "name": "POST /order",
        "kind": "SERVER",
        "start": end - timedelta(seconds=1),
        "end": end,
        "time": end,
        "energy_j": 10.0,
        "energy_low_j": 8.0,
        "energy_high_j": 14.0,
        "carbon_g": 100.0,
        "cost_usd": None,
        "method": "measured",
        "unknown": None,
        "region": "eu-central-1",
        "grid_zone": "DE",
        "decision_id": None,
        "attributes": {},
    }
    return SpanRow(**{**whole, **given})


def write(state: Path, *rows: SpanRow) -> None:
    ParquetLake(state / "lake").write_spans(rows, "test")
