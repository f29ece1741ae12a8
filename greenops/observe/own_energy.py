"""What a span says of its own energy: two words by default, the rest where it was asked for or is owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from greenops.domain.energy import MeterInfo, Method, SpanEnergy
from greenops.observe import attributes as names
from greenops.observe.attribution import Finished
from greenops.observe.device import joules
from greenops.observe.enriched import Attributes
from greenops.observe.span_parts import Part

WIDER: Final = 1.25
"""A span whose range is wider by this than the Resource's uncertainty says carries its own.

Source: docs/decisions/0011.
"""

WALL_SHARE: Final = "wall_share"
BY_CLOCK: Final = ("cpu_time", "operation_rate")
"""Rules that rest on the CPU clocks of threads."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What the Resource says once for all its spans.

    Attributes:
        method: How their energy came about; none without a meter.
        uncertainty: Relative half width of the 90 % range [1]; none where it cannot be told.
        kinds: Device to its `hw.type`.
        clocks: False where no clock of a thread was read for a span: what the process used is measured, who of its spans
            used it is a guess that nobody has put a range to.
    """

    method: Method | None
    uncertainty: float | None
    kinds: Mapping[str, str]
    clocks: bool = True

    @classmethod
    def of(cls, meters: Iterable[MeterInfo], *, clocks: bool = True) -> Stated:
        """The weakest method and the widest range of the meters in use."""
        infos = list(meters)
        kinds = {each.device: each.device_kind for each in infos}
        if not infos:
            return cls(None, None, kinds, clocks)
        methods = [each.method for each in infos] + ([] if clocks else [Method.ESTIMATED])
        widest = max(each.uncertainty for each in infos) if clocks else None
        return cls(max(methods, key=list(Method).index), widest, kinds, clocks)


def own_energy(
    energy: SpanEnergy, found: Finished, stated: Stated, asked: frozenset[Part]
) -> Attributes:
    """Attributes of a span's own energy.

    Args:
        energy: Of `found`.
        found: The settled span.
        stated: What the Resource says for it.
        asked: What someone opted into.
    """
    more: Attributes = {names.ENERGY_SELF: energy.self_j}
    if stated.clocks and energy.method is not stated.method:
        more[names.ENERGY_METHOD] = energy.method.value
    if stated.uncertainty is not None and (
        Part.RANGE in asked or _wider(energy, stated.uncertainty)
    ):
        more[names.ENERGY_LOW], more[names.ENERGY_HIGH] = energy.low_j, energy.high_j
    if not asked:
        return more
    if Part.TOTAL in asked:
        more[names.ENERGY_TOTAL] = energy.total_j
    if Part.ATTRIBUTION in asked:
        guessed = not stated.clocks and energy.attribution in BY_CLOCK
        more[names.ENERGY_ATTRIBUTION] = WALL_SHARE if guessed else energy.attribution
    if Part.DEVICES in asked:
        more.update(_by_kind(found.devices, stated.kinds))
    return more


def _wider(energy: SpanEnergy, uncertainty: float) -> bool:
    """True where whoever knows the Resource alone would think the span surer than it is."""
    return energy.high_j - energy.self_j > WIDER * uncertainty * energy.self_j


def _by_kind(devices: Mapping[str, int], kinds: Mapping[str, str]) -> Attributes:
    # A device that was metered and not used gave zero; a kind without a meter is absent.
    sums = {kind: 0 for kind in kinds.values() if kind in names.ENERGY_OF_KIND}
    for device, quanta in devices.items():
        kind = kinds.get(device)
        if kind in sums:
            sums[kind] += quanta
    return {names.ENERGY_OF_KIND[kind]: joules(quanta) for kind, quanta in sums.items()}
