"""Overrides in the state folder: one file each, so that they are there with and without a control loop.

    <state>/overrides/<id>.json          open, or not in the ledger yet
                      closed/<id>.json   over, and in the ledger
                      lock               one writer at a time

Whoever gives one writes it first and looks for its run after; whoever holds a run marks that first and
looks for overrides after: so neither misses the other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from greenops.adapters.disk import one_writer, write_whole
from greenops.domain.override import Override
from greenops.domain.record import canonical, parse
from greenops.errors import Unreachable


class OverrideFiles:
    """The overrides of one state folder. Stability: beta.

    Raises:
        Unreachable: The disk cannot take a change; what stood there stands.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._closed = folder / "closed"

    def add(self, override: Override) -> Override:
        """Keep a new override; a known id gives the one that is there."""
        with self._alone():
            known = self.get(override.id)
            if known is None:
                self._write(override)
            return known or override

    def get(self, name: str) -> Override | None:
        """One override; none where there is no such, or its file is damaged."""
        # An id may come from a request: only what is a name of a file here is looked for.
        if Path(name).name != name or name.startswith("."):
            return None
        return _read(self._folder / f"{name}.json") or _read(self._closed / f"{name}.json")

    def open(self) -> list[Override]:
        """Those that are not over, or not in the ledger yet; oldest first."""
        return _all(self._folder)

    def closed(self) -> list[Override]:
        """Those that are over; oldest first."""
        return _all(self._closed)

    def change(self, name: str, step: Callable[[Override], Override]) -> Override | None:
        """Take an override one step on; none where it is gone or damaged, closed ones stay."""
        with self._alone():
            was = _read(self._folder / f"{name}.json")
            if was is None:
                return _read(self._closed / f"{name}.json")
            now = step(was)
            if now != was:
                self._write(now)
            return now

    def close(self, name: str) -> None:
        """Put an override that is over aside; twice is once."""
        with self._alone(), suppress(FileNotFoundError):
            self._closed.mkdir(exist_ok=True)
            (self._folder / f"{name}.json").replace(self._closed / f"{name}.json")

    def _write(self, override: Override) -> None:
        write_whole(self._folder / f"{override.id}.json", canonical(override))

    def _alone(self) -> AbstractContextManager[None]:
        return one_writer(self._folder / "lock", Unreachable, "overrides cannot be kept")


def _all(folder: Path) -> list[Override]:
    try:
        paths = [path for path in folder.glob("*.json") if not path.name.startswith(".")]
    except OSError:
        return []
    found = [each for each in map(_read, paths) if each is not None]
    return sorted(found, key=lambda each: (each.at, each.id))


def _read(path: Path) -> Override | None:
    try:
        return parse(Override, path.read_bytes())
    except (OSError, ValueError):
        return None
