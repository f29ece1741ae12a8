"""Counters of what spans carry beside metered energy: each is of its own kind and in no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from greenops.domain.energy import Category
from greenops.observe import attributes as names
from greenops.pipeline.alike_spans import AlikeSpans
from greenops.pipeline.counters import Counters, Key
from greenops.pipeline.remote_energy import RemoteSums
from greenops.pipeline.sums import Sum
from greenops.units import Grams

CARRIED: Final = {
    names.CARBON_EMBODIED: names.METRIC_EMBODIED,
    names.NETWORK_LOW: names.METRIC_NETWORK_LOW,
    names.NETWORK_HIGH: names.METRIC_NETWORK_HIGH,
}
"""Attribute of a span → counter of its sums."""
ON_NO_SPAN: Final = {
    Category.IDLE: names.METRIC_CARBON_IDLE,
    Category.OVERHEAD: names.METRIC_CARBON_OVERHEAD,
}
"""Category → counter of its emissions."""

BY_REGION: Final = (names.METRIC_CARBON, names.METRIC_COST)
"""Counters that are told apart by region, where the others are by method."""

Series = tuple[str | None, str, str | None]
"""Workload, metric, method or region; a metric of one method alone has none."""


class MoreCounters:
    """What rows carry, as counters that never fall and go on after a start."""

    def __init__(self) -> None:
        self._sums: defaultdict[tuple[str | None, str], Sum] = defaultdict(Sum)
        self._counters = Counters()

    def extend(self, spans: AlikeSpans) -> None:
        """Take spans of one workload and region in, once."""
        workload, place = spans.workload, spans.region or ""
        self._sums[workload, f"{names.METRIC_CARBON} {place}"].extend(spans.carbon)
        self._sums[workload, f"{names.METRIC_COST} {place}"].extend(spans.cost)

    def carried(self, workload: str | None, name: str, amounts: Sequence[float]) -> None:
        """Take in what some of these spans carry [J, g]."""
        self._sums[workload, CARRIED[name]].extend(amounts)

    def _exact(self, remote: RemoteSums, carbon: Mapping[str, Grams]) -> dict[Key, float]:
        found = {
            key: total for key, each in self._sums.items() if (total := each.value()) is not None
        }
        for (workload, metric, method), total in remote.by_workload().items():
            found[workload, f"{metric} {method}"] = total
        for category, metric in ON_NO_SPAN.items():
            if category in carbon:
                found[None, metric] = carbon[category]
        return found

    def show(self, remote: RemoteSums, carbon: Mapping[str, Grams]) -> dict[Key, float]:
        """(Workload, name) → what to show and keep [J, g]; no value is ever lower than it was."""
        return self._counters.show(self._exact(remote, carbon))

    def resume(
        self, shown: Mapping[Key, float], remote: RemoteSums, carbon: Mapping[str, Grams]
    ) -> None:
        """Go on from what was shown before a start."""
        self._counters.resume(shown, self._exact(remote, carbon))


def is_energy(key: Key) -> bool:
    """Whether a counter is one of metered energy, and not one of these."""
    return key[1] in set(Category)


def series(key: Key) -> Series:
    """The parts of a counter's name."""
    metric, _, method = key[1].partition(" ")
    return key[0], metric, method or None
