"""By what rule the dynamic energy of one device falls to this process, and in it to spans."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from greenops.domain.energy import EnergyReading, MeterInfo, Method
from greenops.observe.device import joules, share
from greenops.observe.rates import FLAT, OUTSIDE, Learned, Rates
from greenops.observe.shares import Shares
from greenops.units import NS_PER_S

FINE: Final = 1_000_000
"""Weights are whole numbers: tokens and the like count in millionths."""
PREFILL: Final = "prefill"
DECODE: Final = "decode"
ITERATION: Final = "iteration"
READ_PRIOR: Final = 0.3
"""Energy of a token read, relative to one written. Source: measurement notes, 70B at a batch of 90: about 0.3."""
TOKEN_GATE: Final = 0.99
"""What a token draws before it is learned is a guess: whatever foretells better is better."""
TOKEN_TICKS: Final = 5
"""A GPU's counter comes about a tick late, which half a second hides. Source: tests/bench/gpu_batches.py."""


@dataclass(frozen=True, slots=True)
class Split:
    """How one tick is shared.

    Attributes:
        mine: Quanta that this process used.
        weights: Of each span, in the order of the tick's shares; whole numbers.
        rest: Weights of what is outside spans, and of our own cost.
        rule: Its name, the value of `greenops.energy.attribution`.
        native: Of each span, time that was shared by wall time, and all of its time [ns]; none where nothing was.
        doubts: Of each span, relative half width of the 90 % range of its rate; none where there is none.
    """

    mine: int
    weights: Sequence[int]
    rest: tuple[int, int]
    rule: str
    native: Sequence[tuple[int, int]] | None = None
    doubts: Sequence[float] | None = None


class Splitter(Protocol):
    """The rule of one device; may learn from tick to tick."""

    rates: Rates | None

    def split(self, own: int, shares: Shares, reading: EnergyReading) -> Split:
        """Share quanta by who used what since the last reading."""
        ...

    def busy_s(self, shares: Shares, reading: EnergyReading | None, lasted_ns: int) -> float | None:
        """Time for which the device was busy since the last look, of all its parts together [s]; none where unknown."""
        ...


class ByCpuTime:
    """Host to process to span by CPU time, weighed by what operations were seen to draw."""

    def __init__(self, info: MeterInfo) -> None:
        # A model draws alike for every operation: there is nothing to learn from it.
        self.rates = Rates() if info.method is Method.MEASURED else None

    def split(self, own: int, shares: Shares, reading: EnergyReading) -> Split:  # noqa: ARG002
        """Share by CPU time and rates."""
        running = shares.process_ns + shares.other_ns
        mine = own * shares.process_ns // running if running else own
        if self.rates is not None:
            self._learn(self.rates, mine, shares)
        learned = FLAT if self.rates is None else self.rates.learned
        rest = (shares.unattributed_ns, shares.overhead_ns)
        native = [(use.native, use.cpu + use.native) for use in shares.spans.values()]
        if not learned:
            return Split(mine, [whole for _, whole in native], rest, "cpu_time", native)
        names = [span.name for span in shares.spans]
        weights = [
            int(whole * learned.rate(name)) for (_, whole), name in zip(native, names, strict=True)
        ]
        outside = learned.rate(OUTSIDE)
        return Split(
            mine,
            weights,
            (int(rest[0] * outside), int(rest[1] * outside)),
            "operation_rate",
            native,
            [learned.doubted(name) for name in names],
        )

    def busy_s(
        self,
        shares: Shares,
        reading: EnergyReading | None,  # noqa: ARG002
        lasted_ns: int,  # noqa: ARG002
    ) -> float | None:
        """CPU time of all processes."""
        return (shares.process_ns + shares.other_ns) / NS_PER_S

    def _learn(self, rates: Rates, mine: int, shares: Shares) -> None:
        use: dict[str, float] = {}
        for span, used in shares.spans.items():
            use[span.name] = use.get(span.name, 0.0) + (used.cpu + used.native) / NS_PER_S
        use[OUTSIDE] = (shares.unattributed_ns + shares.overhead_ns) / NS_PER_S
        rates.record(joules(mine), use)


class ByDeviceTime:
    """A GPU has no CPU time: one span alone gets all, else tokens say who used it, else wall time."""

    def __init__(self, pid: int | None = None) -> None:
        self.rates: Rates | None = Rates(TOKEN_GATE, TOKEN_TICKS)
        self._pid = os.getpid() if pid is None else pid

    def split(self, own: int, shares: Shares, reading: EnergyReading) -> Split:
        """Share among processes by their use of the multiprocessors, in the process by the best known rule."""
        mine = self._mine(own, reading)
        uses = list(shares.spans.values())
        walls, lost = [use.wall for use in uses], shares.lost_wall_ns
        if not lost and sum(1 for wall in walls if wall) == 1:
            return Split(mine, walls, (0, 0), "exclusive")
        if any(use.read or use.written for use in uses):
            return self._by_tokens(mine, shares)
        return Split(mine, walls, (lost, 0), "wall_share")

    def busy_s(
        self,
        shares: Shares,  # noqa: ARG002
        reading: EnergyReading | None,
        lasted_ns: int,
    ) -> float | None:
        """Time for which any process kept it busy, where it tells of all of them."""
        users = None if reading is None else reading.users
        if users is None or None in users.values():
            return None
        return sum(max(0.0, part or 0.0) for part in users.values()) * lasted_ns / NS_PER_S

    def _mine(self, own: int, reading: EnergyReading) -> int:
        users = reading.users
        if users is None:
            return own
        if self._pid not in users:
            return 0
        pids = list(users)
        busy = [int(FINE * max(0.0, users[pid] or 0.0)) for pid in pids]
        # Nobody's use is known, or all rest: each has an equal part.
        parts = share(own, busy if sum(busy) else [1] * len(pids))
        return parts[pids.index(self._pid)]

    def _by_tokens(self, mine: int, shares: Shares) -> Split:
        uses = list(shares.spans.values())
        read = sum(use.read for use in uses)
        written = sum(use.written for use in uses)
        steps = max(use.written for use in uses)
        learned = FLAT
        if self.rates is not None:
            counted = {PREFILL: READ_PRIOR * read, DECODE: float(written), ITERATION: float(steps)}
            self.rates.record(joules(mine), counted)
            learned = self.rates.learned
        a, b, c = _token_rates(learned)
        each = b + (c * steps / written if written else 0.0)
        weights = [int(FINE * (a * use.read + each * use.written)) for use in uses]
        return Split(mine, weights, (0, 0), "token_weights")


def _token_rates(learned: Learned) -> tuple[float, float, float]:
    """Energy of a token read, of one written, and of an iteration, relative to each other."""
    if not learned:
        return READ_PRIOR, 1.0, 0.0
    return READ_PRIOR * learned.rate(PREFILL), learned.rate(DECODE), learned.rate(ITERATION)


def splitter(info: MeterInfo) -> Splitter:
    """The rule for a device."""
    return ByDeviceTime() if info.device_kind == "gpu" else ByCpuTime(info)
