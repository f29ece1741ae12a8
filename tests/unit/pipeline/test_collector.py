"""What a Collector is given: tables that come back as they went, configurations that hang together."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from greenops.adapters import language_model_file
from greenops.adapters.factor_file import FactorFile
from greenops.cli.main import main
from greenops.config import Settings
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.replay import Replay
from greenops.errors import InvalidFile
from greenops.observe.enrichment_tables import (
    END,
    EnrichmentTables,
    coefficients,
    region_rows,
    region_rows_at,
)
from greenops.pipeline.collector_config import Role, Wiring, configuration, enrichment
from greenops.pipeline.collector_here import FreshTables
from greenops.pipeline.collector_ottl import statements
from greenops.pipeline.collector_ottl_words import number
from greenops.pipeline.collector_tables import FILES, REGIONS, parse, texts
from greenops.testing.clock import FakeClock

NOW = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
FACTORS = FactorFile(None).table()
TABLES = EnrichmentTables(
    coefficients(language_model_file.shipped()),
    region_rows_at(FACTORS, NOW),
    {"nightly": 120.5, "with, comma": 1e-05},
    FACTORS.version,
)
WIRING = Wiring(tables=PurePosixPath("/etc/greenops"), traces="tempo:4317", dcgm="localhost:9400")


def factors(*values: float) -> FactorTable:
    kind = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False)
    hour = timedelta(hours=1)
    series = IntensitySeries("DE", kind, NOW.replace(minute=0), hour, values)  # type: ignore[arg-type]
    here = RegionFactors("here", "DE", 1.2, series=series, annual=300.0)  # type: ignore[arg-type]
    regions = {"here": here}
    from greenops.grid.factors import version

    return FactorTable(version(regions), regions)


def test_tables_come_back_from_csv_to_the_bit() -> None:
    assert parse(texts(TABLES)) == TABLES


@pytest.mark.parametrize(
    ("was", "became", "why"),
    [
        ("pue,", "pu,", "no column `pue`"),
        (",1.24,", ",a lot,", "could not convert"),
        (",1.24,", ",-1,", "`-1` is no amount"),
        ("+00:00", "", "no time zone"),
    ],
)
def test_a_wrong_table_is_named_with_its_row(was: str, became: str, why: str) -> None:
    files = texts(TABLES)
    files[REGIONS] = files[REGIONS].replace(was, became, 1)

    with pytest.raises(InvalidFile, match=why) as caught:
        parse(files, "tables")

    assert re.search(r"tables/regions.csv:\d+", str(caught.value))


def test_each_map_of_the_statements_holds_every_region_and_name() -> None:
    text = json.dumps(statements(TABLES))

    for row in TABLES.regions:
        assert text.count(f'\\"{row.region}\\":{{') == 4
    for each in TABLES.models:
        assert text.count(f'\\"{each.name}\\":{{') == 2


def test_a_table_of_several_instants_is_no_table_of_a_collector() -> None:
    with pytest.raises(ValueError, match="several rows"):
        statements(EnrichmentTables((), region_rows(factors(1.0, 2.0))))


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-05, 5e-324, 1.7976931348623157e308, 1 / 3])
def test_a_number_keeps_its_digits_and_has_a_point(value: float) -> None:
    text = number(value)

    assert float(text) == value
    assert re.fullmatch(r"(\d+\.\d*|\d*\.\d+)([eE][-+]?\d+)?", text)


def test_no_dollar_of_a_pattern_is_taken_for_a_variable() -> None:
    text = enrichment(TABLES)

    assert not re.search(r"(?<!\$)\$(\$\$)*(?!\$)", text)
    lines = json.dumps(yaml.safe_load(text))
    assert "(?:-|$$)" in lines


@pytest.mark.parametrize("role", Role)
def test_each_pipeline_is_made_of_what_the_configuration_declares(role: Role) -> None:
    found: dict[str, Any] = yaml.safe_load(configuration(role, WIRING))

    connectors = found.get("connectors") or {}
    ends = {
        "receivers": {*found["receivers"], *connectors},
        "processors": set(found["processors"]),
        "exporters": {*found["exporters"], *connectors},
    }
    for name, pipeline in found["service"]["pipelines"].items():
        for part, known in ends.items():
            assert set(pipeline[part]) <= known, f"{name}: {part}"
        assert pipeline["processors"][0] == "memory_limiter"
    used = {
        part: {each for p in found["service"]["pipelines"].values() for each in p[part]}
        for part in ends
    }
    assert set(found["processors"]) == used["processors"]
    assert set(found["exporters"]) <= used["exporters"]


def test_a_gateway_sums_before_it_samples() -> None:
    found: dict[str, Any] = yaml.safe_load(configuration(Role.GATEWAY, WIRING))

    pipelines = found["service"]["pipelines"]
    assert "tail_sampling" not in pipelines["traces/all"]["processors"]
    assert {"signal_to_metrics", "otlp/greenops"} == set(pipelines["traces/all"]["exporters"])  # fmt: skip
    assert pipelines["traces/sampled"]["exporters"] == ["otlp/traces"]
    assert "tail_sampling" in pipelines["traces/sampled"]["processors"]


def test_without_a_trace_store_nothing_is_sampled() -> None:
    wiring = Wiring(tables=PurePosixPath("/etc/greenops"))
    found: dict[str, Any] = yaml.safe_load(configuration(Role.GATEWAY, wiring))

    assert set(found["service"]["pipelines"]) == {"traces/all", "metrics"}
    assert "tail_sampling" not in found["processors"]


def test_an_agent_that_forwards_needs_no_tables() -> None:
    text = configuration(Role.AGENT, Wiring(tables=None))

    assert "transform/greenops" not in text
    assert "${file:" not in text


def test_serve_writes_fresh_tables_and_leaves_alone_what_is_the_same(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    FactorFile(tmp_path / "factors.json").write(factors(100.0, 200.0, 300.0))
    fresh = FreshTables(Settings(state=tmp_path), clock, ())

    first = fresh.look()
    again = fresh.look()
    clock.advance(timedelta(minutes=1))
    same = fresh.look()
    clock.advance(timedelta(hours=1))
    later = fresh.look()

    assert {path.name for path in first} == {*FILES, "enrichment.yaml"}
    assert again == []
    assert same == []
    assert {path.name for path in later} == {REGIONS, "enrichment.yaml"}
    folder = tmp_path / "collector"
    (row,) = parse({name: (folder / name).read_text() for name in FILES}).regions
    assert row.intensity == pytest.approx(200.0)


def test_tables_that_cannot_be_written_are_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock(NOW)
    (tmp_path / "collector").write_text("in the way")
    fresh = FreshTables(Settings(state=tmp_path), clock, ())

    for _ in range(3):
        assert fresh.look() == []
        clock.advance(timedelta(minutes=1))

    assert len(caplog.records) == 1
    assert "GO0921" in caplog.text


def test_in_a_replay_no_table_is_stale(tmp_path: Path) -> None:
    FactorFile(tmp_path / "factors.json").write(factors(100.0, 200.0))
    clock = FakeClock(NOW, Replay(NOW, NOW, 60.0))

    FreshTables(Settings(state=tmp_path), clock, ()).look()

    folder = tmp_path / "collector"
    (row,) = parse({name: (folder / name).read_text() for name in FILES}).regions
    assert (row.intensity, row.valid_until) == (100.0, END)


@pytest.mark.parametrize("role", ["agent", "gateway", "rotel"])
def test_render_writes_a_folder_and_the_same_again_nothing(
    role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["collector", "render", "--role", role, "-o", str(tmp_path), "--state", str(tmp_path)]

    assert main(line) == 0
    first = capsys.readouterr().out.splitlines()
    assert main(line) == 0
    again = capsys.readouterr().out

    known = {"rotel": {"greenops_rotel.py"}}.get(role, {"otelcol.yaml", "enrichment.yaml"})
    assert {Path(each).name for each in first} == {*FILES, *known}
    assert not [line for line in again.splitlines() if not line.endswith(("regions.csv", "enrichment.yaml"))]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        (["render", "--role", "agent", "-o", "/proc/no"], 4, "GO0921"),
        (["render", "--role", "agent", "-o", "x", "--sample", "101"], 2, "GO0925"),
        (["check", "/no/such.yaml"], 2, "GO0924"),
        (["check", "pyproject.toml", "--collector", "/no/such"], 4, "GO0923"),
    ],
)
def test_wrong_use_is_one_line(
    line: list[str], code: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collector", *line]) == code

    said = capsys.readouterr().err
    assert why in said
    assert len(said.splitlines()) == 1
