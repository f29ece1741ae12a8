"""What services drew elsewhere, from the lake's rows; a call whose server is metered counts there alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from greenops.domain.energy import Method
from greenops.domain.footprint import RemoteEnergy
from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.carried import number, output_tokens, text
from greenops.pipeline.lineage import Lineage, Recent
from greenops.pipeline.sums import Sum
from greenops.units import Grams, Joules

METHODS: Final = frozenset(str(each) for each in Method)


@dataclass(frozen=True, slots=True)
class _Call:
    service: str
    workload: str | None
    method: str
    energy: float
    low: float
    high: float
    carbon: float | None
    tokens: int | None


@dataclass(slots=True)
class _Group:
    """Calls of one service, workload and method."""

    calls: int = 0
    superseded: int = 0
    energy: Sum = field(default_factory=Sum)
    low: Sum = field(default_factory=Sum)
    high: Sum = field(default_factory=Sum)
    carbon: Sum = field(default_factory=Sum)
    with_carbon: int = 0
    tokens: int = 0
    of_tokens: Sum = field(default_factory=Sum)

    def count(self, call: _Call, sign: int) -> None:
        """Take a call in, or out again."""
        self.calls += sign
        self.energy.add(sign * call.energy)
        self.low.add(sign * call.low)
        self.high.add(sign * call.high)
        if call.carbon is not None:
            self.with_carbon += sign
            self.carbon.add(sign * call.carbon)
        if call.tokens is not None:
            self.tokens += sign * call.tokens
            self.of_tokens.add(sign * call.energy)


class RemoteSums:
    """Sums over rows as they come; a server's span takes its callers' estimates out, whichever comes first.

    Args:
        lineage: Which span lies above which; whoever owns it has added a row before it comes here.
    """

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._groups: dict[tuple[str, str | None, str], _Group] = {}
        self._calls: Recent[_Call] = Recent(lineage.remembered)
        self._served: Recent[bool] = Recent(lineage.remembered)
        """Spans above a server's span that has energy of its own."""

    def add(self, key: int, above: int, row: SpanRow | None, *, served: bool) -> None:
        """Take one span in, once.

        Args:
            key: Its own.
            above: Its parent's; a root's own.
            row: Itself, where it may be a call to elsewhere.
            served: Whether it is a server's and has energy.
        """
        known = key in self._served
        call = None if row is None else _call(row)
        if call is not None:
            self._calls.put(key, call)
            group = self._group(call)
            if known:
                group.superseded += 1
            else:
                group.count(call, 1)
        # Above a root there is nobody.
        if above != key and (known or served):
            self._serve(key)

    def _serve(self, key: int) -> None:
        for above in self._lineage.upward(key):
            if above in self._served:
                return
            self._served.put(above, True)
            call = self._calls.get(above)
            if call is not None:
                group = self._group(call)
                group.count(call, -1)
                group.superseded += 1

    def _group(self, call: _Call) -> _Group:
        return self._groups.setdefault((call.service, call.workload, call.method), _Group())

    def services(self) -> tuple[RemoteEnergy, ...]:
        """By service and method, in that order."""
        merged: dict[tuple[str, str], list[_Group]] = {}
        for (service, _, method), group in self._groups.items():
            merged.setdefault((service, method), []).append(group)
        return tuple(_sum(*key, merged[key]) for key in sorted(merged))

    def by_workload(self) -> dict[tuple[str | None, str, str], float]:
        """(Workload, metric, method) → sum so far [J, g]; may fall where a call turns out to be metered."""
        found: dict[tuple[str | None, str, str], list[float]] = {}
        for (_, workload, method), group in self._groups.items():
            sums = {
                names.METRIC_REMOTE: group.energy.total(),
                names.METRIC_REMOTE_LOW: group.low.total(),
                names.METRIC_REMOTE_HIGH: group.high.total(),
            }
            if group.with_carbon:
                sums[names.METRIC_CARBON_REMOTE] = group.carbon.total()
            for metric, amount in sums.items():
                found.setdefault((workload, metric, method), []).append(amount)
        return {key: sum(amounts) for key, amounts in found.items()}


def _call(row: SpanRow) -> _Call | None:
    energy = number(row, names.ENERGY_REMOTE)
    if energy is None:
        return None
    method = text(row, names.ENERGY_REMOTE_METHOD)
    low, high = (number(row, n) for n in (names.ENERGY_REMOTE_LOW, names.ENERGY_REMOTE_HIGH))
    return _Call(
        service=row.service,
        workload=row.workload,
        # A name of a method becomes a label of metrics: only those that there are.
        method=method if method in METHODS else Method.ESTIMATED,
        energy=energy,
        low=energy if low is None else low,
        high=energy if high is None else high,
        carbon=number(row, names.CARBON_REMOTE),
        tokens=output_tokens(row),
    )


def _sum(service: str, method: str, groups: list[_Group]) -> RemoteEnergy:
    def total(parts: Iterable[Sum]) -> float:
        return max(0.0, sum(each.total() for each in parts))

    with_carbon = sum(each.with_carbon for each in groups)
    tokens = sum(each.tokens for each in groups)
    return RemoteEnergy(
        service=service,
        method=method,
        calls=sum(each.calls for each in groups),
        energy_j=Joules(total(each.energy for each in groups)),
        energy_low_j=Joules(total(each.low for each in groups)),
        energy_high_j=Joules(total(each.high for each in groups)),
        carbon_g=Grams(total(each.carbon for each in groups)) if with_carbon else None,
        superseded=sum(each.superseded for each in groups),
        calls_with_carbon=with_carbon,
        output_tokens=tokens or None,
        energy_j_per_output_token=Joules(total(each.of_tokens for each in groups) / tokens)
        if tokens
        else None,
    )
