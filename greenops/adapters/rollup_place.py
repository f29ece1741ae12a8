"""The spans of a lake on any file system that pyarrow has, as files that can be sent to where they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
from pyarrow import fs

from greenops.adapters.lake_files import Part, Run, is_pack, number_of, runs_in
from greenops.adapters.lake_pieces import sound


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
            DataMissing: It cannot be read; because of a `FileNotFoundError` where it is gone.
        """
        with sound(Path(self.path)):
            source: Any = self.files.open_input_file(self.path)
        return Part(Path(self.path), source, self.runs, self.left_out)


@dataclass(frozen=True, slots=True)
class SpanFiles:
    """Spans of one lake.

    Attributes:
        folder: `<lake>/v1/spans` on the file system.
    """

    files: fs.FileSystem
    folder: str
    _packs: dict[str, tuple[Run, ...]] = field(default_factory=dict, compare=False)

    @classmethod
    def local(cls, lake: Path) -> SpanFiles:
        """Those of a lake on this machine; `lake` is `<state>/lake`."""
        return cls(fs.LocalFileSystem(), str(lake / "v1" / "spans"))

    def days(self) -> list[date]:
        """Days of which there are spans, rising."""
        found = []
        for each in self._listed(self.folder):
            try:
                found.append(date.fromisoformat(each.base_name.removeprefix("day=")))
            except ValueError:
                continue
        return sorted(found)

    def of_day(self, day: date) -> list[SpanFile]:
        """Files of a day in the order of reading, and what counts in each, at one moment."""
        folder = PurePosixPath(self.folder, f"day={day.isoformat()}")
        while True:
            about = self._parquet(folder)
            names = sorted(filter(is_pack, about), key=lambda each: number_of(Path(each)))
            try:
                packs = [(name, self._runs(str(folder / name))) for name in names]
            except FileNotFoundError:
                continue
            # A listing may miss both a packed file that came and the small ones that then went.
            if all(name in about for name in self._parquet(folder) if is_pack(name)):
                break
        taken = set(about).difference(names)
        loose = [
            SpanFile(self.files, str(folder / name), (Run(name),), stamp=about[name])
            for name in sorted(taken)
        ]
        found: list[SpanFile] = []
        # A small file's rows count where it lies, else in the newest packed file that lists it.
        for name, runs in reversed(packs):
            left_out = frozenset(run.name for run in runs if run.name in taken)
            counts = tuple(run for run in runs if run.name not in taken)
            taken |= {run.name for run in counts}
            if counts:
                found.append(SpanFile(self.files, str(folder / name), counts, left_out))
        return [*reversed(found), *loose]

    def _runs(self, path: str) -> tuple[Run, ...]:
        if path not in self._packs:
            try:
                with self.files.open_input_file(path) as file:
                    self._packs[path] = runs_in(pq.read_metadata(file))
            except FileNotFoundError:
                raise
            except Exception:  # noqa: BLE001  (whoever reads its rows finds out what is wrong with it)
                return (Run(PurePosixPath(path).name),)
        return self._packs[path]

    def _parquet(self, folder: PurePosixPath) -> dict[str, str]:
        found = {}
        for each in self._listed(str(folder)):
            name = each.base_name
            if name.endswith(".parquet") and name[0] != ".":
                found[name] = f"{each.size}-{each.mtime_ns}"
        return found

    def _listed(self, folder: str) -> Sequence[Any]:
        found: Sequence[Any] = self.files.get_file_info(
            fs.FileSelector(folder, allow_not_found=True)
        )
        return found
