"""Columns of the lake's spans, in whichever form a file holds them: the one place that knows the forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from greenops.adapters.lake_compact import SERIES, one
from greenops.adapters.lake_expand import SOURCE, SPAN_BYTES, TRACE_BYTES, expanded, needed
from greenops.adapters.lake_files import Part
from greenops.adapters.lake_footer import places_of, read_groups
from greenops.adapters.lake_ids import binary_ids
from greenops.adapters.lake_pieces import sound
from greenops.adapters.lake_series import APART, listed_in, series_of

ATTRIBUTE: Final = "attributes."
WIDTHS: Final = {TRACE_BYTES: ("trace_id", 16), SPAN_BYTES: ("span_id", 8)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted; row groups that hold none of them are not read.

    Attributes:
        service: Of this service; none: of all.
        begins: First instant `time`, inclusive [us since 1970]; none: from the first on.
        ends: Last instant, exclusive [us since 1970]; none: to the last.
    """

    service: str | None = None
    begins: int | None = None
    ends: int | None = None

    @property
    def columns(self) -> list[str]:
        """What must be read to tell."""
        timed = self.begins is not None or self.ends is not None
        return ["service"] * (self.service is not None) + ["time"] * timed

    def may_be_in(self, group: pq.RowGroupMetaData) -> bool:
        """Whether a row group may hold such rows, by what its footer says."""
        for name, low, high in _ranges(group):
            if name == "service" and self.service is not None:
                if not low <= self.service <= high:
                    return False
            elif name == "time" and (
                (self.begins is not None and _us(high) < self.begins)
                or (self.ends is not None and _us(low) >= self.ends)
            ):
                return False
        return True

    def of(self, table: pa.Table) -> pa.Table:
        """The rows of a table that are wanted."""
        if self.service is not None:
            table = table.filter(pc.equal(table["service"].cast(pa.string()), self.service))
        if self.begins is not None:
            table = table.filter(pc.greater_equal(table["time"].cast(pa.int64()), self.begins))
        if self.ends is not None:
            table = table.filter(pc.less(table["time"].cast(pa.int64()), self.ends))
        return table


ALL: Final = Wanted()


def span_tables(
    part: Part, columns: Sequence[str], wanted: Wanted = ALL, rows: int = 0
) -> Iterator[pa.Table]:
    """Some columns of the rows of a file that count, a row group at a time.

    Words are dictionary-encoded. Beside those of `parquet_lake.SPANS` there are `trace_bytes` and `span_bytes`
    (ids as bytes; absent where they are not sixteen and eight of them), `attributes.KEY` (the JSON text of one
    attribute), `small_file` (the small file that a row came from) and `series` (see `lake_series`).

    Args:
        part: The file, of whichever form.
        columns: In the order in which they are given back.
        wanted: Rows.
        rows: Row groups of a packed file come together that have no more [1].

    Raises:
        DataMissing: The file is damaged; names it.
    """
    with sound(part.path, away=part.away):
        file = pq.ParquetFile(part.source)
        groups = [
            each
            for each in range(file.num_row_groups)
            if wanted is ALL or wanted.may_be_in(file.metadata.row_group(each))
        ]
    asked = list(dict.fromkeys([*columns, *wanted.columns]))
    found_in = (
        _compact(part, file, asked, _together(file, groups, rows))
        if part.form > 1
        else _plain(part, file, asked, groups)
    )
    for table in found_in:
        found = wanted.of(table)
        if len(found):
            yield found.select(list(columns))


def _compact(
    part: Part, file: pq.ParquetFile, columns: Sequence[str], groups: Iterable[list[int]]
) -> Iterator[pa.Table]:
    asked = [*columns, *([SOURCE] if part.left_out else [])]
    with sound(part.path, away=part.away):
        series = listed_in(file.metadata.metadata) if SERIES in columns else None
        there = [each for each in file.schema_arrow.names if each != SERIES or series is not None]
        names = needed(asked, there)
        places = places_of(file, names)
    for some in groups:
        with sound(part.path, away=part.away):
            table, numbers = read_groups(file, some, names, places)
            found = expanded(table, columns, numbers, series)
            if part.left_out:
                gone = pa.array(sorted(part.left_out), pa.string())
                kept = pc.invert(pc.is_in(table[SOURCE].cast(pa.string()), gone))
                found = found.filter(kept)
        yield found


def _together(file: pq.ParquetFile, groups: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Row groups that are read at once: together they have no more than so many rows."""
    some: list[int] = []
    count = 0
    for group in groups:
        more = file.metadata.row_group(group).num_rows
        if some and count + more > rows:
            yield some
            some, count = [], 0
        some.append(group)
        count += more
    if some:
        yield some


def _plain(
    part: Part, file: pq.ParquetFile, columns: Sequence[str], groups: Sequence[int]
) -> Iterator[pa.Table]:
    wanted = set(groups)
    apart = [each for name in columns for each in (APART if name == SERIES else [name])]
    names = list(dict.fromkeys(_stored(each) for each in apart if each != SOURCE)) or ["time"]
    for group, start, rows in part.pieces(file):
        if group in wanted:
            with sound(part.path, away=part.away):
                whole = file.read_row_group(group, columns=names).select(names)
                table = whole.slice(start, rows)
                begin = sum(file.metadata.row_group(at).num_rows for at in range(group)) + start
                found = {each: _of_plain(each, table, part, begin) for each in columns}
                yield pa.table(found)


def _of_plain(name: str, table: pa.Table, part: Part, begin: int) -> Any:
    if name in WIDTHS:
        column, width = WIDTHS[name]
        return binary_ids(table[column], width)[0]
    if name.startswith(ATTRIBUTE):
        found = pc.map_lookup(table["attributes"], name.removeprefix(ATTRIBUTE), "first")
        return found.dictionary_encode()
    if name == SOURCE:
        return sources_at(part, begin, len(table))
    if name == SERIES:
        return series_of({each: one(_of_plain(each, table, part, begin)) for each in APART})
    return table[name]


def sources_at(part: Part, begin: int, count: int) -> pa.Array:
    """Names of the small files that rows of a file of form 1 came from.

    Args:
        part: The file; its runs hold the rows.
        begin: Place of the first row in the file.
        count: How many [1].
    """
    firsts = [run.first for run in part.runs]
    at = np.searchsorted(firsts, np.arange(begin, begin + count), side="right") - 1
    words = pa.array([run.name for run in part.runs], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(at, pa.int32()), words)


def _stored(name: str) -> str:
    if name in WIDTHS:
        return WIDTHS[name][0]
    return "attributes" if name.startswith(ATTRIBUTE) else name


def _ranges(group: pq.RowGroupMetaData) -> Iterator[tuple[str, Any, Any]]:
    """Least and most of the columns that say which rows are wanted."""
    for at in range(group.num_columns):
        column = group.column(at)
        if column.path_in_schema in ("service", "time"):
            told = column.statistics
            if told is not None and told.has_min_max:
                yield column.path_in_schema, told.min, told.max


def _us(instant: Any) -> int:
    return int(np.datetime64(instant.replace(tzinfo=None), "us").astype(np.int64))
