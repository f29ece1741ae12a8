"""Cells of a roll-up: what the spans of one stretch of time, one operation and one place add up to, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa

from greenops.domain.grouping import combined, grouped
from greenops.pipeline.rollup_sums import (
    QUANTA,
    decimals,
    doubles,
    of_decimals,
)

WORDS: Final = (
    *("service", "workload", "operation", "model", "region", "grid_zone", "method", "unknown"),
)
"""What cells are told apart by beside their instant; `unknown` is why a span has no energy."""
COUNTS: Final = (
    *("spans", "with_energy", "with_bounds", "with_carbon", "with_cost", "with_duration"),
)
MEASURES: Final = ("energy_j", "energy_low_j", "energy_high_j", "carbon_g", "cost_usd")
COUNTED_BY: Final = (1, 2, 2, 3, 4)
"""Which count tells how many spans a measure is of."""
EXACT: Final = tuple(f"{each.rpartition('_')[0]}_quanta" for each in MEASURES)
"""Columns of the exact sums beside the doubles that people read, in quanta of 2^-72."""
WORD: Final = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        ("begins", pa.timestamp("us", "UTC")),
        *((name, WORD) for name in WORDS),
        *((name, pa.int64()) for name in COUNTS),
        *((name, pa.float64()) for name in MEASURES),
        ("duration_us", pa.int64()),
        ("duration_bucket", pa.list_(pa.uint16())),
        ("duration_spans", pa.list_(pa.int64())),
        *((name, QUANTA) for name in EXACT),
    ]
)
BY_BUCKET: Final = ("duration_bucket", "duration_spans")
"""Columns of how many spans took how long; empty by the minute."""
FINE: Final = 16
"""Buckets of each doubling of a duration: each is at most a sixteenth wide."""
_SHIFT: Final = 48
_BEGIN: Final = int(np.float64(FINE).view(np.int64)) >> _SHIFT


@dataclass(frozen=True, slots=True)
class Words:
    """A column of words: place in `known` plus one; zero where it is absent."""

    known: tuple[str, ...]
    codes: Any

    def some(self, rows: Any) -> Self:
        """Those of some rows."""
        return type(self)(self.known, self.codes[rows])


@dataclass(frozen=True, slots=True)
class Durations:
    """How many spans of a cell took how long: cell, bucket and number of spans of each pair that occurs."""

    cell: Any
    bucket: Any
    spans: Any


@dataclass(frozen=True, slots=True)
class Cells:
    """Some cells, in columns; n of them.

    Attributes:
        at: Begin of the stretch of time [us since 1970].
        series: Which series each is of.
        words: As in `WORDS`, of each series; two series may have the same.
        counts: As in `COUNTS`, shape (6, n).
        sums: As in `MEASURES`, exact, shape (5, 3, n).
        duration: Sum of the durations [us].
    """

    at: Any
    series: Any
    words: tuple[Words, ...]
    counts: Any
    sums: Any
    duration: Any
    durations: Durations

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of_table(cls, table: pa.Table) -> Self:
        """Cells from what `table` gave; columns of exact sums or durations may lack."""
        table = table.unify_dictionaries().combine_chunks()
        there = table.column_names
        n = len(table)
        sums = np.zeros((len(MEASURES), 3, n), np.int64)
        for at, name in enumerate(EXACT):
            if name in there:
                sums[at] = of_decimals(one_chunk(table[name]))
        words = [words_of(table[name]) for name in WORDS]
        series, firsts = grouped(*combined([(each.codes, len(each.known) + 1) for each in words]))
        return cls(
            at=one_chunk(table["begins"]).cast(pa.int64()).to_numpy(),
            series=series,
            words=tuple(each.some(firsts) for each in words),
            counts=np.stack([one_chunk(table[name]).to_numpy() for name in COUNTS]),
            sums=sums,
            duration=one_chunk(table["duration_us"]).to_numpy(),
            durations=_durations_of(table) if "duration_bucket" in there else NO_DURATIONS,
        )

    def some(self, rows: Any) -> Self:
        """Some of the cells: those of a mask."""
        mine = rows[self.durations.cell]
        numbers = np.cumsum(rows) - 1
        return type(self)(
            self.at[rows],
            self.series[rows],
            self.words,
            self.counts[:, rows],
            self.sums[:, :, rows],
            self.duration[rows],
            Durations(
                numbers[self.durations.cell[mine]],
                self.durations.bucket[mine],
                self.durations.spans[mine],
            ),
        )

    def word(self, name: str) -> Words:
        """One of `WORDS` of each cell."""
        return self.words[WORDS.index(name)].some(self.series)

    def table(self) -> pa.Table:
        """The cells as they are kept; a sum of no span is null."""
        columns: dict[str, Any] = {"begins": pa.array(self.at).cast(SCHEMA.field("begins").type)}
        for name in WORDS:
            words = self.word(name)
            codes = pa.array(words.codes - 1, pa.int32(), mask=words.codes == 0)
            known = pa.array(words.known, pa.string())
            columns[name] = pa.DictionaryArray.from_arrays(codes, known)
        columns |= dict(zip(COUNTS, self.counts, strict=True))
        for at, count in enumerate(COUNTED_BY):
            known = self.counts[count] > 0
            columns[MEASURES[at]] = pa.array(doubles(self.sums[at]), mask=~known)
            columns[EXACT[at]] = decimals(self.sums[at], known)
        columns["duration_us"] = self.duration
        edges = np.searchsorted(self.durations.cell, np.arange(len(self) + 1))
        for name, values in (
            ("duration_bucket", self.durations.bucket.astype(np.uint16)),
            ("duration_spans", self.durations.spans),
        ):
            columns[name] = pa.ListArray.from_arrays(pa.array(edges, pa.int32()), pa.array(values))
        return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


NO_DURATIONS: Final = Durations(*(np.zeros(0, np.int64) for _ in range(3)))


def bucket_of(duration: Any) -> Any:
    """Bucket of each duration [us]: sixteen for each doubling, one for each microsecond below 32."""
    bits = duration.astype(np.float64).view(np.int64) >> _SHIFT
    return np.where(duration < FINE, duration, bits - (_BEGIN - FINE))


def bounds_of(buckets: Any) -> tuple[Any, Any]:
    """The least duration of each bucket, and the least that is longer than all of it [us]."""
    return _least(buckets), _least(buckets + 1)


def _least(buckets: Any) -> Any:
    bits = (buckets.astype(np.int64) + (_BEGIN - FINE)) << _SHIFT
    return np.where(buckets < FINE, buckets.astype(np.float64), bits.view(np.float64))


def words_of(column: Any) -> Words:
    """A column of words of one table."""
    array = one_chunk(column)
    if array.null_count == len(array):
        return Words((), np.zeros(len(array), np.int32))
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = buffer_of(array.indices, np.int32) + np.int32(1)
    if array.indices.null_count:
        codes *= validity(array.indices)
    return Words(tuple(array.dictionary.to_pylist()), codes)


def buffer_of(array: Any, kind: Any) -> Any:
    """The values of an array as they lie; anything where it is null."""
    found = np.frombuffer(array.buffers()[1], kind)
    return found[array.offset : array.offset + len(array)]


def validity(array: Any) -> Any:
    """Whether each value of an array is there, for an array with nulls."""
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    first = array.offset // 8
    found = np.unpackbits(bits[first : -(-(array.offset + len(array)) // 8)], bitorder="little")
    return found[array.offset % 8 :][: len(array)].view(np.bool_)


def one_chunk(column: Any) -> Any:
    """A column as one array."""
    found = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    # Older Arrows give a chunked array where there is no chunk.
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) and found.num_chunks else found


def _durations_of(table: pa.Table) -> Durations:
    buckets, spans = one_chunk(table["duration_bucket"]), one_chunk(table["duration_spans"])
    lengths = np.diff(buckets.offsets.to_numpy())
    return Durations(
        np.repeat(np.arange(len(table)), lengths),
        buckets.flatten().to_numpy().astype(np.int64),
        spans.flatten().to_numpy(),
    )
