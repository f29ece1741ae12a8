"""Random spans, lakes of them, and what they add up to by a plain loop."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.rollup_files import DAY, HOUR, MINUTE, RollupFiles
from greenops.adapters.rollup_place import SpanFiles
from greenops.domain.spans import SpanRow, sound
from greenops.pipeline.rollups import refresh

DAY_ONE = datetime(2026, 11, 23, tzinfo=UTC)
QUANTA = 2**72
KEY = ("service", "workload", "operation", "model", "region", "grid_zone", "method", "unknown")
MEASURES = ("energy_j", "energy_low_j", "energy_high_j", "carbon_g", "cost_usd")


def span(number, at=DAY_ONE, **given):
    """A span that is known by its number."""
    known = {
        "trace_id": f"{number // 4:032x}", "span_id": f"{number:016x}", "service": "shop",
        "name": "order", "kind": "SERVER", "start": at - timedelta(milliseconds=20), "end": at,
        "time": at, "attributes": {},
    }  # fmt: skip
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known | given)


def random_spans(rng: random.Random, count: int, hours: int = 3, first: int = 0):
    """Spans of some services; each says what it likes, or nothing, or what cannot be."""

    def maybe(*values):
        return rng.choice((None, *values))

    rows = []
    for number in range(first, first + count):
        at = DAY_ONE + timedelta(microseconds=rng.randrange(hours * 3600 * 10**6))
        energy = maybe(rng.uniform(0, 9), rng.lognormvariate(0, 9), -1.0, 1e13, float("nan"))
        took = timedelta(microseconds=int(rng.lognormvariate(9, 3)) - 50)
        said = {
            name: json.dumps(rng.choice(("tiny", "large", 7, "")))
            for name in ("gen_ai.request.model", "greenops.model.name")
            if rng.random() < 0.3
        }
        rows.append(
            span(
                number, at, start=at - took, service=rng.choice("ab"), workload=maybe("w", "v"),
                name=rng.choice(("x", "y")), energy_j=energy, energy_low_j=maybe(rng.random()),
                energy_high_j=maybe(rng.uniform(9, 20)), carbon_g=maybe(rng.random() * 1e-5, 2.5),
                cost_usd=maybe(rng.random() * 1e-9), method=maybe("measured", "modeled"),
                unknown=maybe("no_meter"), region=maybe("eu"), grid_zone=maybe("DE"),
                attributes=said,
            )
        )  # fmt: skip
    return rows


def model_of(row):
    for name in ("greenops.model.name", "gen_ai.request.model"):
        found = json.loads(row.attributes.get(name, "null"))
        if isinstance(found, str) and found:
            return found
    return None


def quanta(value):
    """A number as whole quanta, the even one where two are as near."""
    return round(Fraction(value) * QUANTA)


def by_hand(rows, seconds):
    """Key → counts, sums in quanta, durations and how many took how long, by a plain loop over distinct spans."""
    cells = {}
    distinct = {}
    for row in rows:
        distinct.setdefault((row.trace_id, row.span_id), sound(row))
    for row in distinct.values():
        stamp = int((row.time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) // seconds
        key = (
            datetime.fromtimestamp(stamp * seconds, UTC), row.service, row.workload, row.name,
            model_of(row), row.region, row.grid_zone, row.method, row.unknown,
        )  # fmt: skip
        cell = cells.setdefault(key, defaultdict(int))
        cell["spans"] += 1
        bounds = row.energy_low_j is not None and row.energy_high_j is not None
        for name, count, there in (
            ("energy_j", "with_energy", row.energy_j is not None),
            ("energy_low_j", "with_bounds", bounds),
            ("energy_high_j", None, bounds),
            ("carbon_g", "with_carbon", row.carbon_g is not None),
            ("cost_usd", "with_cost", row.cost_usd is not None),
        ):
            if there:
                cell[name] += quanta(getattr(row, name))
                if count:
                    cell[count] += 1
        took = (row.end - row.start) // timedelta(microseconds=1)
        if took >= 0:
            cell["with_duration"] += 1
            cell["duration_us"] += took
    return cells


def told(table):
    """Key → the same of a roll-up's rows."""
    cells = {}
    for row in table.to_pylist():
        key = (row["begins"], *(row[name] for name in KEY))
        assert key not in cells
        cell = {
            name: row[name]
            for name in row
            if name.startswith("with_") or name in ("spans", "duration_us")
        }
        for name in MEASURES:
            exact = row[f"{name.rpartition('_')[0]}_quanta"]
            assert (exact is None) == (row[name] is None)
            if exact is not None:
                assert row[name] == int(exact) / QUANTA
                cell[name] = int(exact)
        cells[key] = {name: value for name, value in cell.items() if value}
    return cells


def without_zeros(cells):
    """What `told` gives has no zeros; a sum of zeros counts as absent in both."""
    return {key: {n: v for n, v in cell.items() if v} for key, cell in cells.items()}


class Lake:
    """A lake in a folder and its roll-ups."""

    def __init__(self, folder):
        self.folder = folder / "lake"
        self.writer = ParquetLake(self.folder)
        self.spans, self.rollups = SpanFiles.local(self.folder), RollupFiles.local(self.folder)

    def write(self, rows, segment):
        self.writer.write_spans(rows, segment)

    def refresh(self, engine=None):
        return refresh(self.spans, self.rollups, engine)

    def files(self):
        """Name → bytes of every roll-up."""
        found = (self.folder / "v1" / "rollups").glob("*/day=*/*")
        return {str(each.relative_to(self.folder)): each.read_bytes() for each in found}

    def table(self, level):
        found = sorted((self.folder / "v1" / "rollups" / level).glob("day=*/*.parquet"))
        return pa.concat_tables(
            [pq.ParquetFile(each).read() for each in found]
        ).unify_dictionaries()

    def check(self, rows):
        """Every level says what a plain loop over the rows says."""
        for level, seconds in ((MINUTE, 60), (HOUR, 3600), (DAY, 86400)):
            assert told(self.table(level)) == without_zeros(by_hand(rows, seconds)), level
