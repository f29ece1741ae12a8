"""Rows of a table that another tool wrote, as CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from greenops.adapters.import_row import Row
from greenops.adapters.import_text import content_of, documents, text_of
from greenops.errors import InvalidFile, Location

SEPARATORS: Final = (",", ";", "\t")
Name = Callable[[str], str]
"""What a column's name is taken for."""


def rows_of(path: Path, tool: str, needed: Sequence[str], name: Name = str.strip) -> Iterator[Row]:
    """Every row of a file: Parquet, JSON (an array, an object with one in it, or an object a line), else CSV.

    Args:
        path: The file, packed by gzip or not.
        tool: What it should be of, for messages.
        needed: Columns that it must have, by the names that `name` gives.
        name: What a column's name is taken for.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is none of these, or lacks a column.
    """
    if path.suffix == ".parquet":
        yield from _parquet(path, tool, needed, name)
        return
    text = text_of(path)
    if text.lstrip()[:1] in ("{", "["):
        yield from _json(text, path, tool, needed, name)
    else:
        yield from _csv(text, path, tool, needed, name)


def _csv(text: str, path: Path, tool: str, needed: Sequence[str], name: Name) -> Iterator[Row]:
    lines = _Lines(text)
    header = next(lines, "")
    separator = max(SEPARATORS, key=header.count)
    names = [name(cell) for cell in next(csv.reader([header], delimiter=separator), [])]
    _refuse_lack(names, needed, tool, Location(str(path), 1))
    columns = {each: place for place, each in enumerate(names)}
    lines.taken.clear()
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        for cells in reader:
            raw = "".join(lines.taken)
            lines.taken.clear()
            if not cells:
                continue
            line = reader.line_num + 1 - raw.count("\n", 0, -1)
            if len(cells) != len(names):
                what = f"the row has {len(cells)} cells, the header {len(names)}"
                raise InvalidFile("GO0441", what, at=Location(str(path), line))
            found = dict(zip(names, cells, strict=True))
            yield Row(path, found, line, raw, columns, separator)
    except csv.Error as error:
        at = Location(str(path), reader.line_num + 1)
        raise InvalidFile("GO0441", f"is not CSV: {error}", at=at) from error


class _Lines:
    """Lines of a text, those of the row that is being read kept."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.taken.append(line)
        return line


def _json(text: str, path: Path, tool: str, needed: Sequence[str], name: Name) -> Iterator[Row]:
    found = documents(text, path)
    in_lines = len(found) > 1
    if not in_lines:
        found = list(enumerate(_array(found[0][1]), 1))
    for line, value in found:
        if not isinstance(value, dict):
            what = f"no file of {tool}: it holds no objects"
            raise InvalidFile("GO0440", what, at=Location(str(path)))
        cells = {name(key): cell for key, cell in _flat(value)}
        _refuse_lack(cells, needed, tool, Location(str(path), line if in_lines else 0))
        yield Row(path, cells, line, in_lines=in_lines)


def _array(value: Any) -> list[Any]:
    """The rows of a JSON value: itself, or what answers of web services hold them in."""
    if isinstance(value, dict):
        inner = next((value[key] for key in ("value", "data", "rows") if key in value), [value])
        return inner if isinstance(inner, list) else [value]
    return value if isinstance(value, list) else [value]


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{above}{key}.")
        elif not isinstance(inner, list):
            yield f"{above}{key}", inner


def _parquet(path: Path, tool: str, needed: Sequence[str], name: Name) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = content_of(path)
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            theirs = {name(each): each for each in file.schema_arrow.names}
            _refuse_lack(theirs, needed, tool, Location(str(path)))
            number = 0
            for batch in file.iter_batches():
                for cells in _seconds(batch).to_pylist():
                    number += 1
                    found = {ours: cells[each] for ours, each in theirs.items()}
                    yield Row(path, dict(_flat(found)), number, in_lines=False)
    except (pa.ArrowException, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidFile("GO0440", f"is no Parquet: {why}", at=Location(str(path))) from error


def _seconds(batch: Any) -> Any:
    """A batch with times in microseconds: nanoseconds would come as pandas' own where it is installed."""
    import pyarrow as pa

    fields = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type)
        else field
        for field in batch.schema
    ]
    return pa.Table.from_batches([batch]).cast(pa.schema(fields), safe=False)


def _refuse_lack(found: Any, needed: Sequence[str], tool: str, at: Location) -> None:
    missing = [each for each in needed if each not in found]
    if missing:
        what = f"no file of {tool}: it lacks `{'`, `'.join(missing)}`"
        raise InvalidFile("GO0440", what, at=at)
