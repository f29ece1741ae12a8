"""How long a look at what budgets have spent takes: the first, later ones, and a row at a time.

    python tests/bench/budgets.py [SPANS]

Makes a lake of a month: finished days with a packed file each, and a day in the making with a file every
quarter of an hour. The files were just written and come from memory, not from a disk; all budgets are of all work.
"""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import math
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[2]))

from greenops.adapters.lake_sums import LakeSums
from greenops.adapters.parquet_lake import SPANS, ParquetLake
from greenops.pipeline.beside import in_background
from greenops.pipeline.budgets import InForce, standing_of_budgets
from greenops.policy import compile_policies
from tests.bench.budget_rows import budgets_by_rows

DAYS, WORKLOADS, ROW_BY_ROW = 20, 40, 100_000
TODAY = datetime(2026, 11, DAYS + 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
BUDGETS = "---\n".join(
    f"""apiVersion: greenops.dev/v1alpha1
kind: Budget
metadata: {{name: {every}, owners: [a@example.com]}}
spec:
  period: {{every: {every}}}
  limit: {{carbonG: 1e9, costUsd: 1e9}}
  actions: [{{at: 80%, do: warn}}]
"""
    for every in ("month", "day", "week")
)


def main() -> None:
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    policies = compile_policies([("b.yaml", BUDGETS)])
    with tempfile.TemporaryDirectory() as folder:
        lake, each = Path(folder), spans // DAYS
        for day in range(1, DAYS + 1):
            write(lake, TODAY.replace(day=day), each, "0-packed-1", timedelta(days=1))
        print(
            f"{spans:,} spans in {DAYS} finished days, {WORKLOADS} workloads, 3 budgets of all work; read from memory"
        )
        sums = LakeSums(lake)
        states, first_s = timed(lambda: standing_of_budgets(policies, sums, TODAY))
        print(f"first look              {spans / first_s:12,.0f} spans/s   {first_s:8.2f} s")
        _, still_s = timed(lambda: standing_of_budgets(policies, sums, TODAY))
        print(f"later look, none new    {still_s * 1e3:12.1f} ms")
        waits = sorted(while_looking(policies, lake))
        median, most = waits[len(waits) // 2] * 1e3, waits[-1] * 1e3
        print(
            f"asked while looking     {median:12.2f} ms median, {most:.1f} ms most of {len(waits):,}"
        )
        looks = sorted(later(lake, sums, policies, each // 96))
        middle, worst = looks[len(looks) // 2], looks[-1]
        print(
            f"later look, {each // 96:,} new {middle * 1e3:12.1f} ms median, {worst * 1e3:.1f} ms most"
        )
        by_rows(policies, spans)
    print(
        f"spent of the month: {states[0].carbon_g:,.3f} gCO2e, {states[0].unknown:,} spans lack a figure"
    )


def while_looking(policies, lake):
    """How long asking what holds takes while a first look runs beside, getting the processor counted [s]."""
    book, pause = InForce(policies, LakeSums(lake), in_background, audits=True), 0.002
    yield timed(lambda: book.at(TODAY))[1]
    while any(each.name == "greenops-beside" for each in threading.enumerate()):
        yield timed(lambda: (time.sleep(pause), book.at(TODAY)))[1] - pause


def later(lake, sums, policies, rows):
    for number in range(20):
        begins = TODAY + QUARTER * number
        write(lake, begins, rows, f"{number:08d}", QUARTER)
        yield timed(lambda now=begins + QUARTER: standing_of_budgets(policies, sums, now))[1]


def by_rows(policies, spans):
    """Both ways over the same smaller lake, as the row at a time takes so long."""
    rows = min(ROW_BY_ROW, spans)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), TODAY.replace(day=1), rows, "0-packed-1", timedelta(days=1))
        slow, slow_s = timed(lambda: budgets_by_rows(policies, ParquetLake(Path(folder)), TODAY))
        fast, fast_s = timed(lambda: standing_of_budgets(policies, LakeSums(Path(folder)), TODAY))
    print(f"a row at a time         {rows / slow_s:12,.0f} spans/s   {slow_s:8.2f} s for {rows:,}")
    print(f"in columns, the same    {rows / fast_s:12,.0f} spans/s   {fast_s:8.2f} s")
    for one, other in zip(slow, fast, strict=True):
        assert one.unknown == other.unknown
        assert one.carbon_g is other.carbon_g or math.isclose(one.carbon_g, other.carbon_g)


def write(lake, begins, rows, name, length):
    """Spans of random ids and figures, one in ten without carbon; in groups as packing makes them."""
    random = np.random.default_rng([int(begins.timestamp()), rows])
    words = pa.array([f"w{n}" for n in range(WORKLOADS)])
    micros = random.integers(0, length // timedelta(microseconds=1), rows)
    instants = pa.array(micros + int(begins.timestamp()) * 10**6).cast(pa.timestamp("us", "UTC"))
    figures = {"energy_j": random.lognormal(0, 2, rows), "cost_usd": random.lognormal(-9, 1, rows)}
    carbon = pa.array(random.lognormal(-6, 2, rows), mask=random.random(rows) < 0.1)
    texts = ("service", "name", "kind")
    known = {
        "trace_id": ids(random, rows, 16),
        "span_id": ids(random, rows, 8),
        "workload": pa.DictionaryArray.from_arrays(
            random.integers(0, WORKLOADS, rows).astype(np.int32), words
        ),
        **dict.fromkeys(("start", "end", "time"), instants),
        **{key: pa.array(each) for key, each in figures.items()},
        "carbon_g": carbon,
        **{
            text: pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text]) for text in texts
        },
    }
    columns = [known.get(each.name, pa.nulls(rows, each.type)) for each in SPANS]
    path = lake / "v1" / "spans" / f"day={begins:%Y-%m-%d}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=SPANS), path, compression="zstd")


def ids(random, rows, size):
    text = random.bytes(rows * size).hex().encode()
    offsets = np.arange(rows + 1, dtype=np.int32) * (2 * size)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text))


def timed(work):
    begins = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begins


if __name__ == "__main__":
    main()
