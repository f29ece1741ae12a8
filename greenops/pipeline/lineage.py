"""Which span lies above which, for the newest spans, in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

REMEMBERED: Final = 100_000
"""Spans whose parent is known [1]: those of a trace arrive within minutes of each other."""

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The newest values by key, between `most` and half of it; the older half goes at once.

    A dict whose first key is removed again and again looks ever longer for it.
    """

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._new: dict[int, Value] = {}
        self._old: dict[int, Value] = {}

    def __contains__(self, key: int) -> bool:
        return key in self._new or key in self._old

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def get(self, key: int) -> Value | None:
        """The value of a key; none where it is not known, or no more."""
        found = self._new.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: int, value: Value) -> None:
        """Keep a value, which is the newest one now."""
        if len(self._new) >= self._half and key not in self._new:
            self._old, self._new = self._new, {}
        self._old.pop(key, None)
        self._new[key] = value

    def pop(self, key: int) -> Value | None:
        """Take a value out; none where it is not known."""
        found = self._new.pop(key, None)
        return self._old.pop(key, None) if found is None else found


class Lineage:
    """Parents of the newest spans."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.remembered = remembered
        self._parents: Recent[int] = Recent(remembered)

    def put(self, key: int, above: int) -> None:
        """Take a span in: its key and that of its parent; a root is its own, which ends the way up."""
        self._parents.put(key, above)

    def awaited(self, key: int) -> int | None:
        """The nearest span, from one upward, that has not come; none where all have, up to a root."""
        seen: set[int] = set()
        while (above := self._parents.get(key)) is not None:
            # Whoever sends spans may send a circle.
            if above == key or above in seen:
                return None
            seen.add(key)
            key = above
        return key

    def upward(self, key: int) -> Iterator[int]:
        """Keys above a span, nearest first; ends with the first that has not come itself."""
        # Whoever sends spans may send a circle.
        seen = {key}
        while (above := self._parents.get(key)) is not None and above not in seen:
            yield above
            seen.add(above)
            key = above
