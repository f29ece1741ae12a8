"""Where roll-ups lie: one Parquet file for each hour's minutes, each day's hours and each day, replaced at once.

    rollups/minute/day=2026-11-26/07.parquet
    rollups/hour/day=2026-11-26/hours.parquet
    rollups/day/day=2026-11-26/day.parquet

A stretch of time has one name, so nobody who reads counts it twice, whoever dies while writing. The footer says
what a file was made of. Works on any file system that pyarrow has.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from greenops.adapters.disk import sync
from greenops.adapters.lake_store import store_at
from greenops.errors import DataMissing, Location, Unreachable

MINUTE, HOUR, DAY = "minute", "hour", "day"
LEVELS: Final = (MINUTE, HOUR, DAY)
WHOLE: Final = {HOUR: "hours", DAY: "day"}
"""Name of the one file that a day has on a level."""
GROUP_ROWS: Final = 4096
"""Rows of a row group: cells lie by service, so a question about one reads some of a file."""
FOOTER: Final = b"greenops.rollup"
ROLLUPS: Final = "v1/rollups"


@dataclass(frozen=True, slots=True)
class RollupFiles:
    """Roll-ups of one lake.

    Attributes:
        files: The file system.
        folder: `<lake>/v1/rollups` on it.
    """

    files: fs.FileSystem
    folder: str

    @classmethod
    def local(cls, lake: Path) -> RollupFiles:
        """Those of a lake on this machine; `lake` is `<state>/lake`."""
        return cls(fs.LocalFileSystem(), str(lake / ROLLUPS))

    @classmethod
    def away(cls, url: str) -> RollupFiles:
        """Those of a lake in object storage, such as `s3://bucket/lake`, or in a mounted folder.

        Raises:
            UsageError: The address is wrong.
        """
        store = store_at(url)
        if store.local:
            # A folder that is mounted shows a file before it is whole: it is written as one here.
            return cls(fs.LocalFileSystem(), str(PurePosixPath(store.files.base_path, ROLLUPS)))
        return cls(store.files, ROLLUPS)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make roll-ups while nobody else does; whoever comes second waits, and a lock ends with its process.

        Two who write at once could leave the minutes of one beside hours that say they are of the other. Object
        storage has no locks: there it is up to its user that one refresh runs at a time.

        Raises:
            Unreachable: The disk is full or gone.
        """
        if self.remote:
            yield
            return
        lock = Path(self.folder).with_suffix(".lock")
        with _writing(str(lock), away=False):
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = lock.open("ab")
        with file:
            # Some mounted folders know no locks either.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def tidy(self) -> None:
        """Remove what those left here who died while they wrote; call it alone."""
        if not self.remote:
            for each in Path(self.folder).glob("*/day=*/.*.parquet.*"):
                with suppress(OSError):
                    each.unlink()

    def path(self, level: str, day: date, name: str | None = None) -> str:
        """A file of a level."""
        name = name or WHOLE[level]
        return str(PurePosixPath(self.folder, level, f"day={day.isoformat()}", f"{name}.parquet"))

    def days(self, level: str) -> list[date]:
        """Days that a level has, rising."""
        found = []
        for each in self._listed(PurePosixPath(self.folder, level)):
            try:
                found.append(date.fromisoformat(each.base_name.removeprefix("day=")))
            except ValueError:
                continue
        return sorted(found)

    def hours(self, day: date) -> list[int]:
        """Hours of a day whose minutes are kept, rising."""
        folder = PurePosixPath(self.path(MINUTE, day, "00")).parent
        names = (each.base_name.removesuffix(".parquet") for each in self._listed(folder))
        return sorted(int(name) for name in names if name.isdecimal())

    def read(
        self, path: str, columns: Sequence[str] | None = None, service: str | None = None
    ) -> pa.Table | None:
        """A file's rows, or some of them in which all of a service are; none where it is not there.

        Raises:
            DataMissing: It is damaged; names it.
            Unreachable: The store does not answer.
        """
        with damaged(path, away=self.remote):
            try:
                file = pq.ParquetFile(self.files.open_input_file(path))
                return file.read_row_groups(_groups(file.metadata, service), columns)
            except FileNotFoundError:
                return None

    def footer(self, path: str) -> bytes | None:
        """What a file says of what it was made of; none where it is not there or says nothing.

        Raises:
            DataMissing: It is damaged; names it.
            Unreachable: The store does not answer.
        """
        with damaged(path, away=self.remote):
            try:
                metadata = pq.ParquetFile(self.files.open_input_file(path)).metadata.metadata
            except FileNotFoundError:
                return None
        found: Mapping[bytes, bytes] = metadata or {}
        return found.get(FOOTER)

    def write(self, path: str, table: pa.Table, footer: bytes) -> None:
        """Put a file in its place, whole.

        Raises:
            Unreachable: The disk or the store is full or gone; what stood there stands.
        """
        table = table.replace_schema_metadata({FOOTER: footer})
        # Sums hardly repeat: looking for those that do takes a third of the time.
        words = [each.name for each in table.schema if not _is_sum(each)]
        how = {"compression": "zstd", "use_dictionary": words, "row_group_size": GROUP_ROWS}
        with _writing(path, away=self.remote):
            if isinstance(self.files, fs.LocalFileSystem):
                self._write_here(Path(path), table, how)
                return
            # A store shows an object once it is whole.
            with self.files.open_output_stream(path) as stream:
                pq.write_table(table, stream, **how)

    def remove(self, path: str) -> None:
        """Remove a file that may not be there."""
        with _writing(path, away=self.remote):
            try:
                self.files.delete_file(path)
            except FileNotFoundError:
                return

    def _write_here(self, path: Path, table: pa.Table, how: Mapping[str, Any]) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, temporary, **how)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)

    @property
    def remote(self) -> bool:
        """Whether they lie in object storage, which may not answer for a while."""
        return not isinstance(self.files, fs.LocalFileSystem)

    def stamp(self, path: str) -> tuple[int, int] | None:
        """What changes when a file is replaced; none where it is not there.

        Raises:
            Unreachable: The store does not answer.
        """
        with damaged(path, away=True):
            found = self.files.get_file_info(path)
        return (found.size or 0, found.mtime_ns or 0) if found.is_file else None

    def _listed(self, folder: PurePosixPath) -> list[Any]:
        with damaged(str(folder), away=True):
            found: list[Any] = self.files.get_file_info(
                fs.FileSelector(str(folder), allow_not_found=True)
            )
        return found


def _groups(about: pq.FileMetaData, service: str | None) -> list[int]:
    """Row groups that may hold cells of a service."""
    found = []
    for group in range(about.num_row_groups):
        columns = (about.row_group(group).column(at) for at in range(about.num_columns))
        told = next((each.statistics for each in columns if each.path_in_schema == "service"), None)
        if (
            service is None
            or told is None
            or not told.has_min_max
            or told.min <= service <= told.max
        ):
            found.append(group)
    return found


def _is_sum(field: pa.Field) -> bool:
    return bool(pa.types.is_floating(field.type) or pa.types.is_decimal(field.type))


@contextmanager
def damaged(path: str, *, away: bool) -> Iterator[None]:
    """Say which file of the roll-ups it is that cannot be read, or that object storage does not answer."""
    try:
        yield
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        if away and isinstance(error, OSError):
            raise Unreachable(
                "GO0420", f"cannot read {path}: {first}", fix="try again when it answers"
            ) from error
        raise DataMissing(
            "GO0412",
            f"this roll-up is damaged: {first}",
            at=Location(path),
            fix="remove it; `greenops lake rollup` makes it again",
        ) from error


@contextmanager
def _writing(path: str, *, away: bool) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or (str(error).splitlines() or ["it failed"])[0]
        if away:
            raise Unreachable(
                "GO0420", f"cannot write {path}: {said}", fix="try again when it answers"
            ) from error
        raise Unreachable(
            "GO0411",
            f"cannot write {path}: {said}",
            fix="free space, or set GREENOPS_STATE to a folder that can be written",
        ) from error
