"""What the lake takes it gives back, by rows and by columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from greenops.adapters.parquet_lake import SPANS, ParquetLake
from greenops.domain.spans import SpanRow

NOW = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)


def span(number, at=NOW):
    known = {
        "trace_id": f"{number // 4:032x}",
        "span_id": f"{number:016x}",
        "service": "shop",
        "name": "order",
        "kind": "SERVER",
        "start": at,
        "end": at,
        "time": at,
        "energy_j": 1.5,
        "attributes": {"n": str(number)},
    }
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known)


def table_of(rows):
    values = [
        {name: getattr(row, name) for name in SPANS.names if name != "attributes"}
        | {"attributes": list(row.attributes.items())}
        for row in rows
    ]
    return pa.Table.from_pylist(values, schema=SPANS)


def test_spans_in_columns_lie_by_day_as_spans_in_rows_do(tmp_path):
    rows = [span(at, NOW + timedelta(seconds=20 * at)) for at in range(8)]
    ParquetLake(tmp_path / "rows").write_spans(rows, "1-run")

    ParquetLake(tmp_path / "columns").write_span_table(table_of(rows), "1-run")

    assert list(ParquetLake(tmp_path / "columns").spans()) == rows
    files = [
        {str(e.relative_to(tmp_path / kind)) for e in (tmp_path / kind).rglob("*.parquet")}
        for kind in ("rows", "columns")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 2


def test_a_segment_in_columns_that_is_written_again_replaces_itself(tmp_path):
    lake = ParquetLake(tmp_path)

    lake.write_span_table(table_of([span(1)]), "1-run")
    lake.write_span_table(table_of([span(1), span(2)]), "1-run")

    assert list(lake.spans()) == [span(1), span(2)]
