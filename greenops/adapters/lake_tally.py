"""Sums of spans in columns: each span once, exact, by workload and stretch of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.domain import span_keys
from greenops.domain.spans import MOST

MEASURES: Final = ("carbon_g", "cost_usd", "energy_j")
LEVELS: Final = 3
"""Parts that a number is split into before it is summed; some 95 bits below the largest number stay exact."""
NEVER: Final = np.iinfo(np.int64).max


class Key(NamedTuple):
    """A workload in a stretch between two edges of time."""

    stretch: int
    workload: str | None


@dataclass(slots=True)
class Cell:
    """Sums of the spans of one key; a measure that no span has is an empty tuple.

    Attributes:
        sums: By measure, each as two numbers that are added: the second is what the first lost.
        first: By measure, the first instant [us since 1970].
        lacks: Spans that ought to have carbon, cost, or both, and have not.
    """

    sums: list[tuple[float, ...]] = field(default_factory=lambda: [()] * len(MEASURES))
    first: list[int] = field(default_factory=lambda: [NEVER] * len(MEASURES))
    lacks: list[int] = field(default_factory=lambda: [0] * len(MEASURES))

    def add(self, measure: int, parts: Sequence[float], first: int) -> None:
        """Add a sum of some more spans."""
        numbers = [*self.sums[measure], *parts]
        high = math.fsum(numbers)
        self.sums[measure] = (high, math.fsum([*numbers, -high]))
        self.first[measure] = min(first, self.first[measure])


@dataclass(frozen=True, slots=True)
class Columns:
    """Some spans, a row each.

    Attributes:
        names: Workloads; `workload` holds their places.
        time: Instants [us since 1970].
        values: By measure; what is not known is NaN.
        tells: Whether it has energy, or says why it has none.
        keys: Trace and span id as one number.
    """

    names: tuple[str | None, ...]
    workload: Any
    time: Any
    values: tuple[Any, ...]
    tells: Any
    keys: Any

    @classmethod
    def of(cls, table: pa.Table) -> Columns:
        """The spans of a table of the lake; numbers that cannot be are absent, as `sound` has it."""
        table = table.unify_dictionaries().combine_chunks()
        words = _whole(table["workload"])
        codes = pc.fill_null(words.indices, len(words.dictionary)).to_numpy(zero_copy_only=False)
        energy = _numbers(table["energy_j"])
        wrong = pc.is_valid(table["energy_j"]).to_numpy() & np.isnan(energy)
        carbon = np.where(wrong, np.nan, _numbers(table["carbon_g"]))
        said = pc.is_valid(table["unknown"]).to_numpy() | wrong
        return cls(
            names=(*words.dictionary.to_pylist(), None),
            workload=codes.astype(np.int64),
            time=_whole(table["time"]).cast(pa.int64()).to_numpy(zero_copy_only=False),
            values=(carbon, _numbers(table["cost_usd"]), energy),
            tells=~np.isnan(energy) | said,
            keys=keys_of(table["trace_id"], table["span_id"]),
        )

    def where(self, mask: Any) -> Columns:
        """Some of the rows."""
        if mask.all():
            return self
        return Columns(
            self.names,
            self.workload[mask],
            self.time[mask],
            tuple(each[mask] for each in self.values),
            self.tells[mask],
            self.keys[mask],
        )


def add_all(cells: dict[Key, Cell], rows: Columns, edges: Any) -> None:
    """Add rows to the cells that they belong to.

    Args:
        cells: What was summed before.
        rows: At least one.
        edges: Rising instants between which stretches lie [us since 1970]; an edge begins a stretch.
    """
    low, high = np.searchsorted(edges, [rows.time.min(), rows.time.max()], side="right").tolist()
    width, codes = len(rows.names), rows.workload
    if low != high:
        codes = codes + (np.searchsorted(edges, rows.time, side="right") - low) * width
    size = (high - low + 1) * width
    absent = [np.isnan(each) for each in rows.values]
    missing = (absent[0], absent[1], absent[0] | absent[1])
    lacks = [np.bincount(codes[rows.tells & each], minlength=size) for each in missing]
    sums = [
        _summed(codes[~gone], values[~gone], rows.time[~gone], size)
        for values, gone in zip(rows.values, absent, strict=True)
    ]
    for at in np.flatnonzero(np.bincount(codes, minlength=size)).tolist():
        key = Key(low + at // width, rows.names[at % width])
        cell = cells.setdefault(key, Cell())
        for measure, (parts, firsts) in enumerate(sums):
            cell.lacks[measure] += int(lacks[measure][at])
            if firsts[at] != NEVER:
                cell.add(measure, [float(each[at]) for each in parts], int(firsts[at]))


def _summed(codes: Any, values: Any, time: Any, size: int) -> tuple[list[Any], Any]:
    firsts = np.full(size, NEVER)
    np.minimum.at(firsts, codes, time)
    return exact_parts(values, codes, size), firsts


def exact_parts(values: Any, codes: Any, size: int) -> list[Any]:
    """Arrays that add up to the sums of values by code, with no rounding in any of them.

    Each round takes the leading bits of every value: so many that their sum still fits in a float.
    """
    parts: list[Any] = []
    rest = values
    bits = len(values).bit_length()
    for _ in range(LEVELS):
        most = float(np.abs(rest).max(initial=0.0))
        if most == 0.0:
            break
        grid = math.ldexp(1.0, math.frexp(most)[1] + bits + 1)
        leading = (rest + grid) - grid
        parts.append(np.bincount(codes, weights=leading, minlength=size))
        rest = rest - leading
    return parts


@dataclass(slots=True)
class Seen:
    """Keys of spans that were counted, in sorted runs of falling size."""

    runs: list[Any] = field(default_factory=list)

    def first(self, keys: Any) -> Any:
        """Whether each is the first of its key; from now on all of them were seen."""
        ordered = np.sort(keys)
        if not (ordered[1:] == ordered[:-1]).any() and not self._known(ordered).any():
            self._keep(ordered)
            return np.ones(len(keys), np.bool_)
        different, places = np.unique(keys, return_index=True)
        new = ~self._known(different)
        self._keep(different[new])
        mask = np.zeros(len(keys), np.bool_)
        mask[places[new]] = True
        return mask

    def _known(self, ordered: Any) -> Any:
        found = np.zeros(len(ordered), np.bool_)
        for run in self.runs:
            places = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            found |= run[places] == ordered
        return found

    def _keep(self, ordered: Any) -> None:
        if len(ordered):
            self.runs.append(ordered)
        while len(self.runs) > 1 and len(self.runs[-2]) <= 2 * len(self.runs[-1]):
            last = self.runs.pop()
            self.runs[-1] = np.sort(np.concatenate([self.runs[-1], last]))


def keys_of(trace: pa.ChunkedArray, span: pa.ChunkedArray) -> Any:
    """One number of 64 bits for each pair of ids."""
    return span_keys.keys_of(_words(trace), _words(span), padded=True)


def _words(ids: pa.ChunkedArray) -> Any:
    """Eight bytes of every id each; padded with zeros."""
    whole = pc.fill_null(_whole(ids), "")
    ends = np.frombuffer(whole.buffers()[1], np.int32)[whole.offset : whole.offset + len(whole) + 1]
    lengths = np.diff(ends)
    width = -(-int(lengths.max(initial=1)) // 8) * 8
    data = np.frombuffer(whole.buffers()[2] or b"", np.uint8)
    if len(lengths) and (lengths == width).all():
        padded = data[ends[0] : ends[-1]].reshape(-1, width)
    else:
        texts = [each.encode() for each in whole.to_pylist()]
        padded = np.array(texts, f"S{width}").view(np.uint8).reshape(-1, width)
    return np.ascontiguousarray(padded).view(np.uint64).T


def _numbers(column: pa.ChunkedArray) -> Any:
    found = _whole(column).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        return np.where((found >= 0.0) & (found <= MOST), found, np.nan)


def _whole(column: pa.ChunkedArray) -> Any:
    found = column.combine_chunks()
    # Older Arrows give a chunked array where there is no chunk.
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) and found.num_chunks else found
