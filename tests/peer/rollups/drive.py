"""What a user's program does on a node: writes a lake to object storage, rolls it up here or on Ray, and recomputes.

Words: address of the lake, a folder that all nodes see, and what to do. Prints one line of JSON.
"""

# ruff: noqa: T201  (the test reads what is printed)

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_store import store_at
from greenops.adapters.parquet_lake import SPANS
from greenops.adapters.ray_engine import RayEngine
from greenops.adapters.rollup_files import LEVELS, RollupFiles
from greenops.adapters.rollup_place import SpanFiles
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.record import plain
from greenops.pipeline.rollup_recompute import Recompute, recompute
from greenops.pipeline.rollup_work import RollUp
from greenops.pipeline.rollups import refresh

HOURS, ROWS = 24, 20_000
NODES, BOTH_WITHIN_S = 2, 60.0
BEGIN_US = 1_795_392_000_000_000  # 2026-11-23
HOUR_US = 3_600_000_000


def spans(hour):
    """An hour's spans, every tenth of the hour before among them once more."""
    rng = np.random.default_rng(hour)
    own = _some(rng, hour, ROWS)
    if not hour:
        return own
    before = _some(np.random.default_rng(hour - 1), hour - 1, ROWS)
    return pa.concat_tables([own, before.take(pa.array(np.arange(0, ROWS, 10)))])


def _some(rng, hour, count):
    ids = [rng.bytes(24).hex() for _ in range(count)]
    time = BEGIN_US + hour * HOUR_US + np.sort(rng.integers(0, HOUR_US, count))
    energy = rng.lognormal(0, 2, count)
    instant = SPANS.field("time").type
    columns = {
        "trace_id": [each[:32] for each in ids],
        "span_id": [each[32:] for each in ids],
        "service": [f"s{each}" for each in rng.integers(0, 9, count)],
        "name": [f"op{each}" for each in rng.integers(0, 30, count)],
        "kind": ["SERVER"] * count,
        "start": pa.array(time - rng.integers(0, 10**6, count), instant),
        "end": pa.array(time, instant),
        "time": pa.array(time, instant),
        "energy_j": pa.array(energy, mask=rng.random(count) < 0.1),
        "carbon_g": energy * 1e-4,
        "method": ["modeled"] * count,
        "region": [("eu", "us", None)[each] for each in rng.integers(0, 3, count)],
    }
    return pa.table(
        [
            pa.array(columns[each.name], each.type)
            if each.name in columns and not isinstance(columns[each.name], pa.Array)
            else columns.get(each.name, pa.nulls(count, each.type))
            for each in SPANS
        ],
        schema=SPANS,
    )


def write(url):
    store = store_at(url)
    for hour in range(HOURS):
        with store.files.open_output_stream(
            f"v1/spans/day=2026-11-23/{hour:06d}.parquet"
        ) as stream:
            pq.write_table(spans(hour), stream, compression="zstd")
    return {"rows": HOURS * ROWS}


@dataclass(frozen=True, slots=True)
class Watched(RollUp):
    """Says on which node it works, where all can see it, and begins once both nodes do."""

    folder: str = ""

    def __call__(self, unit):
        import ray

        node = ray.util.get_node_ip_address()
        with (Path(self.folder) / f"worked-{node}").open("a") as file:
            file.write(".")
        until = time.monotonic() + BOTH_WITHIN_S
        while len(list(Path(self.folder).glob("worked-*"))) < NODES and time.monotonic() < until:
            time.sleep(0.05)
        return RollUp.__call__(self, unit)


class Killed(RayEngine):
    """Kills every process of a node once it has worked and results come."""

    def __init__(self, folder, node, pids):
        super().__init__()
        self.worked, self.pids, self.done = Path(folder) / f"worked-{node}", pids, False

    def run(self, work, parts):
        for found in super().run(work, parts):
            if not self.done and self.worked.exists():
                for pid in self.pids:
                    os.kill(pid, signal.SIGKILL)
                self.done = True
            yield found


def digests(rollups):
    """What every roll-up holds, in a few characters."""
    found = {}
    for level in LEVELS:
        for day in rollups.days(level):
            for name in (
                [f"{each:02d}" for each in rollups.hours(day)] if level == "minute" else [None]
            ):
                path = rollups.path(level, day, name)
                table = rollups.read(path).replace_schema_metadata(None)
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, table.schema) as stream:
                    stream.write_table(table)
                found[f"{level} {day} {name}"] = hashlib.sha256(sink.getvalue()).hexdigest()
    return found


def roll(url, folder, where, engine):
    """Roll the lake up into a folder of its own on the store."""
    spans_, rollups = SpanFiles.away(url), RollupFiles(store_at(url).files, f"v1/rollups-{where}")
    work = RollUp() if engine is None else Watched(folder=folder)
    done = refresh(spans_, rollups, engine, work=work)
    regions = {
        name: RegionFactors(name, "Z", 1.3, None, None, value, "test")
        for name, value in (("eu", 251.3), ("us", 402.7))
    }
    rows = recompute(
        Recompute(rollups, FactorTable("test", regions)), rollups.days("minute"), engine
    )
    return {
        "spans": done.spans, "repeats": done.repeats, "damaged": done.damaged,
        "digests": digests(rollups), "recomputed": plain(rows),
    }  # fmt: skip


def main():
    url, folder, what, *more = sys.argv[1:]
    if what == "write":
        told = write(url)
    elif what == "here":
        told = roll(url, folder, "here", None)
    else:
        engine = Killed(folder, more[0], [int(each) for each in more[1:]]) if more else RayEngine()
        told = roll(url, folder, "killed" if more else "ray", engine)
        told["worked"] = {
            each.name.removeprefix("worked-"): len(each.read_text())
            for each in Path(folder).glob("worked-*")
        }
        told["killed"] = bool(more) and engine.done
        engine.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
