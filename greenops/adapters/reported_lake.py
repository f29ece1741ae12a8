"""What others accounted for, in tables of its own beside the lake's: no sum over spans or accounts meets it.

    lake/v1/reported/month=YYYY-MM/<source>.parquet   amounts over a period, by the month in which it begins
    lake/v1/readings/day=YYYY-MM-DD/<source>.parquet  looks at counters and powers, by the day (UTC) of each

A source's file holds each key once: what is brought again replaces what was there, and where that changes nothing the file stays as
it is. Once it was packed it is not there any more; what comes then is merged with its rows in the packed file, here or in object
storage, and the whole is written under its name again, where by the law of `lake_files` it counts in their place.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.disk import one_writer, sync, write_whole
from greenops.adapters.lake_merging import stored
from greenops.adapters.lake_pieces import damaged
from greenops.adapters.lake_places import VERSION, day_folders, parts
from greenops.adapters.lake_subjects import Subjects
from greenops.adapters.lake_writing import LOCK
from greenops.adapters.reported_schemas import KIND, READINGS, REPORTED, WHOSE
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.meter_reading import MeterReading
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.errors import Unreachable
from greenops.units import Joules, Watts

Row = dict[str, Any]
Key = tuple[Any, ...]


class _Table(NamedTuple):
    """One of the two tables.

    Attributes:
        stretch: Form of the names of its folders.
        time: Column that says in which of them a row belongs.
        key: What a row is of; a second one of the same key is a correction of the first.
    """

    name: str
    stretch: str
    time: str
    schema: pa.Schema
    key: Callable[[Row], Key]


class ReportedLake:
    """The two tables below `<state>/lake/v1`. Stability: beta."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / VERSION
        self._subjects = Subjects(folder)

    def keep(self, amounts: Iterable[Amount]) -> int:
        """Keep amounts, but those of subjects that were deleted; gives how many are new or changed.

        Of two of one key the one that its source published later counts, else the one that came last.

        Raises:
            Unreachable: The disk is full or gone, or object storage that may have rows of the same source and
                time does not answer; what was kept before is still there.
            DataMissing: A file that is there is damaged.
        """
        return self._keep(AMOUNTS, [_amount_row(each) for each in amounts])

    def keep_readings(self, readings: Iterable[MeterReading]) -> int:
        """Keep readings; gives how many are new or changed.

        Raises:
            Unreachable, DataMissing: As of `keep`.
        """
        return self._keep(LOOKS, [_reading_row(each) for each in readings])

    def amounts(self, month: datetime | None = None) -> Iterator[Amount]:
        """Every amount, by month and source, wherever its file is.

        Args:
            month: Those alone that begin in the month (UTC) of this instant.

        Raises:
            DataMissing: A file is damaged.
            Unreachable: Object storage does not answer.
        """
        only = None if month is None else month.astimezone(UTC).strftime(AMOUNTS.stretch)
        yield from map(_amount, self._rows(AMOUNTS, only))

    def readings(self) -> Iterator[MeterReading]:
        """Every reading, by day and source, wherever its file is.

        Raises:
            DataMissing, Unreachable: As of `amounts`.
        """
        yield from map(_reading, self._rows(LOOKS))

    def drop(self, source: str, stretch: str) -> int:
        """Take back what a source told of a month or a day; gives how many rows.

        Args:
            source: As `azure`.
            stretch: `2026-10` of amounts, `2026-10-31` of readings.

        Raises:
            Unreachable, DataMissing: As of `keep`.
        """
        gone = 0
        for table, folder in ((AMOUNTS, f"month={stretch}"), (LOOKS, f"day={stretch}")):
            path = self._folder / table.name / folder / f"{source}.parquet"
            if folder not in self._stretches(table):
                continue
            with self._alone(table):
                rows = self._held(table, path)
                if rows:
                    # A file without rows counts in place of those that were packed.
                    _write(path, [], table.schema)
                    gone += len(rows)
        return gone

    def _stretches(self, table: _Table) -> dict[str, Path]:
        return {each.name: each for each in day_folders(self._folder / table.name)}

    def _rows(self, table: _Table, only: str | None = None) -> Iterator[Row]:
        for name, folder in self._stretches(table).items():
            if only in (None, name):
                whole = parts(folder, pa.OSFile)
                found = (each for part in whole for each in stored(table.schema, part, named=False))
                # As small files lie, whatever was packed first.
                rows = (row for each in found for row in each.to_pylist())
                yield from sorted(rows, key=itemgetter("source"))

    def _keep(self, table: _Table, rows: Sequence[Row]) -> int:
        with self._alone(table):
            # In the lock: a deletion that comes later finds what is written here.
            kept = self._kept(table, pa.Table.from_pylist(list(rows), table.schema)).to_pylist()
            files = sorted(self._by_file(table, kept).items())
            return sum(self._merge(table, path, fresh) for path, fresh in files)

    def _alone(self, table: _Table) -> AbstractContextManager[None]:
        lock = self._folder / table.name / LOCK
        return one_writer(lock, Unreachable, "the lake cannot be written")

    def _by_file(self, table: _Table, rows: Iterable[Row]) -> Mapping[Path, list[Row]]:
        found: defaultdict[Path, list[Row]] = defaultdict(list)
        for row in rows:
            when: datetime = row[table.time]
            folder = self._folder / table.name / when.strftime(table.stretch)
            found[folder / f"{row['source']}.parquet"].append(row)
        return found

    def _merge(self, table: _Table, path: Path, fresh: Iterable[Row]) -> int:
        kept = {table.key(row): row for row in self._held(table, path)}
        changed = _merged(kept, fresh, table.key)
        if changed:
            # Nothing stands for absent, and sorts first.
            ordered = sorted(kept.items(), key=lambda each: [str(part) for part in each[0]])
            _write(path, [row for _, row in ordered], table.schema)
        return changed

    def _held(self, table: _Table, path: Path) -> list[Row]:
        """Rows of a source's file, which may have been packed and sent away."""
        # What lies here has all of them, and is there though object storage be not.
        return self._found(table, path, away=False) or self._found(table, path, away=True)

    def _found(self, table: _Table, path: Path, *, away: bool) -> list[Row]:
        found: list[Row] = []
        blind: Path | None = None
        for part in parts(path.parent, pa.OSFile, away=away):
            runs = tuple(each for each in part.runs if each.name == path.name)
            if runs:
                for rows in stored(table.schema, replace(part, runs=runs), named=False):
                    found += self._kept(table, rows).to_pylist()
            elif part.packed and part.runs[0].name == part.path.name:
                blind = part.path
        if blind is not None and not found:
            # It may hold rows of this source, which what is written now would hide for good.
            raise damaged(blind, "what it holds cannot be read")
        return found

    def _kept(self, table: _Table, rows: pa.Table) -> pa.Table:
        return self._subjects.kept(table.name, rows)


def _merged(kept: dict[Key, Row], fresh: Iterable[Row], key: Callable[[Row], Key]) -> int:
    """Bring rows among others; gives how many are new or changed."""
    changed = 0
    for row in fresh:
        before = kept.get(key(row))
        if before != row and not _outdated(row, before):
            kept[key(row)] = row
            changed += 1
        untold = key({**row, "accounting": None})
        if row.get("accounting") is not None and untold in kept:
            # The same amount, of which nobody had told how it is counted.
            del kept[untold]
            changed += 1
    return changed


def _write(path: Path, rows: list[Row], schema: pa.Schema) -> None:
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), buffer, compression="zstd")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, buffer.getvalue())
    sync(path.parent)


def _outdated(row: Row, before: Row | None) -> bool:
    """Whether what is there was published later than what comes."""
    if before is None or before.get("published") is None or row.get("published") is None:
        return False
    return bool(row["published"] < before["published"])


# -- rows and records


def _kind_row(kind: Kind) -> Row:
    return {name: None if (told := getattr(kind, name)) is None else str(told) for name in KIND}


def _kind(row: Mapping[str, Any]) -> Kind:
    return Kind(
        source=row["source"],
        quantity=Quantity(row["quantity"]),
        method=Method(row["method"]),
        level=row["level"],
        boundary=Boundary(row["boundary"]) if row["boundary"] else None,
        accounting=Basis(row["accounting"]) if row.get("accounting") else None,
        scope=row.get("scope"),
        currency=row.get("currency"),
    )


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _amount_row(amount: Amount) -> Row:
    names = ("value", "start", "end", *WHOSE, "published", "version")
    return {
        **_kind_row(amount.kind),
        "unit": amount.kind.unit,
        **{name: _in_utc(getattr(amount, name)) for name in names},
        "more": json.dumps(dict(amount.more), sort_keys=True),
    }


def _amount_key(row: Row) -> Key:
    return tuple(row[name] for name in (*KIND, "start", "end", *WHOSE))


def _amount(row: Row) -> Amount:
    names = ("value", "start", "end", *WHOSE, "published", "version")
    told = {name: row[name] for name in names}
    return Amount(kind=_kind(row), more=json.loads(row["more"]), **told)


def _reading_row(reading: MeterReading) -> Row:
    names = ("series", "device", "at", "joules", "watts", "host", "workload")
    return {
        **{name: value for name, value in _kind_row(reading.kind).items() if name in KIND[:5]},
        **{name: _in_utc(getattr(reading, name)) for name in names},
        "labels": json.dumps(dict(reading.labels), sort_keys=True),
    }


def _reading_key(row: Row) -> Key:
    return (row["series"], row["at"])


def _reading(row: Row) -> MeterReading:
    return MeterReading(
        kind=_kind(row),
        series=row["series"],
        device=row["device"],
        at=row["at"],
        joules=None if row["joules"] is None else Joules(row["joules"]),
        watts=None if row["watts"] is None else Watts(row["watts"]),
        host=row["host"],
        workload=row["workload"],
        labels=json.loads(row["labels"]),
    )


AMOUNTS: Final = _Table("reported", "month=%Y-%m", "start", REPORTED, _amount_key)
LOOKS: Final = _Table("readings", "day=%Y-%m-%d", "at", READINGS, _reading_key)
