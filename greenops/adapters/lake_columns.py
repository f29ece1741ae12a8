"""Columns of the lake's spans over a stretch of time, each span once: for sums that are asked for now and then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.lake_places import parts
from greenops.adapters.lake_read import Wanted, span_tables
from greenops.adapters.lake_tally import Seen, keys_of
from greenops.domain.spans import MOST

IDS: Final = ("trace_id", "span_id")
NUMBERS: Final = ("energy_j", "energy_low_j", "energy_high_j", "carbon_g", "cost_usd")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def span_columns(
    lake: Path, begins: datetime, ends: datetime, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Some columns of every span whose `time` lies in a stretch, by day; numbers that cannot be are null.

    Args:
        lake: Its folder.
        begins: First instant, inclusive.
        ends: Last instant, exclusive.
        columns: As of `lake_read.span_tables`.

    Raises:
        DataMissing: A file is damaged; names it.
    """
    wanted = Wanted(begins=_us(begins), ends=_us(ends))
    day = begins.astimezone(UTC).date()
    while datetime(day.year, day.month, day.day, tzinfo=UTC) < ends:
        seen = Seen()
        for part in parts(lake / "v1" / "spans" / f"day={day.isoformat()}", pa.OSFile):
            for table in span_tables(part, [*dict.fromkeys((*columns, *IDS))], wanted):
                # A span that was delivered twice lies on the same day, and counts as it came first.
                first = seen.first(keys_of(*(_chunked(table[name]) for name in IDS)))
                yield _credible(table.filter(pa.array(first)).select(list(columns)))
        day += timedelta(days=1)


def _credible(table: pa.Table) -> pa.Table:
    for name in NUMBERS:
        if name in table.column_names:
            column = table[name]
            can_be = pc.and_(pc.greater_equal(column, 0.0), pc.less_equal(column, MOST))
            kept = pc.if_else(can_be, column, pa.scalar(None, column.type))
            table = table.set_column(table.column_names.index(name), name, kept)
    return table


def _chunked(column: Any) -> Any:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _us(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)
