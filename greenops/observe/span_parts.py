"""What a span may carry beyond its own energy: calls to elsewhere, and parts that someone opted into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from greenops.domain.factors import FactorTable
from greenops.observe import attributes as names
from greenops.observe.attribution import Finished
from greenops.observe.call_place import Place, Places, address
from greenops.observe.embodied import Machine, embodied_of, network_energy
from greenops.observe.enriched import Attributes, said_by
from greenops.observe.remote_call import NONE, Remote, RemoteCalls
from greenops.units import Kwh, seconds

BYTES = (
    ("http.request.body.size", "http.request_content_length"),
    ("http.response.body.size", "http.response_content_length"),
)
"""Bytes sent and received, new and old spelling."""
MOST_BYTES = 10**18
"""Most bytes that a call may say; all networks together carry that in hours."""


class Part(StrEnum):
    """What someone may opt into: the words of the setting `span_parts`."""

    RANGE = "range"
    """`greenops.energy.low` and `.high`, also where the Resource's uncertainty says as much."""
    COST = "cost"
    TOTAL = "total"
    DEVICES = "devices"
    """Own energy by kind of device."""
    ATTRIBUTION = "attribution"
    """The rule that shared most of the energy."""
    NETWORK = "network"
    FLOPS = "flops"
    PER_UNIT = "per_unit"
    """Energy per output token and per item."""


@dataclass(frozen=True, slots=True)
class Network:
    """Range of what a gigabyte takes on its way [kWh]."""

    low: Kwh
    high: Kwh


class SpanParts:
    """Parts of a span, each only where it was asked for. Stability: beta.

    Args:
        calls: Estimates calls of language models; none leaves them out.
        machine: Adds `greenops.carbon.embodied`.
        network: Adds the range of the network's energy to outgoing calls.
        asked: What someone opted into.
    """

    def __init__(
        self,
        calls: RemoteCalls | None = None,
        *,
        machine: Machine | None = None,
        network: Network | None = None,
        asked: Iterable[Part] = (),
    ) -> None:
        self._calls, self._machine, self._network = calls, machine, network
        self.asked = frozenset(asked)
        """What spans carry of their own energy, too; the exporter writes it."""
        self._places = Places()

    def of(
        self, span: ReadableSpan, own: Finished, table: FactorTable, at: datetime | None
    ) -> tuple[Attributes, tuple[str, ...]]:
        """More attributes of a span, and reasons for what is missing.

        Args:
            span: Ended.
            own: What it drew in this process.
            table: Factors in force.
            at: Simulated end of the span; none where its time cannot be.
        """
        remote = NONE if self._calls is None else self._calls.of(span, table, at)
        more: Attributes = dict(remote.attributes)
        # CPU time is known without a meter, too.
        if self._machine is not None and (own.cpu_ns > 0 or own.unknown is None):
            more[names.CARBON_EMBODIED] = embodied_of(self._machine, seconds(own.cpu_ns))
        if self._network is not None:
            more.update(self._carried(span, self._network))
        if Part.PER_UNIT in self.asked:
            more.update(_units(span, own, remote))
        return more, remote.reasons

    def _carried(self, span: ReadableSpan, network: Network) -> Attributes:
        # Both ends know the bytes: only the caller counts them, and none that stay on the machine.
        if span.kind is not SpanKind.CLIENT:
            return {}
        said = said_by(span)
        host = address(said)
        if host is not None and self._places.of(span.kind, None, host) is Place.HERE:
            return {}
        found = [_bytes(said, spellings) for spellings in BYTES]
        known = [each for each in found if each is not None]
        if not known:
            return {}
        low, high = network_energy(sum(known), network.low, network.high)
        return {names.NETWORK_LOW: low, names.NETWORK_HIGH: high}


def _bytes(said: Mapping[str, object], spellings: tuple[str, str]) -> int | None:
    for name in spellings:
        value = said.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_BYTES:
            return value
    return None


def _units(span: ReadableSpan, own: Finished, remote: Remote) -> Attributes:
    more: Attributes = {}
    if remote.energy is not None and remote.tokens is not None and remote.tokens.output:
        more[names.ENERGY_PER_OUTPUT] = remote.energy.energy / remote.tokens.output
    items = said_by(span).get(names.ITEMS)
    counted = isinstance(items, int) and not isinstance(items, bool) and items > 0
    if counted and own.energy is not None:
        more[names.ENERGY_PER_ITEM] = own.energy.self_j / items  # type: ignore[operator]
    return more
