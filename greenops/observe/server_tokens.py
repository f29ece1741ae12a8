"""What a token draws on an inference server, learned from its counters and a meter; the fit is that of `observe/rates.py`.

    E = idle x time + J_in x (fresh + share x cached) + J_out x written + J_step x passes        [J] per tick

The fit tells how the energy of busy ticks is split. Then all of it, idle draw while busy included, is laid on the tokens, so
that the calls of a metered time add up to what its meter read in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, inf
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from greenops.domain.model_server import TokenEnergy, Work
from greenops.observe.rates import BLOCK, FOLDS, MOST_ROWS, Rates
from greenops.observe.split import READ_PRIOR, TOKEN_GATE
from greenops.units import Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.observe.rate_doubts import Doubts

STEP_PRIOR: Final = 30.0
"""Energy of a pass, relative to a token written, before it is learned: a pass reads the weights once for all that run.
Source: 1.6 J against 0.045 J in tests/bench/gpu_batches.py; it sets the scale that the fit is pulled to, no more."""
PASSES_PER_S: Final = 20.0
"""Passes in a second of work, where the server does not count them; only the scale of a column, as `STEP_PRIOR`."""
ROW_STEPS: Final = 5
"""A row lasts so many steps of the slowest counter, so that what comes late falls into the same row mostly."""
LEAST_ROWS: Final = BLOCK * FOLDS
"""Rows before input and output are told apart: one block to each fold."""
NOT_APART: Final = 2.0
"""Half width of the range, as a factor, where the split is `READ_PRIOR`: utilisation while reading, 0.2 to 0.6 about 0.4."""
IDLE_S: Final = 5.0
"""Time without work before idle power is believed [s]."""


class _Tick(NamedTuple):
    """A tick: [J], [s], whether it worked, what was done, and what was written where passes tell it better than the count."""

    energy: float
    seconds: float
    busy: bool
    work: Mapping[str | None, Work]
    batched: float | None


@dataclass(slots=True)
class _Row:
    """Ticks taken together: [J], [s], the part of it in which it worked [s], and use by column."""

    energy: float = 0.0
    seconds: float = 0.0
    busy: float = 0.0
    use: dict[str, float] = field(default_factory=dict)


class ServerTokens:
    """Gathers ticks of one server and learns from them at the end. Not thread-safe. Stability: beta.

    Args:
        cached_share: Energy of a cached token as a part of one that is computed.
        uncertainty: Of the meters, relative half width of the 90 % range.
        idle: Power with nothing running, where a meter tells it [W].
    """

    def __init__(self, cached_share: float, uncertainty: float, idle: Watts | None = None) -> None:
        self._cached, self._uncertainty = cached_share, uncertainty
        self.idle = idle
        """Power with nothing running: seen, else told, else none [W]."""
        self.energy = Joules(0.0)
        """Drawn while it worked, as `learn` finds it [J]."""
        self.gain: float | None = None
        """Error on ticks not fitted to, as a part of one rate's; none where nothing was fitted."""
        self._ticks: list[_Tick] = []

    def record(
        self,
        energy: Joules,
        seconds: float,
        work: Mapping[str | None, Work],
        running: float | None,
        *,
        at_end: bool = False,
    ) -> None:
        """One tick: what the meters counted in it, how long it was, and what the server did.

        Args:
            energy: Of all meters [J].
            seconds: Length [s].
            work: Per language model.
            running: Requests in the batch, on average; none where the server does not tell.
            at_end: Output is counted as a request ends: passes times requests say when it was written.
        """
        busy = bool(running) or any(each.read or each.wrote for each in work.values())
        steps = [each.steps for each in work.values()]
        batched = None
        if at_end and running is not None and len(steps) == 1 and steps[0] is not None:
            batched = steps[0] * running
        self._ticks.append(_Tick(energy, seconds, busy, dict(work), batched))

    @property
    def ticks(self) -> int:
        """Ticks in which it worked."""
        return sum(tick.busy for tick in self._ticks)

    @property
    def busy(self) -> Seconds:
        """Time in which it worked [s]."""
        return Seconds(sum(tick.seconds for tick in self._ticks if tick.busy))

    def learn(self, row_s: float) -> list[TokenEnergy]:
        """What was found, by language model; none of a model that wrote nothing.

        Args:
            row_s: Length of a row of the fit [s]; `row_seconds` gives it.
        """
        whole = sum(tick.seconds for tick in self._ticks)
        # A long time has longer rows: the fit keeps no more of them.
        rows = self._rows(max(row_s, whole / (MOST_ROWS - 1)))
        self._settle(rows)
        sums = self._sums()
        rates, doubts = self._fit(rows)
        found = [
            self._of(model, work, len(sums), rates, doubts)
            for model, work in sums.items()
            if work.wrote
        ]
        modeled = sum(
            each.input * self._computed(each.work) + each.output * each.work.wrote for each in found
        )
        # Law: tokens times their energy add up to what was metered while it worked.
        scale = self.energy / modeled if modeled > 0 else 0.0
        return [
            replace(each, output=Joules(each.output * scale), input=Joules(each.input * scale))
            for each in found
        ]

    def _rows(self, row_s: float) -> list[_Row]:
        """Ticks taken together till a counter that comes late has told of them; the last row may be short."""
        rows = [_Row()]
        for tick in self._ticks:
            if rows[-1].seconds >= row_s * 0.99:
                rows.append(_Row())
            row = rows[-1]
            row.energy += tick.energy
            row.seconds += tick.seconds
            row.busy += tick.seconds if tick.busy else 0.0
            for name, amount in self._use(tick).items():
                row.use[name] = row.use.get(name, 0.0) + amount
        return rows

    def _settle(self, rows: Sequence[_Row]) -> None:
        """Idle power, from rows without any work, and what was drawn with work."""
        empty = [row for row in rows if not row.busy and row.seconds]
        if sum(row.seconds for row in empty) >= IDLE_S:
            self.idle = Watts(median(row.energy / row.seconds for row in empty))
        rest = self.idle or 0.0
        self.energy = Joules(
            sum(row.energy - rest * (row.seconds - row.busy) for row in rows if row.busy)
        )

    def _sums(self) -> dict[str | None, Work]:
        sums: dict[str | None, Work] = {}
        for tick in self._ticks:
            for model, each in tick.work.items():
                before = sums.get(model)
                sums[model] = each if before is None else _together(before, each)
        return sums

    def _fit(self, rows: Sequence[_Row]) -> tuple[dict[str, float], Doubts | None]:
        """Energy of a unit of use by column [J], and how well it is known; none where it was not learned."""
        idle = self.idle or 0.0
        used = [(row.energy - idle * row.seconds, row.use) for row in rows if row.busy]
        ticks = [(drawn, use) for drawn, use in used if drawn > 0]
        whole = sum(sum(use.values()) for _, use in ticks)
        mean = sum(drawn for drawn, _ in ticks) / whole if whole > 0 else 0.0
        fit = Rates(TOKEN_GATE)
        for drawn, use in ticks:
            fit.record(drawn, use)
        if len(ticks) >= LEAST_ROWS:
            # The only fit: no row before it has faded.
            fit.fit(0)
            self.gain = fit.gain
        names = {name for _, use in ticks for name in use}
        rates = {name: mean * fit.learned.rate(name) for name in sorted(names)}
        if not fit.learned:
            return rates, None
        from greenops.observe.rate_doubts import Doubts

        return rates, Doubts(ticks, rates)

    def _use(self, tick: _Tick) -> dict[str, float]:
        use: dict[str, float] = {}
        for model, each in tick.work.items() if tick.busy else ():
            read, wrote, step = _columns(model)
            use[read] = READ_PRIOR * self._computed(each)
            use[wrote] = each.wrote if tick.batched is None else tick.batched
            # Where passes are not counted, the time in which it worked stands for them.
            passes = (
                PASSES_PER_S * tick.seconds / len(tick.work) if each.steps is None else each.steps
            )
            use[step] = STEP_PRIOR * passes
        return use

    def _computed(self, work: Work) -> float:
        return work.read - work.cached + self._cached * work.cached

    def _of(
        self,
        model: str | None,
        work: Work,
        models: int,
        rates: Mapping[str, float],
        doubts: Doubts | None,
    ) -> TokenEnergy:
        read, wrote, step = _columns(model)
        passes = PASSES_PER_S * self.busy / models if work.steps is None else work.steps
        batched = [tick.batched for tick in self._ticks if tick.batched is not None]
        written = sum(batched) / work.wrote if batched else 1.0
        # What a pass draws, whatever runs in it, falls to the tokens that it wrote.
        parts = {wrote: written, step: STEP_PRIOR * passes / work.wrote}
        output = sum(rates.get(name, 0.0) * part for name, part in parts.items())
        reading = READ_PRIOR * rates.get(read, 0.0)
        factor = NOT_APART
        if doubts is not None:
            widest = max(
                _part(doubts.of(parts), output), _part(doubts.of({read: READ_PRIOR}), reading)
            )
            factor = min(NOT_APART, 1 + hypot(widest, self._uncertainty))
        return TokenEnergy(model, Joules(output), Joules(reading), factor, factor < NOT_APART, work)


def _together(one: Work, other: Work) -> Work:
    told = [each.steps for each in (one, other) if each.steps is not None]
    return Work(
        one.read + other.read,
        one.cached + other.cached,
        one.wrote + other.wrote,
        sum(told) if told else None,
    )


def _part(doubt: float, value: float) -> float:
    return doubt / value if value > 0 else inf


def row_seconds(update: Seconds, lag: Seconds, tick_s: float) -> float:
    """How long a row of the fit lasts [s].

    Args:
        update: Time between two steps of the slowest meter [s].
        lag: Of the server's counters [s].
        tick_s: Time between two looks [s].
    """
    return max(tick_s, ROW_STEPS * max(update, lag))


def _columns(model: str | None) -> tuple[str, str, str]:
    name = model or ""
    return f"{name}\0prefill", f"{name}\0decode", f"{name}\0pass"
