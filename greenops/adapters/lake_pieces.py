"""Some rows of the lake's files, found again when they are wanted though they were packed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_files import Part, Run
from greenops.adapters.lake_places import whole_day
from greenops.adapters.lake_store import no_answer
from greenops.errors import DataMissing, Location


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one file.

    Attributes:
        begin: Row of the file at which the row group begins.
        source: The open file, where it is a packed one; none: its path is opened anew.
        away: It lies in object storage.
    """

    path: Path
    group: int
    start: int
    length: int
    begin: int = 0
    source: Any = field(default=None, repr=False)
    away: bool = False


def pieces_of(part: Part, file: pq.ParquetFile) -> list[Piece]:
    """The rows of an open file that count, by row group."""
    sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    begins = np.cumsum([0, *sizes]).tolist()
    source = part.source if part.packed else None
    return [
        Piece(part.path, group, start, rows, begins[group], source, part.away)
        for group, start, rows in part.pieces(file)
    ]


def mapped(path: str) -> Any:
    """A file's bytes as they lie on disk."""
    return pa.memory_map(path)


def rows_of(file: pq.ParquetFile, piece: Piece, columns: Sequence[str]) -> pa.Table:
    """Some columns of some rows, in this order."""
    with sound(piece.path, away=piece.away):
        group = file.read_row_group(piece.group, columns=list(columns)).select(columns)
        return group.slice(piece.start, piece.length)


def rows_together(
    file: pq.ParquetFile, pieces: Sequence[Piece], columns: Sequence[str]
) -> pa.Table:
    """Some columns of some pieces of one file, in this order; row groups that count whole are read at once."""
    sizes = [file.metadata.row_group(each.group).num_rows for each in pieces]
    if not all(e.start == 0 and e.length == s for e, s in zip(pieces, sizes, strict=True)):
        return pa.concat_tables([rows_of(file, each, columns) for each in pieces])
    with sound(pieces[0].path, away=pieces[0].away):
        groups = [each.group for each in pieces]
        return file.read_row_groups(groups, columns=list(columns)).select(columns)


def read_all(pieces: Sequence[Piece], columns: Sequence[str] | None) -> pa.Table:
    """Some columns, or all, of rows that may have been packed since they were listed."""
    while True:
        try:
            return pa.concat_tables([_read(each, columns) for each in _found(pieces)])
        except FileNotFoundError:
            # It was packed between the look and the reading; the next look finds it there.
            continue


def _read(piece: Piece, columns: Sequence[str] | None) -> pa.Table:
    source = piece.source or mapped(str(piece.path))
    with sound(piece.path, away=piece.away):
        file = pq.ParquetFile(source)
    return rows_of(file, piece, file.schema_arrow.names if columns is None else columns)


def _found(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Where the rows are now; those that lie together come together."""
    packs: dict[Path, _Pack] = {}
    last: Piece | None = None
    for piece in pieces:
        for each in _located(piece, packs):
            if last is not None and _touch(last, each):
                last = replace(last, length=last.length + each.length)
                continue
            if last is not None:
                yield last
            last = each
    if last is not None:
        yield last


def _touch(one: Piece, other: Piece) -> bool:
    together = (one.path, one.group) == (other.path, other.group)
    return together and one.start + one.length == other.start


@dataclass(frozen=True, slots=True)
class _Pack:
    """An open packed file, and which rows came from which small one."""

    path: Path
    source: Any
    file: pq.ParquetFile
    runs: dict[str, Run]


def _located(piece: Piece, packs: dict[Path, _Pack]) -> list[Piece]:
    if piece.source is not None or piece.path.exists():
        return [piece]
    pack = packs.get(piece.path) or _pack_with(piece.path)
    if pack is None:
        with sound(piece.path):
            raise OSError("it is gone")
    # Small files that lie together mostly went into one.
    packs |= {piece.path.with_name(name): pack for name in pack.runs}
    first = pack.runs[piece.path.name].first + piece.begin + piece.start
    wanted = Part(pack.path, pack.source, (Run(piece.path.name, first, piece.length),))
    return pieces_of(wanted, pack.file)


def _pack_with(small: Path) -> _Pack | None:
    """The packed file that holds a small one now."""
    for each in reversed(whole_day(small.parent).packs):
        runs = {run.name: run for run in each.runs}
        if small.name in runs:
            source = (
                mapped(str(each.path)) if each.away is None else each.away.opened(str(each.path))
            )
            return _Pack(each.path, source, pq.ParquetFile(source), runs)
    return None


@contextmanager
def sound(path: Path, *, away: bool = False) -> Iterator[None]:
    """Say which file it is that cannot be read, or that object storage does not answer."""
    try:
        yield
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        # A network that fails is no file that is damaged: its rows must not be left out.
        if away and isinstance(error, OSError):
            raise no_answer("read", str(path), first) from error
        raise damaged(path, first) from error


def damaged(path: Path, why: str) -> DataMissing:
    """The error that a file cannot be read."""
    return DataMissing(
        "GO0412",
        f"this lake file is damaged: {why}",
        at=Location(str(path)),
        fix="move it out of the lake to go on without its rows; the other files are whole",
    )
