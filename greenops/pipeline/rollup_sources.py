"""What a day's roll-ups were made of: each small file of the lake, its rows, and the hours in which they lie."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

HOURS: Final = 24
DAMAGED: Final = -1
"""Rows of a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class Source:
    """A small file that was counted, packed or not.

    Attributes:
        rows: How many it has; `DAMAGED` where it cannot be read.
        hours: Hours of the day in which they lie, a bit each.
        stamp: Tells whether a small file that lies there is the same; none where it was packed.
    """

    rows: int
    hours: int
    stamp: str | None = None

    def is_still(self, found: Source) -> bool:
        """Whether the same name stands for the same rows now, loose or packed."""
        if found.stamp is not None:
            return found.stamp == self.stamp
        return found.rows == self.rows


Sources = Mapping[str, Source]


def affected(before: Sources, now: Sources) -> int:
    """Hours that differ: of files that came, went, or are others, a bit each."""
    hours = 0
    for name in before.keys() | now.keys():
        old, new = before.get(name), now.get(name)
        if old is None or new is None or not old.is_still(new):
            hours |= (old.hours if old else 0) | (new.hours if new else 0)
    return hours


def kept(before: Sources, now: Sources) -> dict[str, Source]:
    """What is remembered of the files that are there: a packed one keeps the stamp that it had."""
    found = {}
    for name, each in now.items():
        old = before.get(name)
        found[name] = replace(each, stamp=old.stamp) if each.stamp is None and old else each
    return found


def hours_in(mask: int) -> list[int]:
    """The hours of a mask, rising."""
    return [hour for hour in range(HOURS) if mask >> hour & 1]


def mask_of(hours: Iterable[int]) -> int:
    """A bit for each hour."""
    mask = 0
    for hour in hours:
        mask |= 1 << hour
    return mask


def text_of(sources: Sources) -> bytes:
    """Sources as a footer holds them."""
    rows = [[name, each.rows, each.hours, each.stamp] for name, each in sorted(sources.items())]
    return base64.b85encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode()))


def of_text(text: bytes | None) -> dict[str, Source] | None:
    """Sources from a footer; none where it tells none that can be read."""
    if text is None:
        return None
    try:
        rows = json.loads(zlib.decompress(base64.b85decode(text)))
        return {name: Source(count, hours, stamp) for name, count, hours, stamp in rows}
    except (ValueError, TypeError, zlib.error):
        return None


def digest(text: bytes) -> bytes:
    """A short name of what a roll-up was made of."""
    return hashlib.sha256(text).hexdigest()[:32].encode()
