"""The lake: Parquet files by simulated day, readable by anything that reads Parquet."""

from __future__ import annotations

import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from greenops.adapters.lake_encodings import at_sight
from greenops.adapters.lake_files import STAGES, Part
from greenops.adapters.lake_pieces import sound
from greenops.adapters.lake_places import day_folders, parts
from greenops.adapters.lake_read import span_tables
from greenops.adapters.lake_subjects import Subjects
from greenops.adapters.lake_writing import replaced
from greenops.adapters.reported_schemas import READINGS, REPORTED
from greenops.domain.budget import stages_among
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate
from greenops.domain.record import canonical
from greenops.domain.spans import EnergyAccount, SpanRow, credible
from greenops.domain.spans import sound as credible_alone
from greenops.errors import DataMissing

INSTANT: Final = pa.timestamp("us", "UTC")
WORD: Final = pa.dictionary(pa.int32(), pa.string())
NUMBER: Final = pa.float64()

SPANS: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("trace_id", "span_id", "parent_id")),
        *((name, WORD) for name in ("service", "instance", "workload", "name", "kind")),
        *((name, INSTANT) for name in ("start", "end", "time")),
        *(
            (n, NUMBER)
            for n in ("energy_j", "energy_low_j", "energy_high_j", "carbon_g", "cost_usd")
        ),
        *((name, WORD) for name in ("method", "unknown", "region", "grid_zone", "decision_id")),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)
ACCOUNTS: Final = pa.schema(
    [
        *((name, WORD) for name in ("service", "instance", "workload", "device", "category")),
        ("at", INSTANT),
        ("joules", NUMBER),
        *((name, WORD) for name in ("method", "source", "host")),
        ("start", INSTANT),
    ]
)
OF_A_REPLAY: Final = (
    *(("submitted", INSTANT), ("deadline", INSTANT), ("chosen", pa.int32())),
    *(("mode", WORD), ("held_out", pa.bool_()), ("workload_record", WORD), ("limits_record", WORD)),
    (STAGES, WORD),
)
"""What a replay asks of a decision, so that it need not read the whole record: the place of the choice
among the candidates, and, as canonical JSON, the workload, the limits and the stages of budgets that were
in force."""
LATER: Final = frozenset({"start", *(name for name, _ in OF_A_REPLAY)})
"""Columns that files of earlier versions lack; absent there."""
CANDIDATES: Final = pa.schema(
    [
        ("decision_id", WORD),
        ("id", pa.string()),
        *((n, WORD) for n in ("region", "location", "provider", "pool", "tier", "zone")),
        ("start", INSTANT),
        ("end", INSTANT),
        *(
            (name, NUMBER)
            for name in Candidate.__dataclass_fields__
            if name
            not in ("id", "region", "location", "provider", "pool", "tier", "zone", "start", "end")
        ),
    ]
)
DECISIONS: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "job_id", "workload")),
        ("decided_at", INSTANT),
        ("record", pa.string()),
        *OF_A_REPLAY,
    ]
)

TABLES: Final = {
    "spans": SPANS,
    "accounts": ACCOUNTS,
    "candidates": CANDIDATES,
    "decisions": DECISIONS,
    "reported": REPORTED,
    "readings": READINGS,
}
"""Schema of each table; the last two are what others accounted for, and `reported_lake` writes and reads them."""
AT_ONCE: Final = 4_096
"""Rows that are plain values at once [1]: a packed file's row group has many."""
TABLE_ROWS: Final = 65_536
"""Rows of a table of spans at most [1]."""

T = TypeVar("T")
log = logging.getLogger("greenops.lake")


class ParquetLake:
    """`<state>/lake/v1/<table>/day=YYYY-MM-DD/*.parquet`. Stability: beta."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "v1"
        self._counters = self._folder / "counters.json"
        self._subjects = Subjects(folder)

    # -- writing

    def write_spans(self, rows: Sequence[SpanRow], segment: str | None = None) -> None:
        """Keep spans; a segment written again replaces itself.

        Raises:
            Unreachable: The disk is full or gone; nothing half-written is left.
        """
        self._write("spans", SPANS, rows, lambda row: row.time.date(), _values, segment)

    def write_span_table(self, table: pa.Table, segment: str | None = None) -> None:
        """Keep spans that lie in columns as `SPANS` has them; a segment written again replaces itself.

        Raises:
            Unreachable: The disk is full or gone; nothing half-written is left.
        """
        table = table.select(SPANS.names).cast(SPANS)
        days = pc.floor_temporal(table.column("time"), unit="day")
        stem, found = segment or uuid.uuid4().hex, pc.unique(days)
        for day in found:
            of_day = table if len(found) == 1 else table.filter(pc.equal(days, day))
            self._keep("spans", day.as_py().date(), stem, of_day)

    def write_accounts(self, rows: Sequence[EnergyAccount], segment: str | None = None) -> None:
        """Keep readings of energy accounts."""
        self._write("accounts", ACCOUNTS, rows, lambda row: row.at.date(), _values, segment)

    def write_decision(self, record: DecisionRecord) -> None:
        """Keep a decision with every candidate, chosen or not: replays need them all."""
        made = record.decision
        day = made.decided_at.date()

        def candidate(row: Candidate, name: str) -> object:
            return made.id if name == "decision_id" else getattr(row, name)

        self._write(
            "candidates", CANDIDATES, record.candidates, lambda _row: day, candidate, made.id
        )
        self._write("decisions", DECISIONS, [record], lambda _row: day, _of_decision, made.id)

    def _write(
        self,
        name: str,
        schema: pa.Schema,
        rows: Sequence[T],
        day_of: Callable[[T], date],
        value: Callable[[T, str], object],
        segment: str | None,
    ) -> None:
        days: defaultdict[date, list[T]] = defaultdict(list)
        for row in rows:
            days[day_of(row)].append(row)
        stem = segment or uuid.uuid4().hex
        for day, group in days.items():
            columns = [
                pa.array([value(row, field.name) for row in group], field.type) for field in schema
            ]
            self._keep(name, day, stem, pa.Table.from_arrays(columns, schema=schema))

    def _keep(self, name: str, day: date, stem: str, table: pa.Table) -> None:
        table = self._subjects.kept(name, table)
        path = self._folder / name / f"day={day.isoformat()}" / f"{stem}.parquet"
        replaced(path, partial(pq.write_table, table, **at_sight(table.schema)))

    def write_counters(self, shown: Mapping[tuple[str | None, str], float]) -> None:
        """Keep what the counters showed, by workload and name or category of energy [J, g].

        Raises:
            Unreachable: The disk is full or gone; what was kept before is still there.
        """
        rows = [[workload, name, value] for (workload, name), value in shown.items()]
        text = json.dumps({"counters": rows}).encode()
        replaced(self._counters, lambda temporary: temporary.write_bytes(text))

    # -- reading

    def counters(self) -> dict[tuple[str | None, str], float]:
        """What the counters showed last [J, g]; nothing where that is not known."""
        try:
            kept = json.loads(self._counters.read_bytes())
            # Earlier versions kept energy alone.
            rows = kept["counters"] if "counters" in kept else kept["energy_j"]
            found = {(workload, name): float(value) for workload, name, value in rows}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError):
            log.warning(
                "GO0412 %s is damaged; counters begin at what the lake holds", self._counters
            )
            return {}
        return {key: value for key, value in found.items() if credible(value)}

    def spans(self, *, skip_damaged: bool = False, since: date | None = None) -> Iterator[SpanRow]:
        """Every span once, oldest day first; damaged files can be named in the log and skipped.

        Numbers that cannot be, as earlier versions kept them, are absent.

        Args:
            skip_damaged: Go on without damaged files.
            since: The first day (simulated, UTC) that is read; none: the first there is.

        Raises:
            DataMissing: A file is damaged; names it and says how to go on without it.
        """
        seen: set[tuple[str, str]] = set()
        for row in self._rows("spans", SPANS, skip_damaged=skip_damaged, since=since):
            row["attributes"] = dict(row["attributes"] or ())
            span = credible_alone(SpanRow(**row))
            if (span.trace_id, span.span_id) not in seen:
                seen.add((span.trace_id, span.span_id))
                yield span

    def span_tables(self, *, skip_damaged: bool = False) -> Iterator[pa.Table]:
        """Spans in columns as they lie, oldest day first: one that was written twice comes twice.

        Raises:
            DataMissing: A file is damaged, and those are not skipped.
        """
        for day in day_folders(self._folder / "spans", away=False):
            for found in _whole(day, SPANS, skip_damaged=skip_damaged):
                for begin in range(0, len(found), TABLE_ROWS):
                    yield found.slice(begin, TABLE_ROWS)

    def accounts(self, *, skip_damaged: bool = False) -> Iterator[EnergyAccount]:
        """Every reading of an energy account, oldest first; readings that cannot be are left out.

        Raises:
            DataMissing: A file is damaged.
        """
        for day in self._days("accounts", ACCOUNTS, skip_damaged=skip_damaged):
            order = ("at", "instance", "device", "category")
            for row in day.sort_by([(name, "ascending") for name in order]).to_pylist():
                if credible(row["joules"]):
                    yield EnergyAccount(**row)

    def decisions(self) -> Iterator[Mapping[str, Any]]:
        """Every decision record, as plain values.

        Raises:
            DataMissing: A file is damaged.
        """
        for row in self._rows("decisions", DECISIONS):
            yield json.loads(row["record"])

    def _rows(
        self,
        table: str,
        schema: pa.Schema,
        *,
        skip_damaged: bool = False,
        since: date | None = None,
    ) -> Iterator[dict[str, Any]]:
        first = f"day={since.isoformat()}" if since else ""
        for day in day_folders(self._folder / table, away=False):
            if day.name < first:
                continue
            for found in _whole(day, schema, skip_damaged=skip_damaged):
                for some in found.to_batches(max_chunksize=AT_ONCE):
                    yield from some.to_pylist()

    def _days(self, table: str, schema: pa.Schema, *, skip_damaged: bool) -> Iterator[pa.Table]:
        for day in day_folders(self._folder / table, away=False):
            tables = _whole(day, schema, skip_damaged=skip_damaged)
            yield pa.concat_tables([_plain(schema).empty_table(), *tables])


def _whole(day: Path, schema: pa.Schema, *, skip_damaged: bool) -> Iterator[pa.Table]:
    """The tables of a day's files; damaged files are named in the log and skipped, or raise."""
    for part in parts(day, pa.OSFile, away=False):
        try:
            yield from _read(part, schema)
        except DataMissing as error:
            if not skip_damaged:
                raise
            log.warning("%s", error)


def _values(row: object, name: str) -> object:
    found = getattr(row, name)
    return list(found.items()) if isinstance(found, Mapping) else found


def _of_decision(row: DecisionRecord, name: str) -> object:
    made, job = row.decision, row.job
    match name:
        case "record":
            return canonical(row).decode()
        case "submitted":
            return job.submitted if job else None
        case "chosen":
            places = (at for at, each in enumerate(row.candidates) if each.id == made.chosen.id)
            return next(places, None)
        case "workload_record":
            return canonical(job.workload).decode() if job else None
        case "limits_record":
            return canonical(made.limits).decode()
        case "stages":
            return canonical(list(stages_among(row.policies))).decode()
        case _:
            return getattr(made, name)


def _read(part: Part, schema: pa.Schema) -> Iterator[pa.Table]:
    tables = span_tables(part, SPANS.names) if schema is SPANS else _stored(part)
    for table in tables:
        with sound(part.path):
            found = _as_kept(table, schema)
        yield found


def _stored(part: Part) -> Iterator[pa.Table]:
    with sound(part.path):
        file = pq.ParquetFile(part.source)
    for group, start, rows in part.pieces(file):
        with sound(part.path):
            table = file.read_row_group(group).slice(start, rows)
        yield table


def _as_kept(table: pa.Table, schema: pa.Schema) -> pa.Table:
    for name in LATER.intersection(schema.names).difference(table.column_names):
        table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
    return table.select(schema.names).cast(_plain(schema))


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema without dictionaries, as values are read."""
    fields = [
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in schema
    ]
    return pa.schema(fields)
