"""What the lake keeps of a span, beside what the span was on the wire."""

from __future__ import annotations

import gzip
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_places import parts
from greenops.adapters.lake_read import Wanted, span_tables
from greenops.adapters.parquet_lake import SPANS, TABLES, ParquetLake
from tests.bench.collect_parts.spans import FIRST_US, message, spans
from tests.bench.collect_parts.store import DOWN_S, SHORT_S, lost
from tests.bench.common.figures import Figure

SPANS_OF_AN_HOUR = 400_000
FILES = 100
"""Small files of the hour; a receiver writes one every two seconds."""
SAMPLE = 4_000
"""Spans that are written as OTLP, a message of them."""
DAY = datetime.fromtimestamp(FIRST_US / 1e6, UTC).date()


def figures(*, full=False):
    """Bytes of a packed span, and spans lost while the store is down; `full` takes ten times as many, five minutes."""
    count = SPANS_OF_AN_HOUR * (10 if full else 1)
    crossing = packed(count, crossing=True)
    alone = packed(SPANS_OF_AN_HOUR, crossing=False)
    sent = message(spans(SAMPLE, crossing=True)).SerializeToString()
    notes = {
        "lake_bytes_per_span_small_files": crossing["small"],
        "lake_bytes_per_span_of_traces_in_one_service": alone["packed"],
        "otlp_bytes_per_span": len(sent) / SAMPLE,
        "otlp_gzip_bytes_per_span": len(gzip.compress(sent, 6)) / SAMPLE,
        "lake_pack_spans_per_cpu_s": crossing["pack_rate"],
        "lake_read_keys_and_sums_rows_per_cpu_s": crossing["read_rate"],
        "lake_read_of_one_service_of_8": crossing["part_read"],
    }
    text = "packed; traces over two services"
    found = [Figure("lake_bytes_per_span", crossing["packed"], 60, 42, at_most=True, note=text)]
    down, seconds = lost(full=full), DOWN_S if full else SHORT_S
    text = f"store down {seconds:g} s" if down else "no SeaweedFS; `make peers-seaweedfs`"
    missing = down[0] if down else None
    found.append(Figure("lake_lost_with_store_down", missing, 0, 0, at_most=True, note=text))
    if down:
        notes["lake_kept_with_store_down_spans"] = down[1]
    return found, notes


def packed(count, *, crossing):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake, each, rows = ParquetLake(folder), count // FILES, 0
        for at in range(FILES):
            # Each file is a stretch of the hour, as a receiver's are.
            hours = 1 / FILES
            first = FIRST_US + int(at * hours * 3_600_000_000)
            some = spans(each, crossing=crossing, seed=at, hours=hours, first_us=first)
            lake.write_span_table(some, f"{at:012d}-{at:032x}")
            rows += len(some)
        before = fingerprint(folder)
        small = bytes_of(folder) / rows
        spent = time.process_time()
        Packer(folder, TABLES).pack(DAY + timedelta(days=1))
        spent = time.process_time() - spent
        # Smaller is no gain where it is not the same.
        if fingerprint(folder) != before:
            raise SystemExit("packing changed what the lake says")
        found = {"small": small, "packed": bytes_of(folder) / rows, "pack_rate": rows / spent}
        return found | reading(folder, rows)


def reading(folder, rows):
    columns = ["trace_bytes", "span_bytes", "time", "service", "workload", "energy_j", "carbon_g"]
    spent = time.process_time()
    whole = sum(map(len, tables(folder, columns)))
    spent = time.process_time() - spent
    assert whole == rows
    alone = time.process_time()
    sum(map(len, tables(folder, columns, Wanted(service="service-3"))))
    alone = time.process_time() - alone
    return {"read_rate": rows / spent, "part_read": alone / spent}


def tables(folder, columns, wanted=None):
    day = folder / "v1" / "spans" / f"day={DAY}"
    for part in parts(day, pa.OSFile):
        yield from span_tables(part, columns, wanted or Wanted())


def fingerprint(folder):
    """Every row in every column, in the order of span ids."""
    whole = pa.concat_tables(tables(folder, SPANS.names)).sort_by("span_id")
    plain = [
        each.with_type(pa.string()) if pa.types.is_dictionary(each.type) else each for each in SPANS
    ]
    return [each.combine_chunks() for each in whole.cast(pa.schema(plain)).columns]


def bytes_of(folder):
    return sum(each.stat().st_size for each in folder.rglob("*.parquet"))
