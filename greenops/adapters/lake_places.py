"""A lake that lies here and in object storage: every row once, wherever its file is.

Law: what lies here is read in place of what lies away, small file by small file. A packed file that was sent
counts once before its copy here goes, and after.
"""

from __future__ import annotations

import calendar
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_files import Day, Pack, Part, Run, day_of, is_pack, number_of, runs_in
from greenops.adapters.lake_store import Store, store_of

VERSION: Final = "v1"
"""Folder of a lake that tables lie in, here as away."""
STRETCHES: Final = ("day=", "month=")
"""How names of the folders of a table begin: one a day, or of `reported` one a month. What is said of days holds of months."""
SENT: Final = "sent-"
"""How the name of a note begins that says where a packed file was sent."""
FRESH_S: Final = 60.0
"""How long a list of what lies away is taken for true [s]; copies here go much later than that."""


def parts(folder: Path, opener: Callable[[str], Any], *, away: bool = True) -> Iterator[Part]:
    """Every row of a day once: open files in their order, and the rows of each that count.

    A file that was packed since the listing is read where its rows are now.

    Args:
        folder: A day of a table; need not be there.
        opener: Gives an open file or `FileNotFoundError`, such as `pyarrow.OSFile`.
        away: Read what object storage holds as well.

    Raises:
        Unreachable: Object storage does not answer.
    """
    done: set[str] = set()
    missing: Path | None = None
    while True:
        for _, each in whole_day(folder, away=away).wanted(done):
            try:
                source = each.opened(opener)
            except FileNotFoundError:
                if each.path != missing:
                    missing = each.path
                    forget(folder.parent)
                    break
                source = str(each.path)
            done.update(run.name for run in each.runs)
            yield Part(each.shown, source, each.runs, each.left_out, each.away is not None)
        else:
            return


def whole_day(folder: Path, *, away: bool = True) -> Day:
    """The files of a day as they lie here and away.

    Raises:
        Unreachable: Object storage does not answer.
    """
    # What lies here comes first: it goes only when its copy away has long been there.
    here = day_of(folder)
    store = store_of(lake_of(folder.parent)) if away else None
    if store is None:
        return here
    there = tuple(_packs_away(store, folder))
    if not there and not here.packs and next(folder.glob(f"{SENT}*"), None):
        raise store.away("read", f"it holds nothing of {folder.name}, which was sent there")
    return replace(here, packs=(*there, *here.packs))


def day_folders(table: Path, *, away: bool = True) -> list[Path]:
    """Days of a table, oldest first; the folder of one that lies away alone is not there.

    Args:
        table: `<state>/lake/v1/<table>`.
        away: Those of object storage as well.
    """
    found = {folder for begin in STRETCHES for folder in table.glob(f"{begin}*")}
    store = store_of(lake_of(table)) if away else None
    if store is not None:
        found |= {table / name for name in _listing(store, table.name).days()}
    return sorted(found)


def is_over(folder: Path, before: date) -> bool:
    """Whether a folder's day, or the last of its month, is before a day; never where its name tells none."""
    stretch, _, text = folder.name.partition("=")
    try:
        last = date.fromisoformat(f"{text}-01" if stretch == "month" else text)
    except ValueError:
        return False
    if stretch == "month":
        last = last.replace(day=calendar.monthrange(last.year, last.month)[1])
    return last < before


def names_away(folder: Path) -> Mapping[str, int]:
    """Files of a day that lie away, and their sizes [bytes]."""
    store = store_of(lake_of(folder.parent))
    return {} if store is None else _listing(store, folder.parent.name).days().get(folder.name, {})


def key_of(folder: Path, name: str = "") -> str:
    """Where a file of a day lies away."""
    return "/".join(each for each in (VERSION, folder.parent.name, folder.name, name) if each)


def lake_of(table: Path) -> Path:
    """The lake of a table's folder."""
    return table.parents[1]


def forget(table: Path) -> None:
    """Ask anew what lies away of a table."""
    store = store_of(lake_of(table))
    if store is not None:
        _listing(store, table.name).asked = None


@dataclass(slots=True)
class _Listing:
    """Packed files of a table that lie away, as they were listed last."""

    store: Store
    table: str
    asked: float | None = None
    _days: dict[str, dict[str, int]] = field(default_factory=dict)

    def days(self) -> Mapping[str, Mapping[str, int]]:
        now = time.monotonic()
        if self.asked is None or now - self.asked > FRESH_S:
            found: dict[str, dict[str, int]] = {}
            for key, size in self.store.found(f"{VERSION}/{self.table}").items():
                _, _, day, name = (*key.split("/"), "", "", "")[:4]
                if day.startswith(STRETCHES) and is_pack(name):
                    found.setdefault(day, {})[name] = size
            self._days, self.asked = found, now
        return self._days


@cache
def _listing(store: Store, table: str) -> _Listing:
    return _Listing(store, table)


def _packs_away(store: Store, folder: Path) -> Iterator[Pack]:
    names = _listing(store, folder.parent.name).days().get(folder.name, {})
    for name in sorted(names, key=lambda each: (number_of(Path(each)), each)):
        key = key_of(folder, name)
        try:
            yield Pack(Path(key), runs_away(store, key), store)
        except FileNotFoundError:
            # It was written anew, under another name, since the listing.
            forget(folder.parent)


@lru_cache(maxsize=4096)
def runs_away(store: Store, key: str) -> tuple[Run, ...]:
    """What a packed file that lies away says that it holds; its name is never used for other rows.

    Raises:
        FileNotFoundError: It is gone.
        Unreachable: Object storage does not answer.
    """
    source = store.opened(key)
    try:
        return runs_in(pq.read_metadata(source))
    except (OSError, ValueError, KeyError, TypeError, zlib.error, pa.ArrowException) as error:
        if isinstance(error, pa.ArrowInvalid | ValueError | KeyError | TypeError | zlib.error):
            # Whoever reads its rows finds out what is wrong with it and says so.
            return (Run(Path(key).name),)
        raise store.away("read", str(error)) from error
