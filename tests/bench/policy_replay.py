"""How long a month of decisions takes to replay under two sets of policies; `--json` for machines.

10,000 decisions a day with 200 candidates each, for 30 days, from one Parquet file a day and table with row groups
and encodings as packing makes them, two sets of the shipped policies that differ in one threshold, and the choice of
both for every job. Making the files is not counted; they lie in a temporary folder (about 2 GB) and go when it ends.

Kinder than a lake: the files were just written and come from memory, they hold only the columns that these policies
read, and whole records of decisions are not among them (`lake_packing.py` replays a day with all columns).
"""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_encodings import encodings
from greenops.adapters.parquet_lake import CANDIDATES, DECISIONS
from greenops.domain.record import canonical
from greenops.domain.workload import Limits, Urgency, Workload, WorkloadKind
from greenops.pipeline.policy_replay import Replayer, Side
from greenops.pipeline.policy_replay_report import compare
from greenops.policy import compile_policies

POLICIES = Path(__file__).parents[2] / "policies"
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
DAYS, PER_DAY, EACH = 30, 10_000, 200
REGIONS = ("eu-west-1", "eu-north-1", "us-west-2", "us-east-1")
SLOTS = EACH // len(REGIONS)
NAMES = ["baseline", *(f"c{at:03d}" for at in range(1, EACH))]
TEAMS = ("data-platform", "data-platform", "ml", "devex")
WORKLOADS = 300
ROW_GROUP = 600 * EACH
"""What packing makes of candidates with all columns filled."""
BOUNDS = {"replay_month_s": (12.0, 5.0), "replay_peak_mb": (1_500.0, 600.0)}
"""Most that each figure may be, and what it should be."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.lake:
        print(json.dumps(measured(asked.lake)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for day in range(asked.days):
            make_day(Path(folder) / "v1", day)
        # A process of its own: the peak is that of the replay, not of making the files.
        command = [sys.executable, __file__, "--lake", folder]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout)
    if found["rows"] != asked.days * PER_DAY * EACH or found["mismatches"] or found["slow"]:
        raise SystemExit(f"not every row was read, or the evaluators differ: {found}")
    return told(found, as_json=asked.json)


def told(found, *, as_json):
    held = {name: found[name] <= must for name, (must, _) in BOUNDS.items()}
    if as_json:
        bounds = {name: {"must": must, "aim": aim} for name, (must, aim) in BOUNDS.items()}
        print(json.dumps({**found, "bounds": bounds}))
    else:
        for name, (must, aim) in BOUNDS.items():
            words = "ok" if held[name] else "FAILS", "aim met" * (found[name] <= aim)
            print(
                f"{name:<16}{found[name]:>12,.2f}  must <= {must:,.0f}  aim <= {aim:,.0f}", *words
            )
        for name in ("cpu_s", "rows", "decisions", "changed", "sampled", "carbon_change_g"):
            print(f"  {name}: {found[name]:,.10g}")
        print("  files just written, read from memory; the columns that the policies read")
    return 0 if all(held.values()) else 1


def measured(lake: Path):
    """Replay both sets over the whole lake: seconds from opening the first file to the report."""
    sources = [(str(each), each.read_text("utf-8")) for each in sorted(POLICIES.glob("*.yaml"))]
    changed = [(name, text.replace("{increase: 10%}", "{increase: 20%}")) for name, text in sources]
    sides = (Side("now", compile_policies(sources)), Side("then", compile_policies(changed)))
    start, spent = time.perf_counter(), time.process_time()
    replayer = Replayer(lake, sides)
    report = compare(replayer)
    seconds, spent = time.perf_counter() - start, time.process_time() - spent
    return {
        "replay_month_s": seconds,
        "replay_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "cpu_s": spent,
        "rows": replayer.checks.rows,
        "decisions": replayer.checks.decisions,
        "changed": report.total.changed,
        "sampled": replayer.checks.sampled,
        "mismatches": replayer.checks.mismatches,
        "slow": sorted(replayer.checks.slow),
        "carbon_change_g": report.total.carbon_g.change,
    }


def make_day(lake: Path, day: int) -> None:
    """One simulated day's files."""
    draw = np.random.default_rng(day)
    name = f"day={(FIRST + timedelta(days=day)).date().isoformat()}"
    decided = np.datetime64(int((FIRST + timedelta(days=day)).timestamp()), "s").astype("M8[us]")
    decided = decided + np.sort(draw.integers(0, 86_400, PER_DAY)).astype("m8[s]")
    ids = [f"dec-{day:02d}-{at:05d}" for at in range(PER_DAY)]
    write(lake / "decisions" / name, decisions(draw, ids, decided), PER_DAY)
    write(lake / "candidates" / name, candidates(draw, ids, decided), ROW_GROUP)


def write(folder: Path, table: pa.Table, rows: int) -> None:
    folder.mkdir(parents=True)
    how = encodings(table.slice(0, rows))
    pq.write_table(table, folder / "day.parquet", row_group_size=rows, **how)


def decisions(draw, ids, decided):
    count = len(ids)
    codes = draw.integers(0, WORKLOADS, count).astype(np.int32)
    values = {
        "id": pa.array(ids),
        "job_id": pa.array([f"w{code}/{name}" for code, name in zip(codes, ids, strict=True)]),
        "decided_at": pa.array(decided, pa.timestamp("us", "UTC")),
        "submitted": pa.array(decided, pa.timestamp("us", "UTC")),
        "deadline": pa.array(decided + np.timedelta64(24, "h"), pa.timestamp("us", "UTC")),
        "chosen": pa.array(np.zeros(count, np.int32)),
        "mode": words(np.zeros(count, np.int32), ["enforce"]),
        "held_out": pa.array(np.zeros(count, np.bool_)),
        "workload_record": words(
            codes, [canonical(workload(at)).decode() for at in range(WORKLOADS)]
        ),
        "limits_record": words(np.zeros(count, np.int32), [canonical(DAY).decode()]),
    }
    return pa.table(values, schema=pa.schema([DECISIONS.field(each) for each in values]))


DAY = Limits(deadline_within=timedelta(hours=24))


def workload(at: int) -> Workload:
    return Workload(
        f"w{at}",
        WorkloadKind.BATCH,
        Urgency.DEFERRABLE,
        REGIONS[at % len(REGIONS)],
        allowed_regions=REGIONS[: 2 + at % 3],
        team=TEAMS[at % len(TEAMS)],
        contains_personal_data=at % 5 == 0,
        duration_s=3_600.0,
        duration_p95_s=5_400.0,
        energy_kwh=1.0 + at % 7,
        limits=DAY,
    )


def candidates(draw, ids, decided):
    """The baseline, then each region's slots; the figures of a slot are those of its grid."""
    slot = np.tile(np.arange(SLOTS), len(REGIONS))
    region = np.repeat(np.arange(len(REGIONS), dtype=np.int32), SLOTS)
    series = draw.uniform(40, 600, (len(REGIONS), 24 * 2 + SLOTS))
    first = (decided.astype("M8[h]") - decided[0].astype("M8[D]")).astype(int)
    intensity = series[region, first.reshape(-1, 1) + slot]
    count = len(ids)
    energy = draw.uniform(1, 8, (count, 1))
    start = decided.reshape(-1, 1) + slot * np.timedelta64(30, "m")
    carbon, cost = energy * intensity, draw.uniform(1, 2, (count, EACH))
    whole = count * EACH
    job = np.repeat(np.arange(count, dtype=np.int32), EACH)
    place = np.tile(region, count)
    instant = pa.timestamp("us", "UTC")
    values = {
        "decision_id": words(job, ids),
        "id": words(np.tile(np.arange(EACH, dtype=np.int32), count), NAMES).cast(pa.string()),
        "region": words(place, REGIONS),
        "location": words(place // 2, ["EU", "US"]),
        "pool": words(np.zeros(whole, np.int32), ["ondemand"]),
        "start": pa.array(start.ravel(), instant),
        "end": pa.array(start.ravel() + np.timedelta64(1, "h"), instant),
        "carbon_g": pa.array(carbon.ravel()),
        "carbon_low_g": pa.array(carbon.ravel() * 0.85),
        "carbon_high_g": pa.array(carbon.ravel() * 1.15),
        "intensity": pa.array(intensity.ravel()),
        "cost_usd": pa.array(cost.ravel()),
        "p95_ms": pa.nulls(whole, pa.float64()),
    }
    return pa.table(values, schema=pa.schema([CANDIDATES.field(each) for each in values]))


def words(codes, texts):
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(texts))


if __name__ == "__main__":
    sys.exit(main())
