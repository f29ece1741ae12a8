"""Rows of a CSV or Parquet file that somebody brings, and the place of what is wrong in it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, Protocol, TextIO

from greenops.adapters.series_declaration import Declared
from greenops.errors import DataMissing, Location, nearest

LARGEST: Final = 256 << 20
"""Largest file that is read [bytes]; a year of hours in 100 zones is about 40 MB."""
SEPARATORS: Final = (",", ";", "\t")
SHOWN: Final = 8
"""Most columns of a file that an error lists."""

Rows = Iterator[tuple[int, Mapping[str, Any]]]
"""Line (in Parquet: number) of each row, and its cells by our names of the columns."""


class Fault(Exception):
    """What is wrong with a row.

    Args:
        what: In words.
        column: The column it is in, by our name; none where it is the whole row.
        fix: What to do.
        line: Line of the row; none where it is the one that was given last.
    """

    def __init__(
        self,
        what: str,
        column: str | None = None,
        fix: str | None = None,
        *,
        line: int | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.column, self.fix, self.line = what, column, fix, line


class Table(Protocol):
    """A file with named columns."""

    def rows(self) -> Rows:
        """Every row.

        Raises:
            Fault: It cannot be read further.
        """

    def missing(self, line: int, fault: Fault) -> DataMissing:
        """The error that says where a fault is: at `line`, unless it says another."""


@contextmanager
def open_table(declared: Declared, columns: tuple[str, ...]) -> Iterator[Table]:
    """Open a file as its name ends: `.parquet`, or else CSV.

    Args:
        declared: The file, and its names of columns.
        columns: Columns it may have, by our names.

    Raises:
        DataMissing: It cannot be read, or is too large.
    """
    path, at = declared.path, Location(str(declared.path))
    try:
        if path.stat().st_size > LARGEST:
            fix = f"split it: at most {LARGEST >> 20} MiB are read"
            raise DataMissing("GO0332", "larger than a file may be", at=at, fix=fix)
        if path.suffix == ".parquet":
            yield _ParquetTable(declared, columns)
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield _CsvTable(file, declared, columns)
    except OSError as error:
        why = error.strerror or type(error).__name__
        fix = f"mend `file` at {declared.at}"
        raise DataMissing("GO0332", f"cannot be read: {why}", at=at, fix=fix) from error


class _CsvTable:
    """CSV with a header line; commas, semicolons or tabs between cells."""

    def __init__(self, file: TextIO, declared: Declared, columns: tuple[str, ...]) -> None:
        self._file, self._declared, self._columns = file, declared, columns
        self._separator = SEPARATORS[0]
        self._places: Mapping[str, int] = {}

    def rows(self) -> Rows:
        line = 1
        try:
            header = self._file.readline()
            self._separator = max(SEPARATORS, key=header.count)
            names = next(csv.reader([header], delimiter=self._separator), [])
            self._places = _places(names, self._declared, self._columns)
            reader = csv.reader(self._file, delimiter=self._separator, strict=True)
            for cells in reader:
                line = reader.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise Fault(f"has {len(cells)} cells, the header {len(names)}", line=line)
                yield line, {ours: cells[place] for ours, place in self._places.items()}
        except UnicodeDecodeError:
            fix = "save it as UTF-8, or as Parquet"
            raise Fault("is not UTF-8 text", fix=fix, line=line) from None
        except csv.Error as error:
            raise Fault(f"is not CSV: {error}", line=line + 1) from None

    def missing(self, line: int, fault: Fault) -> DataMissing:
        line = line if fault.line is None else fault.line
        place = self._places.get(fault.column or "")
        column = 0 if place is None or not line else self._column(line, place)
        at = Location(str(self._declared.path), line, column)
        return DataMissing("GO0332", fault.what, at=at, fix=fault.fix)

    def _column(self, line: int, place: int) -> int:
        """Where a cell begins in its line, counted in characters from 1."""
        self._file.seek(0)
        text = next(islice(self._file, line - 1, None), "")
        quoted = False
        for column, sign in enumerate(text, 1):
            if place == 0:
                return column
            quoted ^= sign == '"'
            place -= sign == self._separator and not quoted
        return len(text) if place == 0 else 0


class _ParquetTable:
    """Parquet; its rows have numbers, counted from 1."""

    def __init__(self, declared: Declared, columns: tuple[str, ...]) -> None:
        self._declared, self._columns = declared, columns

    def rows(self) -> Rows:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self._declared.path) as file:
                places = _places(file.schema_arrow.names, self._declared, self._columns)
                names = [file.schema_arrow.names[place] for place in places.values()]
                number = 0
                for batch in file.iter_batches(columns=names):
                    table = {
                        ours: _plain(batch.column(name))
                        for ours, name in zip(places, names, strict=True)
                    }
                    for cells in zip(*table.values(), strict=True):
                        number += 1
                        yield number, dict(zip(table, cells, strict=True))
        except (pa.ArrowException, ValueError) as error:
            raise Fault(f"is not Parquet: {str(error).splitlines()[0][:120]}", line=0) from None

    def missing(self, line: int, fault: Fault) -> DataMissing:
        line = line if fault.line is None else fault.line
        where = f"row {line}: " if line else ""
        if line and fault.column:
            where = f"row {line}, column `{self._declared.theirs(fault.column)}`: "
        at = Location(str(self._declared.path))
        return DataMissing("GO0332", where + fault.what, at=at, fix=fault.fix)


def _plain(column: Any) -> list[Any]:
    """Values of a column; times in microseconds, since nanoseconds would come as pandas' own where it is installed."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _places(
    names: Sequence[str], declared: Declared, columns: tuple[str, ...]
) -> Mapping[str, int]:
    """Where each of our columns stands in a file.

    Raises:
        Fault: One that is needed is missing, or one is there twice.
    """
    names = [name.strip() for name in names]
    needed = {"time", "value", *declared.columns} | (set() if declared.zone else {"zone"})
    found = {}
    for ours in columns:
        theirs = declared.theirs(ours)
        if names.count(theirs) > 1:
            raise Fault(f"has the column `{theirs}` twice", line=1)
        if theirs in names:
            found[ours] = names.index(theirs)
        elif ours in needed:
            near = nearest(theirs, names) or nearest(ours, names) or "…"
            extra = ", or `zone: …` for a file of one zone" if ours == "zone" else ""
            raise Fault(
                f"has no column `{theirs}`; its columns are {_listed(names)}",
                fix=f"declare `columns: {{{ours}: {near}}}`{extra}",
                line=1,
            )
    if declared.zone and "zone" in found:
        fix = f"take `zone` out of the declaration at {declared.at}"
        raise Fault("says the grid zone in a column, and so does the declaration", fix=fix, line=1)
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return f"{shown} …" if len(names) > SHOWN else shown or "none"
