"""The real Collector with our configuration puts on spans what our Python path does, and goes on while tables change."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from greenops.adapters import collector_files, language_model_file
from greenops.adapters.clock import SystemClock
from greenops.adapters.factor_file import FactorFile
from greenops.observe import attributes as names
from greenops.observe.enrichment import CARBON_REASONS, REASONS, WANTED, Enricher
from greenops.observe.enrichment_batch import SeenSpan, batch_of
from greenops.observe.enrichment_tables import (
    EnrichmentTables,
    RegionRow,
    coefficients,
    region_rows_at,
)
from greenops.pipeline.collector_config import Wiring
from greenops.pipeline.collector_here import files_of
from greenops.pipeline.collector_tables import FILES, parse
from greenops.testing.collected_spans import CollectedSpan, SpanMaker

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow, pytest.mark.untraced]

FACTORS = FactorFile(None).table()
NOW = SystemClock.from_environment().wall()
NOW_NS = int(NOW.timestamp() * 1000) * 1_000_000
HOUR = timedelta(hours=1)


def tables(intensity: float = 250.0) -> EnrichmentTables:
    """The shipped ones, with regions whose rows have begun, have ended, or know no intensity."""
    rows = {row.region: row for row in region_rows_at(FACTORS, NOW)}
    made = (
        RegionRow("live-1", "DE", 1.2, intensity, NOW - HOUR, NOW + HOUR),
        RegionRow("late-1", "DE", 1.3, 300.0, NOW - 3 * HOUR, NOW - timedelta(seconds=30)),
        RegionRow("dark-1", "DE", 1.3, None),
    )
    rows.update({row.region: row for row in made})
    return EnrichmentTables(
        coefficients(language_model_file.shipped()),
        tuple(rows[region] for region in sorted(rows)),
        {"nightly-embed": 120.5, 'odd "name"\\ $HOME': 33.0},
        "1f" * 32,
    )


def maker(seed: int, of: EnrichmentTables) -> SpanMaker:
    return SpanMaker(
        seed,
        models=[each.name for each in of.models],
        regions=["live-1", "late-1", "dark-1", "eu-central-1", "eastus", "af-south-1"],
        workloads=list(of.watts),
        now_ns=NOW_NS,
    )


def ours(spans: Sequence[CollectedSpan], of: EnrichmentTables) -> list[dict[str, object]]:
    """Attributes of each span after our Python path."""
    seen = [
        SeenSpan(each.kind, not each.parent, each.start_ns, each.end_ns, row, each.attributes)
        for row, each in enumerate(spans)
    ]
    found = Enricher(of).enrich(batch_of(seen, [each.resource for each in spans], WANTED))
    rows = []
    for row, span in enumerate(spans):
        more: dict[str, object | None] = {
            names.ENERGY_METHOD: found.method_of(row),
            names.ENERGY_UNKNOWN: found.unknown_of(row),
            names.CARBON_UNKNOWN: found.carbon_unknown_of(row),
            names.ENERGY_SELF: _number(found.energy_j[row]),
            names.CARBON_SELF: _number(found.carbon_g[row]),
        }
        rows.append({**span.attributes, **{k: v for k, v in more.items() if v is not None}})
    return rows


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def same(found: dict[str, object], expected: dict[str, object]) -> bool:
    if found.keys() != expected.keys():
        return False
    return all(_alike(value, expected[key]) for key, value in found.items())


def _alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    return one == other


class Agent:
    """The real Collector as `collector render --role agent` has it."""

    def __init__(self, folder: Path, sink: Any, run: Any, ports: Any, binary: Path) -> None:
        self.folder = folder
        grpc_port, http_port, health_port = ports(3)
        self.wiring = Wiring(
            tables=folder,
            grpc_port=grpc_port,
            http_port=http_port,
            health_port=health_port,
            upstream=f"127.0.0.1:{sink.port}",
        )
        self.write(tables())
        self.running = run(
            [str(binary), f"--config={folder / 'otelcol.yaml'}"], grpc_port, folder / "log.txt"
        )

    def write(self, of: EnrichmentTables) -> None:
        collector_files.write(self.folder, files_of("agent", of, self.wiring))

    def tables(self) -> EnrichmentTables:
        return parse(collector_files.read(self.folder, FILES))


@pytest.fixture
def agent(tmp_path: Path, sink: Any, run: Any, ports: Any, otelcol: Path) -> Agent:
    return Agent(tmp_path, sink, run, ports, otelcol)


@pytest.mark.feature("J1")
def test_ten_thousand_spans_come_out_of_the_collector_as_out_of_our_python(
    agent: Agent, sink: Any, make_request: Callable[..., Any]
) -> None:
    spans = maker(6, tables()).spans(10_000)

    for first in range(0, len(spans), 1000):
        agent.running.send(make_request(spans[first : first + 1000], first))
    sink.wait_for(len(spans))

    expected = ours(spans, agent.tables())
    wrong = [
        (spans[row], sink.spans[row + 1], want)
        for row, want in enumerate(expected)
        if not same(sink.spans[row + 1], want)
    ]
    assert not wrong, f"{len(wrong)} differ, such as {wrong[0]}"
    told = Counter(str(each.get(names.ENERGY_UNKNOWN)) for each in expected)
    assert set(told) >= {*REASONS[1:], "None"}
    carbon = Counter(str(each.get(names.CARBON_UNKNOWN)) for each in expected)
    assert set(carbon) >= {*CARBON_REASONS[1:], "None"}
    assert sum(names.CARBON_SELF in each for each in expected) > 1000
