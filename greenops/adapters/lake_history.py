"""What the lake kept of a period's decisions and their candidates, in columns, some jobs at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.ahead import ahead
from greenops.adapters.lake_files import STAGES, Part
from greenops.adapters.lake_pieces import (
    Piece,
    mapped,
    pieces_of,
    read_all,
    rows_of,
    rows_together,
    sound,
)
from greenops.adapters.lake_places import day_folders, parts
from greenops.domain.budget import stages_among
from greenops.domain.record import canonical

NAME: Final = "decision_id"
BATCH: Final = 600_000
"""Candidates that are read together, about; some fifty megabytes in a dozen columns."""
INSTANT: Final = pa.timestamp("us", "UTC")
WORD: Final = pa.dictionary(pa.int32(), pa.string())
DECISION: Final = pa.schema(
    [
        *(("id", pa.string()), ("job_id", pa.string()), ("decided_at", INSTANT)),
        *(("submitted", INSTANT), ("deadline", INSTANT), ("chosen", pa.int32())),
        *(("mode", WORD), ("held_out", pa.bool_())),
        *(("workload_record", WORD), ("limits_record", WORD)),
    ]
)
"""What is read of each decision; see `parquet_lake`."""
STAGED: Final = DECISION.append(pa.field(STAGES, WORD))
"""The same with the stages of budgets that were in force, as JSON; null where nothing tells them."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a batch's candidates were read; gives what was not read then.

    Attributes:
        pieces: Rows of files, in order.
        kept: Place of each candidate of the batch among those rows; none: all of them.
    """

    pieces: tuple[Piece, ...]
    kept: Any = field(default=None, repr=False)

    def column(self, name: str) -> Any:
        """One more column of all candidates of the batch."""
        found = read_all(self.pieces, [name]).column(name)
        return found if self.kept is None else found.take(self.kept)

    def rows(self, first: int, length: int) -> list[dict[str, Any]]:
        """Some candidates that lie together, with all that was recorded of them."""
        at = first if self.kept is None else int(self.kept[first].as_py())
        asked: list[Piece] = []
        for each in self.pieces:
            low, high = max(0, at), min(each.length, at + length)
            if low < high:
                asked.append(replace(each, start=each.start + low, length=high - low))
            at -= each.length
        return read_all(asked, None).drop_columns([NAME]).to_pylist() if asked else []


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """Some decisions and all their candidates.

    Attributes:
        decisions: One row each, as `DECISION`.
        candidates: Job by job in the order of the decisions, the baseline first; columns as in the
            lake, and `job`, the row of the decision.
        orphans: Candidates left out because their decision is not in the lake, or lacks its job.
    """

    decisions: pa.Table
    candidates: pa.Table
    source: Source
    orphans: int = 0


class LakeHistory:
    """The recorded decisions below `<state>/lake/v1`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "v1"

    def days(self) -> tuple[date, ...]:
        """Simulated days on which something was decided."""
        found = (each.name[4:] for each in day_folders(self._folder / "candidates"))
        return tuple(sorted(date.fromisoformat(each) for each in found))

    def batches(
        self,
        days: Iterable[date],
        columns: Sequence[str],
        rows: int = BATCH,
        *,
        staged: bool = False,
    ) -> Iterator[RecordedBatch]:
        """Decisions of some days; the next batch is read while one is looked at.

        Args:
            days: Simulated days.
            columns: Of the candidates.
            rows: Candidates that are read together, about.
            staged: Tell the stages of budgets that were in force, too.

        Raises:
            DataMissing: A file is damaged; names it.
        """
        schema = STAGED if staged else DECISION
        batches = (each for day in days for each in self._of_day(day, columns, rows, schema))
        yield from ahead(batches, "lake")

    def _of_day(
        self, day: date, columns: Sequence[str], rows: int, schema: pa.Schema
    ) -> Iterator[RecordedBatch]:
        name = f"day={day.isoformat()}"
        decisions = _decisions(self._folder / "decisions" / name, schema)
        places = {each: at for at, each in enumerate(decisions.column("id").to_pylist())}
        tables: list[pa.Table] = []
        pieces: list[Piece] = []
        for table, read in _whole_jobs(self._folder / "candidates" / name, columns, rows):
            tables.append(table)
            pieces += read
            if 2 * sum(map(len, tables)) >= rows:
                yield _batch(decisions, places, tables, pieces)
                tables, pieces = [], []
        if tables:
            yield _batch(decisions, places, tables, pieces)


def _decisions(folder: Path, schema: pa.Schema) -> pa.Table:
    tables = [_decided(part, schema) for part in parts(folder, mapped)]
    return pa.concat_tables([schema.empty_table(), *tables]).unify_dictionaries()


def _whole_jobs(
    folder: Path, columns: Sequence[str], rows: int
) -> Iterator[tuple[pa.Table, list[Piece]]]:
    """Row groups of a file, as many together as have so many rows; all candidates of a decision come together."""
    for part in parts(folder, mapped):
        with sound(part.path, away=part.away):
            file = pq.ParquetFile(part.source)
            left = pieces_of(part, file)
        while left:
            ends = np.cumsum([each.length for each in left])
            many = max(1, int(np.searchsorted(ends, rows, side="right")))
            table = rows_together(file, left[:many], [*columns, NAME])
            while many < len(left) and _goes_on(table, file, left[many]):
                more = rows_of(file, left[many], [*columns, NAME])
                table, many = pa.concat_tables([table, more]), many + 1
            yield table, left[:many]
            left = left[many:]


def _goes_on(table: pa.Table, file: pq.ParquetFile, following: Piece) -> bool:
    """Do the candidates of the last decision go on in the next piece?"""
    names = rows_of(file, following, [NAME]).column(NAME)
    if not len(table) or not len(names):
        return False
    return bool(table.column(NAME)[-1].as_py() == names[0].as_py())


def _codes(table: pa.Table) -> Any:
    column = table.column(NAME)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return column.unify_dictionaries().combine_chunks()


def _run_starts(codes: Any) -> Any:
    values = codes.indices.to_numpy(zero_copy_only=False)
    changes = np.flatnonzero(np.diff(values)) + 1
    return np.concatenate([[0], changes]) if len(values) else changes


def _batch(
    decisions: pa.Table, places: dict[str, int], tables: list[pa.Table], pieces: list[Piece]
) -> RecordedBatch:
    whole = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    codes = _codes(whole)
    starts = _run_starts(codes)
    names = codes.take(pa.array(starts)).to_pylist()
    rows = np.array([places.get(each, -1) for each in names], np.int64)
    lengths = np.diff(np.append(starts, len(whole)))
    replayable = decisions.column("workload_record").is_valid().to_numpy()
    usable = (rows >= 0) & (replayable[rows] if len(replayable) else False)
    whole = whole.drop_columns([NAME])
    kept, orphans = None, int(lengths[~usable].sum())
    if orphans:
        kept = pa.array(np.flatnonzero(np.repeat(usable, lengths)))
        whole, rows, lengths = whole.take(kept), rows[usable], lengths[usable]
    job = np.repeat(np.arange(len(rows), dtype=np.int32), lengths)
    return RecordedBatch(
        decisions=decisions.take(pa.array(rows)),
        candidates=whole.append_column("job", pa.array(job)),
        source=Source(tuple(pieces), kept),
        orphans=orphans,
    )


def _decided(part: Part, schema: pa.Schema) -> pa.Table:
    with sound(part.path, away=part.away):
        file = pq.ParquetFile(part.source)
        pieces, there = pieces_of(part, file), set(file.schema_arrow.names)
        old = not set(DECISION.names) <= there
        columns = ["record"] if old else [each for each in schema.names if each in there]
        tables = [rows_of(file, each, columns) for each in pieces]
        if not tables:
            return schema.empty_table()
        if old:
            records = pa.concat_tables(tables).column("record").to_pylist()
            return _from_records(records, schema)
        found = [
            each if STAGES in columns or schema is DECISION else _unstaged(each) for each in tables
        ]
        if schema is STAGED and "record" in there:
            found = [_staged(t, file, p) for t, p in zip(found, pieces, strict=True)]
        return pa.concat_tables([each.cast(schema) for each in found])


def _unstaged(table: pa.Table) -> pa.Table:
    return table.append_column(STAGES, pa.nulls(len(table), pa.string()))


def _staged(table: pa.Table, file: pq.ParquetFile, piece: Piece) -> pa.Table:
    """The stages from whole records where an earlier version did not keep them in a column."""
    if not table.column(STAGES).null_count:
        return table
    told = table.column(STAGES).to_pylist()
    records = rows_of(file, piece, ["record"]).column("record").to_pylist()
    whole = [_stages(json.loads(r)) if t is None else t for t, r in zip(told, records, strict=True)]
    return table.drop_columns([STAGES]).append_column(STAGES, pa.array(whole, pa.string()))


def _stages(record: dict[str, Any]) -> str:
    return canonical(list(stages_among(record["policies"]))).decode()


def _from_records(records: Sequence[str], schema: pa.Schema) -> pa.Table:
    """The same from whole records: files of earlier versions have nothing else."""
    rows = [_from_record(json.loads(each)) for each in records]
    return pa.Table.from_pylist(rows, schema=schema)


def _from_record(record: dict[str, Any]) -> dict[str, Any]:
    made, job = record["decision"], record.get("job")
    ids = [each["id"] for each in record["candidates"]]
    return {
        "id": made["id"],
        "job_id": made["job_id"],
        "decided_at": _instant(made["decided_at"]),
        "submitted": _instant(job["submitted"]) if job else None,
        "deadline": _instant(made.get("deadline")),
        "chosen": ids.index(made["chosen"]["id"]) if made["chosen"]["id"] in ids else None,
        "mode": made["mode"],
        "held_out": made["held_out"],
        "workload_record": canonical(job["workload"]).decode() if job else None,
        "limits_record": canonical(made["limits"]).decode(),
        STAGES: _stages(record),
    }


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
