"""The processor that stands alone in rotel says of each span what our columns say."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenops.adapters import language_model_file, rotel_processor
from greenops.adapters.factor_file import FactorFile
from greenops.observe import attributes as names
from greenops.observe import gen_ai, model_names
from greenops.observe.enrichment import RUN_NAMES, WANTED, Enricher
from greenops.observe.enrichment_batch import SeenSpan, batch_of
from greenops.observe.enrichment_tables import EnrichmentTables, coefficients, region_rows_at
from greenops.pipeline.collector_tables import texts
from greenops.testing.collected_spans import SpanMaker

NOW = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
TABLES = EnrichmentTables(
    coefficients(language_model_file.shipped()),
    region_rows_at(FactorFile(None).table(), NOW),
    {"nightly": 120.5},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in texts(TABLES).items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_span_by_span_it_says_what_the_columns_say(folder: Path) -> None:
    maker = SpanMaker(
        11,
        models=[each.name for each in TABLES.models],
        regions=["eu-central-1", "eastus", "af-south-1"],
        workloads=["nightly"],
        now_ns=int(NOW.timestamp()) * 10**9,
    )
    spans = maker.spans(3000)
    seen = [
        SeenSpan(each.kind, not each.parent, each.start_ns, each.end_ns, row, each.attributes)
        for row, each in enumerate(spans)
    ]
    found = Enricher(TABLES).enrich(batch_of(seen, [each.resource for each in spans], WANTED))
    known = rotel_processor.Tables(folder)

    for row, span in enumerate(spans):
        more = rotel_processor.enrich(
            span.kind,
            not span.parent,
            span.start_ns,
            span.end_ns,
            dict(span.attributes),
            dict(span.resource),
            known,
        )
        energy, carbon = (
            more.pop(names.ENERGY_SELF, math.nan),
            more.pop(names.CARBON_SELF, math.nan),
        )
        assert energy == pytest.approx(found.energy_j[row], rel=1e-12, nan_ok=True)
        assert carbon == pytest.approx(found.carbon_g[row], rel=1e-12, nan_ok=True)
        told = {
            names.ENERGY_METHOD: found.method_of(row),
            names.ENERGY_UNKNOWN: found.unknown_of(row),
            names.CARBON_UNKNOWN: found.carbon_unknown_of(row),
        }
        assert more == {name: value for name, value in told.items() if value is not None}


def test_it_reads_the_spellings_that_gen_ai_reads() -> None:
    # It imports nothing of ours, so its lists are its own.
    for name in ("MODEL", "INPUT", "OUTPUT", "CACHE_READ", "CACHE_CREATION", "REASONING"):
        assert getattr(rotel_processor, name) == getattr(gen_ai, name)
    assert set(rotel_processor.CALLS) == gen_ai.CALLS
    assert rotel_processor.RUN_NAMES == RUN_NAMES
    assert rotel_processor.VENDOR.pattern == model_names.VENDOR.pattern


def test_it_takes_a_changed_table_and_keeps_the_last_good_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(rotel_processor, "HERE", folder)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(rotel_processor, "_Current", type("_Current", (), {"tables": None, "stamps": (), "next_look": 0.0}))  # fmt: skip

    def watts(text: str) -> dict[str, float]:
        now[0] += 2
        (folder / "workloads.csv").write_text(text)
        found = rotel_processor.tables()
        assert found is not None
        return found.watts

    assert watts("workload,watts\na,1\n") == {"a": 1.0}
    assert watts("workload,watts\na,23\n") == {"a": 23.0}
    assert watts("workload,watts\na,a lot\n") == {"a": 23.0}
    assert watts("workload,watts\nb,4\n") == {"b": 4.0}
