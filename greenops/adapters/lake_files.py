"""Which file of a lake's day holds which rows, while small files are packed into larger ones.

A packed file `0-packed-N.parquet` lists in its footer, under `greenops.sources`, the small files it was made
of and how many rows each gave. Law: the rows of a small file are read from it while it lies beside the packed
ones, else from the packed one of the highest number that lists it. So each row counts once at any moment of
packing, after a death at any moment, and where a small file is written again.

A packed file of form 2 (`0-packed-N.v2.parquet`, `lake_compact`) holds its rows in another order, each with the
name of its small file; those of form 1 hold them in the order of the list.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_store import Store

PACK: Final = "0-packed-"
"""How a packed file's name begins; it sorts before the names of segments, decisions and imports."""
NAME: Final = re.compile(r"0-packed-([0-9]+)(?:-[0-9a-f]{16})?(?:\.v([0-9]+))?\.parquet")
SOURCES: Final = b"greenops.sources"
ZIPPED: Final = b"greenops.sources.z"
"""The same, deflated and in base 85: names of a day's tens of thousands of segments are alike."""
VERSION: Final = b"greenops.schema"
"""Form of a packed file, in its footer; form 1 where it tells none."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one small file.

    Attributes:
        name: The small file they came from, or the file itself.
        first: Place of the first of them, where they lie together.
        rows: How many; none: all that follow.
    """

    name: str
    first: int = 0
    rows: int | None = None


STAGES: Final = "stages"
"""Column of decisions that files of earlier versions lack: absent there, and null once packed; what it
says stands in the record too."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file and those of its rows that count.

    Attributes:
        source: The open file, which can be read though its name be gone; its path where it cannot be opened.
        left_out: Small files whose rows in it do not count.
        away: It lies in object storage, so that it may fail to be read for a while.
    """

    path: Path
    source: Any
    runs: tuple[Run, ...]
    left_out: frozenset[str] = frozenset()
    away: bool = False

    @property
    def packed(self) -> bool:
        """Whether several small files went into it."""
        return is_pack(self.path.name)

    @property
    def form(self) -> int:
        """Version of its form."""
        return form_of(self.path.name)

    def pieces(self, file: pq.ParquetFile) -> Iterator[tuple[int, int, int]]:
        """Row group, first row in it and number of rows, of all rows that count, in order; of form 1."""
        ends = _joined(self.runs)
        begin = 0
        for group in range(file.num_row_groups):
            end = begin + file.metadata.row_group(group).num_rows
            for low, high in ends:
                first, last = max(low, begin), end if high is None else min(high, end)
                if first < last:
                    yield group, first - begin, last - first
            begin = end


@dataclass(frozen=True, slots=True)
class Pack:
    """A packed file and what it holds.

    Attributes:
        away: Object storage that it lies in, where `path` is its key; none: it is here.
    """

    path: Path
    runs: tuple[Run, ...]
    away: Store | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """Files of a day of one table at one moment.

    Attributes:
        packs: Packed files, the lowest number first.
        loose: Names of the other files, sorted.
    """

    folder: Path
    packs: tuple[Pack, ...] = ()
    loose: tuple[str, ...] = ()

    @property
    def stale(self) -> list[Pack]:
        """Packed files of which those of higher numbers hold everything."""
        found: list[Pack] = []
        higher: set[str] = set()
        for pack in reversed(self.packs):
            names = {run.name for run in pack.runs}
            if higher and names <= higher:
                found.append(pack)
            higher |= names
        return found

    def wanted(self, done: AbstractSet[str] = frozenset()) -> list[tuple[Path, Counting]]:
        """Files in the order of reading, and what counts in each; without what was done."""
        taken = done | set(self.loose)
        found: list[Counting] = []
        for pack in reversed(self.packs):
            runs = tuple(run for run in pack.runs if run.name not in taken)
            left_out = frozenset(run.name for run in pack.runs if run.name in taken)
            found.append(Counting(pack.path, runs, left_out, pack.away))
            taken = taken | {run.name for run in runs}
        found.reverse()
        found += [
            Counting(self.folder / name, (Run(name),)) for name in self.loose if name not in done
        ]
        return [(each.path, each) for each in found if each.runs]


@dataclass(frozen=True, slots=True)
class Counting:
    """A file, which of its rows count, and which of its small files do not; see `Pack` and `Part`."""

    path: Path
    runs: tuple[Run, ...]
    left_out: frozenset[str] = frozenset()
    away: Store | None = None

    def opened(self, opener: Callable[[str], Any]) -> Any:
        """The open file, or its path where it cannot be opened: whoever reads it meets the same error.

        Raises:
            FileNotFoundError: It is gone.
        """
        if self.away is not None:
            return self.away.opened(str(self.path))
        try:
            return opener(str(self.path))
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException):
            return str(self.path)

    @property
    def shown(self) -> Path:
        """What people know it by: its path here, or bucket and key."""
        return (
            self.path if self.away is None else Path(self.away.url.partition(":/")[2]) / self.path
        )


def is_pack(name: str) -> bool:
    """Whether it is the name of a packed file."""
    return NAME.fullmatch(name) is not None


def number_of(path: Path) -> int:
    """Number of a packed file: the highest counts."""
    found = NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def form_of(name: str) -> int:
    """Version of the form of a file; small files have the first."""
    found = NAME.fullmatch(name)
    return int(found[2] or 1) if found else 1


def pack_name(number: int, form: int) -> str:
    """Name of a packed file."""
    return f"{PACK}{number}.parquet" if form == 1 else f"{PACK}{number}.v{form}.parquet"


def day_of(folder: Path) -> Day:
    """The files of a folder as they lie together at one moment, though one packs them meanwhile."""
    while True:
        names = _names(folder)
        paths = sorted((folder / name for name in names if is_pack(name)), key=number_of)
        try:
            packs = tuple(Pack(each, runs_of(each)) for each in paths)
        except FileNotFoundError:
            continue
        # A listing may miss both a packed file that came and the small ones that then went. A
        # packed file comes before they go, so a second listing shows it.
        if all(name in names for name in _names(folder) if is_pack(name)):
            return Day(folder, packs, tuple(sorted(name for name in names if not is_pack(name))))


def runs_of(pack: Path) -> tuple[Run, ...]:
    """What a packed file says that it holds; itself as one where its footer cannot be read.

    Raises:
        FileNotFoundError: It is gone.
    """
    try:
        return runs_in(pq.read_metadata(pack))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, zlib.error, pa.ArrowException):
        # Whoever reads its rows finds out what is wrong with it and says so.
        return (Run(pack.name),)


def runs_in(footer: pq.FileMetaData) -> tuple[Run, ...]:
    """What a packed file's footer says that it holds.

    Raises:
        ValueError, KeyError, TypeError, zlib.error: It says nothing that can be read.
    """
    told = footer.metadata or {}
    zipped = told.get(ZIPPED)
    listed = json.loads(zlib.decompress(base64.b85decode(zipped)) if zipped else told[SOURCES])
    found: list[Run] = []
    first = 0
    for name, rows in listed:
        found.append(Run(name, first, rows))
        first += rows
    return tuple(found)


def sources_text(
    sources: Sequence[tuple[str, int]], *, zipped: bool = False
) -> Mapping[bytes, bytes]:
    """What a footer says of the small files that it holds, by name and number of rows."""
    text = json.dumps(sources, separators=(",", ":")).encode()
    return {ZIPPED: base64.b85encode(zlib.compress(text, 9))} if zipped else {SOURCES: text}


def _joined(runs: Sequence[Run]) -> list[tuple[int, int | None]]:
    """First and last row, exclusive, of runs; those that touch are one."""
    found: list[tuple[int, int | None]] = []
    for run in runs:
        end = None if run.rows is None else run.first + run.rows
        if found and found[-1][1] == run.first:
            found[-1] = (found[-1][0], end)
        else:
            found.append((run.first, end))
    return found


def _names(folder: Path) -> set[str]:
    try:
        # A day may have tens of thousands of files: names alone, without a path for each.
        found = os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {name for name in found if name.endswith(".parquet") and name[0] != "."}
