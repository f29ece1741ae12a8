"""What others accounted for, in tables of its own beside the lake's: no sum over spans or accounts meets it.

    lake/v1/reported/month=YYYY-MM/<source>.parquet   amounts over a period, by the month in which it begins
    lake/v1/readings/day=YYYY-MM-DD/<source>.parquet  looks at counters and powers, by the day (UTC) of each

A file holds each key once: what is brought again replaces what was there, and where that changes nothing the file stays as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.disk import one_writer, sync, write_whole
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.meter_reading import MeterReading
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.errors import DataMissing, Location, Unreachable
from greenops.units import Joules, Watts

INSTANT: Final = pa.timestamp("us", "UTC")
TEXT: Final = pa.string()
KIND: Final = ("source", "quantity", "method", "level", "boundary", "accounting", "scope", "currency")  # fmt: skip
WHOSE: Final = ("account", "service", "region", "workload", "host")
REPORTED: Final = pa.schema(
    [
        *((name, TEXT) for name in (*KIND, "unit")),
        ("value", pa.float64()),
        *((name, INSTANT) for name in ("start", "end")),
        *((name, TEXT) for name in WHOSE),
        ("published", INSTANT),
        *((name, TEXT) for name in ("version", "more")),
    ]
)
"""Schema of version 1 of amounts; `more` is JSON."""
READINGS: Final = pa.schema(
    [
        *((name, TEXT) for name in (*KIND[:5], "series", "device")),
        ("at", INSTANT),
        *((name, pa.float64()) for name in ("joules", "watts")),
        *((name, TEXT) for name in ("host", "workload", "labels")),
    ]
)
"""Schema of version 1 of readings; `labels` is JSON."""

Row = dict[str, Any]
Key = tuple[Any, ...]


class ReportedLake:
    """The two tables below `<state>/lake/v1`. Stability: beta."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "v1"

    def keep(self, amounts: Iterable[Amount]) -> int:
        """Keep amounts; gives how many are new or changed.

        Of two of one key the one that its source published later counts, else the one that came last.

        Raises:
            Unreachable: The disk is full or gone; what was kept before is still there.
            DataMissing: A file that is there is damaged.
        """
        rows = [_amount_row(each) for each in amounts]
        return self._merge("reported", "month=%Y-%m", "start", rows, REPORTED, _amount_key)

    def keep_readings(self, readings: Iterable[MeterReading]) -> int:
        """Keep readings; gives how many are new or changed.

        Raises:
            Unreachable, DataMissing: As of `keep`.
        """
        rows = [_reading_row(each) for each in readings]
        return self._merge("readings", "day=%Y-%m-%d", "at", rows, READINGS, _reading_key)

    def amounts(self) -> Iterator[Amount]:
        """Every amount, by month and source.

        Raises:
            DataMissing: A file is damaged.
        """
        for path in sorted((self._folder / "reported").glob("month=*/*.parquet")):
            for row in _rows(path, REPORTED):
                yield _amount(row)

    def readings(self) -> Iterator[MeterReading]:
        """Every reading, by day and source.

        Raises:
            DataMissing: A file is damaged.
        """
        for path in sorted((self._folder / "readings").glob("day=*/*.parquet")):
            for row in _rows(path, READINGS):
                yield _reading(row)

    def _merge(
        self,
        table: str,
        part: str,
        time: str,
        rows: Sequence[Row],
        schema: pa.Schema,
        key: Callable[[Row], Key],
    ) -> int:
        parts: defaultdict[Path, list[Row]] = defaultdict(list)
        for row in rows:
            when: datetime = row[time]
            parts[Path(when.strftime(part)) / f"{row['source']}.parquet"].append(row)
        folder = self._folder / table
        changed = 0
        with one_writer(folder / ".lock", Unreachable, "the lake cannot be written"):
            for name, fresh in sorted(parts.items()):
                changed += _merge_file(folder / name, fresh, schema, key)
        return changed


def _merge_file(
    path: Path, fresh: Sequence[Row], schema: pa.Schema, key: Callable[[Row], Key]
) -> int:
    kept = {key(row): row for row in _rows(path, schema)} if path.exists() else {}
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
    if changed:
        # Nothing stands for absent, and sorts first.
        ordered = sorted(kept.items(), key=lambda each: [str(part) for part in each[0]])
        columns = {name: [row[name] for _, row in ordered] for name in schema.names}
        buffer = BytesIO()
        pq.write_table(pa.Table.from_pydict(columns, schema), buffer, compression="zstd")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
        sync(path.parent)
    return changed


def _outdated(row: Row, before: Row | None) -> bool:
    """Whether what is there was published later than what comes."""
    if before is None or before.get("published") is None or row.get("published") is None:
        return False
    return bool(row["published"] < before["published"])


def _rows(path: Path, schema: pa.Schema) -> list[Row]:
    try:
        found: list[Row] = pq.read_table(path, partitioning=None).select(schema.names).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        fix = "move it away and import its files again"
        at = Location(str(path))
        raise DataMissing("GO0412", f"this lake file is damaged: {why}", at=at, fix=fix) from error
    return found


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
