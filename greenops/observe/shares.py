"""Who used CPU and wall time between two readings of a device: the weights by which its energy is split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from greenops.observe.open_spans import OpenSpan


class Use(NamedTuple):
    """What one span used [ns]: CPU time of its own, its part of native threads, wall time as the innermost.

    `read` and `written` count the tokens of a language model that ran for it.
    """

    cpu: int
    native: int
    wall: int
    read: int = 0
    written: int = 0

    def plus(self, other: Use) -> Use:
        """Both together."""
        return Use(
            self.cpu + other.cpu,
            self.native + other.native,
            self.wall + other.wall,
            self.read + other.read,
            self.written + other.written,
        )


NOTHING = Use(0, 0, 0)


@dataclass(slots=True)
class Shares:
    """Time by who used it [ns]; `lost_wall_ns` was that of spans nobody will ask for."""

    process_ns: int = 0
    other_ns: int = 0
    spans: dict[OpenSpan, Use] = field(default_factory=dict)
    unattributed_ns: int = 0
    overhead_ns: int = 0
    lost_wall_ns: int = 0

    def after(self, before: Shares, settled: Callable[[OpenSpan], bool]) -> Shares:
        """With what went before, when the device could not be read; a span that is settled gets nothing more."""
        both = Shares(
            self.process_ns + before.process_ns,
            self.other_ns + before.other_ns,
            dict(self.spans),
            self.unattributed_ns + before.unattributed_ns,
            self.overhead_ns + before.overhead_ns,
            self.lost_wall_ns + before.lost_wall_ns,
        )
        for span, use in before.spans.items():
            if settled(span):
                both.unattributed_ns += use.cpu + use.native
                both.lost_wall_ns += use.wall
            else:
                both.spans[span] = both.spans.get(span, NOTHING).plus(use)
        return both
