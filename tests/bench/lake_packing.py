"""What packing a day of decisions takes and gives; `--json` for machines.

10,000 decisions with 200 candidates each, all columns filled, one file per decision and table as the loop writes
them: replayed, packed, replayed again. Each step is a process of its own, so that each peak is its own. The files
lie in a temporary folder (about 500 MB), were just written and come from memory; making them is not counted.
"""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import policy_replay  # type: ignore[import-not-found]  # a script beside this one
import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_packing import Packer
from greenops.adapters.parquet_lake import CANDIDATES, DECISIONS, TABLES

BOUNDS = {"pack_peak_mb": 200.0}
"""Most that each figure may be."""
SAME = ("rows", "decisions", "changed", "carbon_change_g")
"""What a replay must tell before as after."""
RECORD_BYTES = 4_000
"""Random bytes of a record, in hexadecimal: about as long as a whole record of a decision, as little read by a
replay, and harder to compress."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.make:
        make_day(asked.make / "v1", asked.decisions)
        return 0
    if asked.lake:
        print(json.dumps(packed(asked.lake)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        # A child's peak begins at its parent's, so making the files has a process of its own too.
        make = [sys.executable, __file__, "--make", folder, "--decisions", str(asked.decisions)]
        subprocess.run(make, check=True)
        before = apart(policy_replay.__file__, folder)
        files = files_of(folder)
        found = apart(__file__, folder)
        after = apart(policy_replay.__file__, folder)
        found |= {"files_before": files, "files_after": files_of(folder)}
    # Sums are over other batches, so their last digit may differ.
    if not all(math.isclose(before[each], after[each], rel_tol=1e-12) for each in SAME):
        raise SystemExit(f"packing changed the answer: {before} {after}")
    found |= {
        "replay_before_s": before["replay_month_s"],
        "replay_after_s": after["replay_month_s"],
        **{each: after[each] for each in SAME},
    }
    return told(found, as_json=asked.json)


def told(found, *, as_json):
    if as_json:
        print(json.dumps({**found, "bounds": BOUNDS}))
    else:
        for name, value in found.items():
            print(f"{name:<18}{value:>16,.10g}")
    return 0 if all(found[name] <= must for name, must in BOUNDS.items()) else 1


def apart(program, folder):
    command = [sys.executable, program, "--lake", folder]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def files_of(folder):
    return sum(1 for _ in Path(folder).glob("v1/*/day=*/*.parquet"))


def packed(lake: Path):
    start, spent = time.perf_counter(), time.process_time()
    Packer(lake, TABLES).pack((policy_replay.FIRST + timedelta(days=1)).date())
    return {
        "pack_s": time.perf_counter() - start,
        "pack_cpu_s": time.process_time() - spent,
        "pack_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def make_day(lake: Path, number: int) -> None:
    """One simulated day, a file per decision."""
    draw = np.random.default_rng(0)
    first = np.datetime64(int(policy_replay.FIRST.timestamp()), "s").astype("M8[us]")
    decided = first + np.sort(draw.integers(0, 86_400, number)).astype("m8[s]")
    ids = [f"dec-00-{at:05d}" for at in range(number)]
    decisions = filled(draw, policy_replay.decisions(draw, ids, decided), DECISIONS)
    candidates = filled(draw, policy_replay.candidates(draw, ids, decided), CANDIDATES)
    for name, table, each in (
        ("decisions", decisions, 1),
        ("candidates", candidates, policy_replay.EACH),
    ):
        folder = lake / name / f"day={policy_replay.FIRST.date().isoformat()}"
        folder.mkdir(parents=True)
        for at, stem in enumerate(ids):
            rows = table.slice(at * each, each).cast(TABLES[name])
            pq.write_table(rows, folder / f"{stem}.parquet", compression="zstd")


def filled(draw, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """All columns of the lake; words plain, so that each file gets words of its own."""
    for field in schema:
        if field.name in table.column_names:
            continue
        if pa.types.is_floating(field.type):
            values = pa.array(draw.uniform(1, 2, len(table)))
        elif field.name == "record":
            values = pa.array([draw.bytes(RECORD_BYTES).hex() for _ in range(len(table))])
        else:
            values = pa.nulls(len(table), field.type)
        table = table.append_column(field.name, values)
    plain = [
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in schema
    ]
    return table.select(schema.names).cast(pa.schema(plain))


if __name__ == "__main__":
    sys.exit(main())
