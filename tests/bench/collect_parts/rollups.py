"""Rolling spans up, and questions over what came of it; DuckDB's GROUP BY over the same files beside.

The speed is of one process, as `greenops lake rollup` works, with a thread for each core; CPU time, and engines of two
workers, are beside. Of `greenops lake rollup` as a whole (looking which hours changed, rolling up, writing) the build
time is told.
"""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.lake_read import Wanted, span_tables
from greenops.adapters.process_engine import ProcessEngine
from greenops.adapters.ray_engine import RayEngine
from greenops.adapters.rollup_files import LEVELS, RollupFiles
from greenops.adapters.rollup_place import SpanFiles
from greenops.adapters.thread_engine import ThreadEngine
from greenops.pipeline.rollup_query import Question, RollupReader, most
from greenops.pipeline.rollup_survey import Survey, units
from greenops.pipeline.rollup_work import RollUp
from greenops.pipeline.rollups import refresh
from tests.bench.collect_parts.big_lake import HOUR_US, make
from tests.bench.collect_parts.spans import FIRST_US
from tests.bench.common.figures import Figure

FULL, SHORT = (50_000_000, 96), (6_000_000, 12)
"""Spans, and the hours that they are of."""
ROUNDS = 6
WORKERS = 2
FIRST = datetime.fromtimestamp(FIRST_US / 1e6, UTC)
HOUR = timedelta(hours=1)


def figures(*, full=False, spans=None):
    """Rows rolled up per second and how long questions take.

    Args:
        full: Fifty million spans.
        spans: As many as this, at the same number an hour.
    """
    count, hours = FULL if full else SHORT
    if spans is not None:
        hours = max(1, round(hours * spans / count))
        count = spans
    with tempfile.TemporaryDirectory() as name:
        lake = Path(name) / "lake"
        began = time.perf_counter()
        rows = make(lake, count, hours)
        os.sync()  # what was written goes to the disk now, not while files are read
        notes = {"rollup_lake_spans": rows, "rollup_lake_made_s": time.perf_counter() - began}
        rate, beside = speed(lake, hours)
        notes |= beside | duckdb_beside(lake) | engines(lake, rows)
        p95, more = questions(lake, hours)
    text = f"{rows:,} spans from files, each id looked up; one process, wall time, {os.cpu_count()} cores"
    return [
        Figure("rollup_rows_per_s", rate, 5e6, 20e6, note=text),
        Figure(
            "query_p95_ms", p95, 1000, 300, at_most=True,
            note=f"{rows:,} spans, nothing held in memory before each question",
        ),
    ], notes | more  # fmt: skip


def speed(lake, hours):
    """Rows a second with repeats looked for, and without; and what a whole refresh takes."""
    spans = SpanFiles.local(lake)
    work = [unit for day in spans.days() for unit in units_of(spans, day)]
    rates, notes = {}, {}
    # Loads what the first call loads, and takes from the system the memory that all later ones use again.
    list(ThreadEngine().run(RollUp(), work[:2]))
    for name, roll in (("", RollUp()), ("_without_looking_for_repeats", RollUp(distinct=False))):
        wall, spent = time.perf_counter(), time.process_time()
        rows = cells = 0
        # One after the other is let go, as `refresh` does once it is written.
        for each in ThreadEngine().run(roll, work):
            rows += each.spans
            cells += sum(len(table) for _, table in each.minutes)
        notes[f"rollup{name}_rows_per_cpu_s"] = rows / (time.process_time() - spent)
        rates[name] = rows / (time.perf_counter() - wall)
    notes["rollup_without_looking_for_repeats_rows_per_s"] = rates["_without_looking_for_repeats"]
    notes["rollup_spans_per_minute_cell"] = rows / cells
    wall, spent = time.perf_counter(), time.process_time()
    done = refresh(spans, RollupFiles.local(lake), ThreadEngine())
    notes["rollup_build_s"] = time.perf_counter() - wall
    notes["rollup_build_cpu_s"] = time.process_time() - spent
    notes["rollup_build_spans"] = done.spans
    spent = time.process_time()
    refresh(spans, RollupFiles.local(lake))
    notes["rollup_of_nothing_new_cpu_s"] = time.process_time() - spent
    for level in LEVELS:
        files = (lake / "v1" / "rollups" / level).rglob("*.parquet")
        notes[f"rollup_{level}_bytes_per_span"] = sum(e.stat().st_size for e in files) / done.spans
    return rates[""], notes


def units_of(spans, day):
    files = spans.of_day(day)
    listed = []
    for file in files:
        held = Survey()([file]).sources.values()
        mask = 0
        for each in held:
            mask |= each.hours
        listed.append((file, mask, sum(each.rows for each in held)))
    mask = 0
    for _, hours, _ in listed:
        mask |= hours
    return units(day, mask, listed)


def duckdb_beside(lake):
    """The same words and fewer sums by minute in DuckDB: rounded, each row as it comes, of the first eighth."""
    try:
        import duckdb
    except ImportError:
        return {"duckdb": "not installed"}
    files = sorted(str(each) for each in lake.rglob("0-packed-*.parquet"))
    files = files[: max(1, len(files) // 8)]
    with duckdb.connect() as connection:
        wall, spent = time.perf_counter(), time.process_time()
        found = connection.execute(
            "SELECT time_bucket(INTERVAL 1 MINUTE, time), service, workload, name, region, grid_zone, "
            'method, "unknown", "attributes.gen_ai.request.model", count(*), count(energy_j), '
            "sum(energy_j), sum(energy_j * energy_low_j_per_j + energy_low_j_rest), "
            "sum(energy_j * energy_high_j_per_j + energy_high_j_rest), "
            "sum(energy_j * carbon_g_per_j + carbon_g_rest), "
            "sum(energy_j * cost_usd_per_j + cost_usd_rest), sum(duration_us) "
            "FROM read_parquet(?) GROUP BY ALL",
            [files],
        ).fetchnumpy()
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
    rows = int(next(value for name, value in found.items() if name.startswith("count_star")).sum())
    return {
        "duckdb_group_by_rows_per_s": rows / wall,
        "duckdb_group_by_rows_per_cpu_s": rows / spent,
    }


def engines(lake, rows):
    """The whole refresh by two processes and by Ray with two workers, and whether they make the same."""
    notes = {}
    here = RollupFiles.local(lake)
    for name, make_engine in (("processes", ProcessEngine), ("ray", RayEngine)):
        there = RollupFiles(here.files, f"{here.folder}-{name}")
        engine = make_engine(WORKERS)
        try:
            list(engine.run(abs, [1]))  # starts the workers of a cluster
            began = time.perf_counter()
            refresh(SpanFiles.local(lake), there, engine)
            notes[f"rollup_{name}_rows_per_wall_s"] = rows / (time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001  (Ray may not be there; the figure is printed, not asked for)
            notes[f"rollup_{name}"] = str(error)[:120]
            continue
        finally:
            engine.close()
        notes[f"rollup_{name}_equal"] = all(
            here.read(here.path("hour", day)).equals(there.read(there.path("hour", day)))
            for day in here.days("hour")
        )
        shutil.rmtree(there.folder)
    return notes


def questions(lake, hours):
    """P95 of what a console asks [ms], each with a new reader; beside: the slowest kinds, and with one that stays."""
    rollups, spans = RollupFiles.local(lake), SpanFiles.local(lake)
    draw = np.random.default_rng(3)
    ends = FIRST + hours * HOUR
    trace = one_trace(spans, draw, hours)
    held = RollupReader(rollups)

    def asked(*words, **more):
        return lambda reader: reader.answer(Question(FIRST, ends, words, **more))

    def recent(reader):
        at = FIRST + int(draw.integers(0, hours)) * HOUR
        return reader.answer(Question(at, at + HOUR, ("service",), "minute"))

    def of_one(reader):
        service = f"service-{draw.integers(0, 8)}"
        where = {"service": service}
        return reader.answer(Question(FIRST, ends, ("operation",), "hour", where))

    kinds = {
        "totals_by_service_and_day": asked("service", step="day"),
        "top_operations": lambda reader: most(
            asked("service", "operation")(reader), "energy_j", 20
        ),
        "p95_by_operation": asked("operation"),
        "by_hour": asked("service", step="hour", durations=False),
        "one_service_by_hour": of_one,
        "why_unknown": asked("service", "unknown"),
        "by_model_and_zone": asked("model", "grid_zone"),
        "last_hour_by_minute": recent,
        "spans_of_one_trace": lambda _reader: trace_spans(spans, *trace),
        "an_hour_of_one_service_raw": lambda _reader: hour_raw(spans, draw, hours),
    }
    took = {name: [] for name in kinds}
    warm = []
    for _ in range(ROUNDS):
        for name, ask in kinds.items():
            began = time.perf_counter()
            found = ask(RollupReader(rollups))
            took[name].append((time.perf_counter() - began) * 1e3)
            assert len(found)
            if name not in ("spans_of_one_trace", "an_hour_of_one_service_raw"):
                ask(held)
                began = time.perf_counter()
                ask(held)
                warm.append((time.perf_counter() - began) * 1e3)
    everything = [each for times in took.values() for each in times]
    notes = {f"query_{name}_ms": float(np.median(times)) for name, times in took.items()}
    return float(np.percentile(everything, 95)), notes | {
        "query_held_p95_ms": float(np.percentile(warm, 95))
    }


def one_trace(spans, draw, hours):
    """A trace's id and an instant of it [us]."""
    at = FIRST + int(draw.integers(0, hours)) * HOUR
    file = next(each for each in spans.of_day(at.date()) if f"-{at.hour + 1}.v2" in each.path)
    table = next(iter(span_tables(file.open(), ["trace_bytes", "time"])))
    row = int(draw.integers(0, len(table)))
    return table["trace_bytes"][row].as_py(), table["time"].cast(pa.int64())[row].as_py()


def trace_spans(spans, trace, time_us):
    """All spans of a trace within ten minutes of an instant, whole."""
    window = Wanted(None, time_us - 600_000_000, time_us + 600_000_000)
    found = []
    columns = ["trace_bytes", "span_id", "parent_id", "service", "name", "start", "end", "energy_j"]
    for file in spans.of_day(datetime.fromtimestamp(time_us / 1e6, UTC).date()):
        for table in span_tables(file.open(), columns, window):
            mine = table.filter(pc.equal(table["trace_bytes"], pa.scalar(trace, pa.binary(16))))
            if len(mine):
                found.append(mine)
    return pa.concat_tables(found)


def hour_raw(spans, draw, hours):
    """Energy of each operation of one service in one hour, from the spans themselves."""
    hour = int(draw.integers(0, hours))
    begins = FIRST_US + hour * HOUR_US
    wanted = Wanted(f"service-{draw.integers(0, 8)}", begins, begins + HOUR_US)
    day = (FIRST + hour * HOUR).date()
    tables = [
        table
        for file in spans.of_day(day)
        for table in span_tables(file.open(), ["name", "energy_j"], wanted)
    ]
    whole = pa.concat_tables(tables).unify_dictionaries()
    return whole.group_by("name").aggregate([("energy_j", "sum")])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, help="as many spans; 520,000 an hour")
    parser.add_argument("--full", action="store_true", help="fifty million")
    asked_for = parser.parse_args()
    told, told_beside = figures(full=asked_for.full, spans=asked_for.spans)
    print(json.dumps({each.key: each.value for each in told} | told_beside, indent=1))
