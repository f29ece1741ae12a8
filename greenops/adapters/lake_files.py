"""Which file of a lake's day holds which rows, while small files are packed into one.

A packed file `0-packed-N.parquet` lists in its footer, under `greenops.sources`, the small files it was made
of and how many rows each gave, in order. Law: a row is read from the small file while that lies beside
the packed one, else from the packed one of the highest number. So each row counts once at any moment of
packing, after a death at any moment, and where a small file is written again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

PACK: Final = "0-packed-"
"""How a packed file's name begins; it sorts before the names of segments, decisions and imports."""
SOURCES: Final = b"greenops.sources"


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that lie together in a file.

    Attributes:
        name: The small file they came from, or the file itself.
        first: Place of the first of them.
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
    """

    path: Path
    source: Any
    runs: tuple[Run, ...]

    @property
    def packed(self) -> bool:
        """Whether several small files went into it."""
        return is_pack(self.path.name)

    def pieces(self, file: pq.ParquetFile) -> Iterator[tuple[int, int, int]]:
        """Row group, first row in it and number of rows, of all rows that count, in order."""
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
class Day:
    """Files of a day of one table at one moment.

    Attributes:
        pack: The packed file that counts; none: nothing is packed.
        runs: What it holds.
        loose: Names of the other files, sorted.
        stale: Packed files of lower numbers; the newest holds all that they do.
    """

    folder: Path
    pack: Path | None
    runs: tuple[Run, ...]
    loose: tuple[str, ...]
    stale: tuple[Path, ...] = ()

    def wanted(self, done: AbstractSet[str] = frozenset()) -> list[tuple[Path, tuple[Run, ...]]]:
        """Files in the order of reading, and what counts in each; without what was done."""
        found: list[tuple[Path, tuple[Run, ...]]] = []
        if self.pack is not None:
            beside = done | set(self.loose)
            found.append((self.pack, tuple(run for run in self.runs if run.name not in beside)))
        found += [(self.folder / name, (Run(name),)) for name in self.loose if name not in done]
        return [(path, runs) for path, runs in found if runs]


def is_pack(name: str) -> bool:
    """Whether it is the name of a packed file."""
    return name.startswith(PACK) and name[len(PACK) :].removesuffix(".parquet").isdigit()


def number_of(path: Path) -> int:
    """Number of a packed file: the highest counts."""
    return int(path.stem[len(PACK) :])


def day_of(folder: Path) -> Day:
    """The files of a folder as they lie together at one moment, though one packs them meanwhile."""
    while True:
        names = _names(folder)
        packs = sorted((folder / name for name in names if is_pack(name)), key=number_of)
        try:
            runs = runs_of(packs[-1]) if packs else ()
        except FileNotFoundError:
            continue
        # A listing may miss both a packed file that came and the small ones that then went. A
        # packed file comes before they go, so a second listing shows it.
        if all(name in names for name in _names(folder) if is_pack(name)):
            loose = tuple(sorted(name for name in names if not is_pack(name)))
            return Day(folder, packs[-1] if packs else None, runs, loose, tuple(packs[:-1]))


def parts(folder: Path, opener: Callable[[str], Any]) -> Iterator[Part]:
    """Every row of a day once: open files in their order, and the rows of each that count.

    A file that was packed since the listing is read where its rows are now.

    Args:
        folder: A day of a table; need not be there.
        opener: Gives an open file or `FileNotFoundError`, such as `pyarrow.OSFile`.
    """
    done: set[str] = set()
    missing: Path | None = None
    while True:
        for path, runs in day_of(folder).wanted(done):
            source: Any = str(path)
            try:
                source = opener(source)
            except FileNotFoundError:
                if path != missing:
                    missing = path
                    break
            except (OSError, pa.ArrowException):
                # Whoever reads it meets the same error and says which file it is.
                pass
            done.update(run.name for run in runs)
            yield Part(path, source, runs)
        else:
            return


def runs_of(pack: Path) -> tuple[Run, ...]:
    """What a packed file says that it holds; itself as one where its footer cannot be read.

    Raises:
        FileNotFoundError: It is gone.
    """
    try:
        listed = json.loads(pq.read_metadata(pack).metadata[SOURCES])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        # Whoever reads its rows finds out what is wrong with it and says so.
        return (Run(pack.name),)
    found: list[Run] = []
    first = 0
    for name, rows in listed:
        found.append(Run(name, first, rows))
        first += rows
    return tuple(found)


def sources_text(sources: Sequence[tuple[str, int]]) -> Mapping[bytes, bytes]:
    """What a footer says of the small files that it holds, by name and number of rows."""
    return {SOURCES: json.dumps(sources, separators=(",", ":")).encode()}


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
