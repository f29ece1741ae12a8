"""What goes into a packed file: rows of a day's small files, and of packed ones that it takes the place of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from greenops.adapters.lake_compact import COLUMNS as SPAN_COLUMNS
from greenops.adapters.lake_compact import FORM
from greenops.adapters.lake_compact_writer import CompactWriter
from greenops.adapters.lake_encodings import encodings
from greenops.adapters.lake_expand import SOURCE
from greenops.adapters.lake_files import (
    STAGES,
    Counting,
    Day,
    Part,
    is_pack,
    sources_text,
)
from greenops.adapters.lake_pieces import sound
from greenops.adapters.lake_read import sources_at, span_tables
from greenops.errors import DataMissing

GROUP_BYTES: Final = 16 * 2**20
"""About what a row group takes while it is put together [bytes]; several times that is in memory at the peak."""
GROUP_ROWS: Final = 800_000
"""Most rows of a row group; what a replay takes at once."""
TOGETHER: Final = 256
"""Small tables that are joined at once: each costs some kilobytes beside its rows."""
JOINED_ROWS: Final = 20_000
"""Rows that are joined at once [1]."""
PACK_BYTES: Final = 256 * 2**20
"""About what spans take in memory that go into one packed file [bytes]; some fifty megabytes on disk."""

Identity = tuple[int, int, int]


class Damaged(Exception):
    """A file cannot be read, so its day is not packed."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


@dataclass(slots=True)
class Merged:
    """A packed file in the making.

    Attributes:
        temporary: Where it is written.
        form: Version of its form.
        sources: Small files and their rows.
        known: Small files that can go once it counts, as they were when they were read.
    """

    temporary: Path
    form: int
    sources: list[tuple[str, int]] = field(default_factory=list)
    known: dict[str, Identity] = field(default_factory=dict)


@dataclass(slots=True)
class Reading:
    """What reads a day's files one after the other.

    Attributes:
        go_on: Called between two of them; raises where packing is to end.
        left: Files that cannot be packed, as they were.
        kept: Says which rows of a table stay; those of subjects that were deleted do not.
    """

    go_on: Callable[[], None]
    left: set[tuple[Path, Identity]]
    kept: Callable[[pa.Table], pa.Table] = lambda table: table

    def tables(
        self,
        counting: Counting,
        read: Callable[[Part], Iterator[pa.Table]],
        known: dict[str, Identity],
        held: AbstractSet[str],
    ) -> Iterator[pa.Table]:
        """The rows of a file that count; nothing where a small file cannot be read.

        Args:
            counting: The file.
            read: Gives its rows.
            known: Takes a small file that was read whole.
            held: Small files that packed files of the day hold.

        Raises:
            Damaged: A packed file cannot be read, or half of a small one, or one that was packed before.
        """
        path = counting.path
        packed = is_pack(path.name)
        identity = identity_of(path)
        first = True
        try:
            for table in read(Part(path, str(path), counting.runs, counting.left_out)):
                self.go_on()
                first = False
                yield self.kept(table)
        except DataMissing as error:
            # Readers say what is wrong with it; a file of an earlier version lacks columns.
            self.left.add((path, identity))
            if packed or not first or path.name in held:
                raise Damaged(path) from error
            return
        if not packed:
            known[path.name] = identity


def is_spans(schema: pa.Schema) -> bool:
    """Whether a table has the compact form."""
    return set(SPAN_COLUMNS) <= set(schema.names)


def merged_plain(
    day: Day, temporary: Path, schema: pa.Schema, reading: Reading
) -> Iterator[Merged]:
    """All files of a day in one, in the order in which they are read (form 1)."""
    merged = Merged(temporary, 1)
    with _Groups(temporary, schema) as groups:
        held = _held(day)
        for _, counting in day.wanted():
            name = counting.path.name
            read = partial(stored, schema, named=is_pack(name))
            counts: Counter[str] = Counter()
            for table in reading.tables(counting, read, merged.known, held):
                counts.update(counts_of(table) if is_pack(name) else {name: len(table)})
                groups.add(table.select(schema.names))
            if is_pack(name) or name in merged.known:
                merged.sources += [(run.name, counts[run.name]) for run in counting.runs]
        groups.finish(sources_text(merged.sources))
    yield merged


def merged_spans(
    day: Day, temporary: Path, _schema: pa.Schema, reading: Reading
) -> Iterator[Merged]:
    """Spans of a day in compact files (form 2); each is to be put in its place before the next is made."""
    files, held = day.wanted(), _held(day)
    while files:
        merged, writer = Merged(temporary, FORM), CompactWriter(temporary)
        try:
            while files and writer.bytes < PACK_BYTES:
                _add_spans(files.pop(0)[1], reading, merged, writer, held)
            writer.close()
        finally:
            writer.abandon()
        merged.sources = list(writer.sources.items())
        yield merged


def _add_spans(
    counting: Counting,
    reading: Reading,
    merged: Merged,
    writer: CompactWriter,
    held: AbstractSet[str],
) -> None:
    for table in reading.tables(counting, _spans, merged.known, held):
        writer.add(table)
    if is_pack(counting.path.name) or counting.path.name in merged.known:
        writer.hold(run.name for run in counting.runs)


def _spans(part: Part) -> Iterator[pa.Table]:
    return span_tables(part, [*SPAN_COLUMNS, SOURCE])


def _held(day: Day) -> frozenset[str]:
    """Small files that packed files of a day hold."""
    return frozenset(run.name for pack in day.packs for run in pack.runs)


def stored(schema: pa.Schema, part: Part, *, named: bool = True) -> Iterator[pa.Table]:
    """Rows of the other tables; named: with the small files that they are of."""
    with sound(part.path, away=part.away):
        file = pq.ParquetFile(part.source)
    ends = np.cumsum(
        [0, *(file.metadata.row_group(e).num_rows for e in range(file.num_row_groups))]
    )
    for group, start, rows in part.pieces(file):
        with sound(part.path, away=part.away):
            table = file.read_row_group(group, columns=schema.names, use_threads=False)
            if STAGES in schema.names and STAGES not in table.column_names:
                table = table.append_column(STAGES, pa.nulls(len(table), schema.field(STAGES).type))
            table = table.select(schema.names).cast(schema).slice(start, rows)
        if named:
            names = sources_at(part, int(ends[group]) + start, rows)
            table = table.append_column(SOURCE, names)
        yield table


def counts_of(table: pa.Table) -> dict[str, int]:
    """Rows by the small file that they are of."""
    found = pc.value_counts(table[SOURCE].cast(pa.string()))
    return dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True))


def identity_of(path: Path) -> Identity:
    """What changes when a file is written again."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(slots=True)
class _Groups:
    """Row groups in the making; rows that were added together stay together.

    The first row group says how the columns are encoded.
    """

    path: Path
    schema: pa.Schema
    _writer: pq.ParquetWriter | None = None
    _small: list[pa.Table] = field(default_factory=list)
    _joined: list[pa.Table] = field(default_factory=list)
    _small_rows: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, table: pa.Table) -> None:
        """Take some rows; writes a row group where there are enough."""
        self._small.append(table)
        self._small_rows += len(table)
        if len(self._small) >= TOGETHER or self._small_rows >= JOINED_ROWS:
            self._join()
            rows = sum(map(len, self._joined))
            if rows >= GROUP_ROWS or sum(each.nbytes for each in self._joined) >= GROUP_BYTES:
                self._write()

    def finish(self, metadata: Mapping[bytes, bytes]) -> None:
        """Write what was added since the last row group, and the footer."""
        self._join()
        if self._joined or self._writer is None:
            self._write()
        assert self._writer is not None  # noqa: S101
        self._writer.add_key_value_metadata(metadata)

    def _write(self) -> None:
        whole = pa.concat_tables([self.schema.empty_table(), *self._joined]).unify_dictionaries()
        self._joined = []
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, self.schema, **encodings(whole))
        if len(whole):
            self._writer.write_table(whole, row_group_size=len(whole))

    def _join(self) -> None:
        if self._small:
            whole = pa.concat_tables(self._small).unify_dictionaries().combine_chunks()
            self._joined.append(whole)
        self._small, self._small_rows = [], 0
