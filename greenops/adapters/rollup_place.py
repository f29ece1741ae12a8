"""The spans of a lake on any file system that pyarrow has, as files that can be sent to where they are read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from greenops.adapters.lake_files import Part, Run, is_pack, number_of, runs_in
from greenops.adapters.lake_pieces import sound
from greenops.adapters.lake_store import store_at, store_of
from greenops.errors import DataMissing, Unreachable

SPANS: Final = "v1/spans"
"""Folder of the spans below a lake, here as away."""


@dataclass(frozen=True, slots=True)
class SpanFile:
    """A file of a day of spans and what of it counts; goes to another process, and is opened there.

    Attributes:
        stamp: Changes when a small file is written again; none of a packed one.
    """

    files: fs.FileSystem
    path: str
    runs: tuple[Run, ...]
    left_out: frozenset[str] = frozenset()
    stamp: str | None = None

    def open(self) -> Part:
        """The file, open.

        Raises:
            DataMissing: It cannot be read; see `is_gone`.
            Unreachable: The store that it lies in does not answer; see `is_gone`.
        """
        away = not isinstance(self.files, fs.LocalFileSystem)
        with sound(Path(self.path), away=away):
            source: Any = self.files.open_input_file(self.path)
        return Part(Path(self.path), source, self.runs, self.left_out, away=away)


@dataclass(frozen=True, slots=True)
class SpanFiles:
    """Spans of one lake, which may lie here and away: what lies here is read in place of what lies away.

    Attributes:
        places: File systems, and the folder `v1/spans` of the lake on each; the nearest last.
    """

    places: tuple[tuple[fs.FileSystem, str], ...]
    _packs: dict[str, tuple[Run, ...]] = field(default_factory=dict, compare=False)

    @classmethod
    def local(cls, lake: Path) -> SpanFiles:
        """Those of a lake on this machine and where it says that it goes on; `lake` is `<state>/lake`.

        Raises:
            InvalidFile: What it says cannot be read.
            Unreachable: The store does not answer, or has no such bucket or folder.
        """
        here = (fs.LocalFileSystem(), str(lake / SPANS))
        store = store_of(lake)
        if store is None:
            return cls((here,))
        # A folder that is not mounted lists as empty, and what lies there would count as gone.
        store.found(f"{SPANS}/none")
        return cls(((store.files, SPANS), here))

    @classmethod
    def away(cls, url: str) -> SpanFiles:
        """Those of a lake in object storage, such as `s3://bucket/lake`.

        Raises:
            UsageError: The address is wrong.
            Unreachable: The store does not answer, or has no such bucket.
        """
        store = store_at(url)
        # Where there is no bucket a list is empty, as of a lake without spans; this tells them apart.
        store.found(f"{SPANS}/none")
        return cls(((store.files, SPANS),))

    def days(self) -> list[date]:
        """Days of which there are spans, rising."""
        found = set()
        for files, folder in self.places:
            for each in _listed(files, folder):
                with suppress(ValueError):
                    found.add(date.fromisoformat(each.base_name.removeprefix("day=")))
        return sorted(found)

    def of_day(self, day: date) -> list[SpanFile]:
        """Files of a day in the order of reading, and what counts in each, at one moment."""
        packs: list[SpanFile] = []
        loose: dict[str, SpanFile] = {}
        for files, folder in self.places:
            some, others = self._of_place(files, PurePosixPath(folder, f"day={day.isoformat()}"))
            packs += some
            loose |= others
        taken = set(loose)
        found: list[SpanFile] = []
        # A small file's rows count where it lies, else in the newest packed file that lists it.
        for each in reversed(packs):
            left_out = frozenset(run.name for run in each.runs if run.name in taken)
            counts = tuple(run for run in each.runs if run.name not in taken)
            taken |= {run.name for run in counts}
            if counts:
                found.append(replace(each, runs=counts, left_out=left_out))
        return [*reversed(found), *(loose[name] for name in sorted(loose))]

    def _of_place(
        self, files: fs.FileSystem, folder: PurePosixPath
    ) -> tuple[list[SpanFile], dict[str, SpanFile]]:
        while True:
            about = _parquet(files, folder)
            names = sorted(filter(is_pack, about), key=lambda each: number_of(Path(each)))
            try:
                packs = [
                    SpanFile(files, str(folder / name), self._runs(files, str(folder / name)))
                    for name in names
                ]
            except FileNotFoundError:
                continue
            # A listing may miss both a packed file that came and the small ones that then went.
            if all(name in about for name in _parquet(files, folder) if is_pack(name)):
                break
        return packs, {
            name: SpanFile(files, str(folder / name), (Run(name),), stamp=stamp)
            for name, stamp in about.items()
            if not is_pack(name)
        }

    def _runs(self, files: fs.FileSystem, path: str) -> tuple[Run, ...]:
        key = f"{files.type_name} {path}"
        if key not in self._packs:
            try:
                with files.open_input_file(path) as file:
                    self._packs[key] = runs_in(pq.read_metadata(file))
            except FileNotFoundError:
                raise
            except (OSError, ValueError, KeyError, TypeError, zlib.error, pa.ArrowException):
                # Whoever reads its rows finds out what is wrong with it and says so.
                return (Run(PurePosixPath(path).name),)
        return self._packs[key]


def is_gone(error: DataMissing | Unreachable) -> bool:
    """Whether a file could not be read because it is no longer there: it was packed or sent away."""
    return isinstance(error.__cause__, FileNotFoundError)


def _parquet(files: fs.FileSystem, folder: PurePosixPath) -> dict[str, str]:
    """Name → what changes when it is written again, of each Parquet file of a folder."""
    return {
        each.base_name: f"{each.size}-{each.mtime_ns}"
        for each in _listed(files, str(folder))
        if each.base_name.endswith(".parquet") and each.base_name[0] != "."
    }


def _listed(files: fs.FileSystem, folder: str) -> Sequence[Any]:
    """What a folder holds; nothing where it is not there.

    Raises:
        Unreachable: The store does not answer.
    """
    try:
        found: Sequence[Any] = files.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    except (OSError, pa.ArrowException) as error:
        said = (str(error).splitlines() or ["it does not answer"])[0]
        raise Unreachable(
            "GO0420", f"cannot list {folder}: {said}", fix="try again later"
        ) from error
    return found
