"""Columns that the footer of a packed file tells whole, so that they need not be read.

Nothing is there, or one word on every row; of a number that follows from energy (`lake_numbers`) one factor on
every row that has energy, or no rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

UNTOLD: Final = object()
"""The values must be read."""
BASE: Final = "energy_j"
FACTOR, REST = "_per_j", "_rest"


def places_of(file: pq.ParquetFile, names: Sequence[str]) -> dict[str, int]:
    """Where footers of row groups tell of some columns, and of energy; of a map, of its keys."""
    about = file.metadata
    paths = [about.schema.column(at).path for at in range(about.num_columns)]
    places = {path.removesuffix(".key_value.key"): at for at, path in enumerate(paths)}
    return {name: places[name] for name in dict.fromkeys([*names, BASE])}


def read_groups(
    file: pq.ParquetFile, groups: Sequence[int], names: Sequence[str], asked: Mapping[str, int]
) -> tuple[pa.Table, dict[str, float]]:
    """Some columns of some row groups, one after the other; what all their footers tell is not read.

    Args:
        file: A packed file.
        groups: Numbers of the row groups.
        names: The columns.
        asked: What `places_of` gives for them.

    Returns:
        The columns, and factors and rests that are one number, which have no column.
    """
    schema = file.schema_arrow
    footers = [_Footer.of(file.metadata.row_group(each), asked) for each in groups]
    numbers = {name: told for name in names if (told := _number(footers, name)) is not None}
    made: dict[str, Any] = {}
    for name in names:
        if name not in numbers:
            of = schema.field(name).type
            words = [each.word(name, of) for each in footers]
            if UNTOLD not in words:
                made[name] = _made(words, [each.rows for each in footers], of)
    left = [each for each in names if each not in made and each not in numbers]
    if left:
        # Who reads much has a thread for each core; more of them wait for each other.
        read = file.read_row_groups(list(groups), columns=left, use_threads=False)
        made |= {name: read.column(name) for name in left}
    return pa.table({each: made[each] for each in names if each in made}), numbers


@dataclass(frozen=True, slots=True)
class _Footer:
    """What is told of one row group, by column."""

    rows: int
    told: dict[str, Any]

    @classmethod
    def of(cls, group: pq.RowGroupMetaData, places: Mapping[str, int]) -> Self:
        told = {name: group.column(at).statistics for name, at in places.items()}
        return cls(group.num_rows, {name: each for name, each in told.items() if each is not None})

    def absent(self, name: str) -> int | None:
        """Rows that have nothing in a column."""
        told = self.told.get(name)
        return told.null_count if told is not None and told.has_null_count else None

    def word(self, name: str, of: pa.DataType) -> Any:
        """The word that all rows have, or none where none has any."""
        absent = self.absent(name)
        if absent == self.rows:
            return None
        # Least and most of numbers say nothing of NaN, nor which zero it is.
        if absent != 0 or not pa.types.is_dictionary(of):
            return UNTOLD
        least, most = self.bounds(name)
        return least if least is not None and least == most else UNTOLD

    def number(self, name: str) -> float | None:
        """The factor of all rows that have energy, or their rest of nothing; none where they differ."""
        absent = self.absent(name)
        if not name.endswith((FACTOR, REST)) or absent is None or absent != self.absent(BASE):
            return None
        least, most = self.bounds(name)
        if least is None or least != most or (name.endswith(REST) and least != 0.0):
            return None
        # Which zero a rest is makes no difference: the product that it is added to is none.
        found: float = abs(least) if name.endswith(REST) else least
        return found

    def bounds(self, name: str) -> tuple[Any, Any]:
        """The least and the most of a column."""
        told = self.told[name]
        return (told.min, told.max) if told.has_min_max else (None, None)


def _number(footers: Sequence[_Footer], name: str) -> float | None:
    """The same of some row groups that tell the same."""
    found = {each.number(name) for each in footers}
    return found.pop() if len(found) == 1 else None


def _made(values: Sequence[str | None], rows: Sequence[int], of: pa.DataType) -> Any:
    """A column of what the footers tell."""
    if not any(each is not None for each in values):
        return pa.nulls(sum(rows), of)
    words = pa.array([each for each in values if each is not None], of.value_type)
    there = np.array([each is not None for each in values])
    codes = np.repeat((np.cumsum(there) - 1).astype(np.int32), rows)
    absent = None if there.all() else np.repeat(~there, rows)
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=absent), words).cast(of)
