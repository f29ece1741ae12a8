"""Which keys of 64 bits were seen lately, thousands at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

SMALLEST: Final = 1024
"""Places of an empty table [1]."""
EMPTY: Final = np.uint64(0)
ONE: Final = np.uint64(1)


class _Table:
    """A set of keys: each lies at the first free place from the one that its last bits tell."""

    def __init__(self) -> None:
        self._places = np.zeros(SMALLEST, np.uint64)
        self.count = 0

    def has(self, keys: Any) -> Any:
        found = np.zeros(len(keys), np.bool_)
        last = np.uint64(len(self._places) - 1)
        rest, at = np.arange(len(keys)), keys & last
        while len(rest):
            there = self._places[at]
            same = there == keys[rest]
            found[rest[same]] = True
            on = ~same & (there != EMPTY)
            rest, at = rest[on], (at[on] + ONE) & last
        return found

    def add(self, keys: Any) -> None:
        """Keep keys that are not in it, each once."""
        size = len(self._places)
        while 2 * (self.count + len(keys)) > size:
            size *= 2
        if size > len(self._places):
            kept = self._places[self._places != EMPTY]
            self._places = np.zeros(size, np.uint64)
            self._put(kept)
        self._put(keys)
        self.count += len(keys)

    def _put(self, keys: Any) -> None:
        last = np.uint64(len(self._places) - 1)
        at = keys & last
        while len(keys):
            free = self._places[at] == EMPTY
            # Of those that want one place the last gets it; the others find it taken.
            self._places[at[free]] = keys[free]
            on = self._places[at] != keys
            keys, at = keys[on], (at[on] + ONE) & last


class RecentKeys:
    """The newest keys, between `most` and half of it; the older half goes at once."""

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._new, self._old = _Table(), _Table()

    def first(self, keys: Any) -> Any:
        """Which of some keys come for the first time; from now on all of them were seen."""
        keys = np.where(keys == EMPTY, ONE, keys)
        found = np.zeros(len(keys), np.bool_)
        begin = 0
        while begin < len(keys):
            if self._new.count >= self._half:
                self._old, self._new = self._new, _Table()
            end = begin + self._half - self._new.count
            found[begin:end] = self._first(keys[begin:end])
            begin = end
        return found

    def _first(self, keys: Any) -> Any:
        new = ~(self._new.has(keys) | self._old.has(keys))
        places = np.flatnonzero(new)
        different, firsts = np.unique(keys[places], return_index=True)
        self._new.add(different)
        new[:] = False
        new[places[firsts]] = True
        return new
