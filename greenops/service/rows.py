"""OTLP messages to the lake's rows; a span of any SDK becomes a row, with energy or a reason."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    Metric,
    NumberDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from greenops.domain.energy import Unknown
from greenops.domain.spans import IDLE_TAKEN, EnergyAccount, SpanRow, credible, sound
from greenops.observe import attributes as names
from greenops.observe.accounts import HOST_ID
from greenops.units import Grams, Joules, Usd

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = 253_402_300_799_000_000
"""The last second of the year 9999 [us since 1970]."""
TRACE_BYTES: Final = 16
SPAN_BYTES: Final = 8
NO_TRACE, NO_SPAN = bytes(TRACE_BYTES), bytes(SPAN_BYTES)
OUTGOING: Final = (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_PRODUCER)
MAPPED: Final = frozenset(
    {
        names.ENERGY_SELF,
        names.ENERGY_LOW,
        names.ENERGY_HIGH,
        names.CARBON_SELF,
        names.COST_SELF,
        names.ENERGY_METHOD,
        names.ENERGY_UNKNOWN,
        names.TIME,
        names.DECISION_ID,
        names.GRID_ZONE,
    }
)
"""Attributes that have a column of their own."""

ACCOUNTED: Final = {names.METRIC_ENERGY: None, names.METRIC_IDLE_TAKEN: IDLE_TAKEN}
"""Counters that are taken, and the category of their points; none where each point says its own."""

Simulated = Callable[[datetime], datetime]


class Refusal(StrEnum):
    """Why a data point is not taken."""

    DELTA = "delta"
    NO_VALUE = "no_value"
    OUT_OF_RANGE = "out_of_range"
    NO_TIME = "no_time"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Accounts:
    """What a metrics message holds: rows, and how many data points were refused, by reason."""

    rows: list[EnergyAccount] = field(default_factory=list)
    refused: Counter[Refusal] = field(default_factory=Counter)


def span_rows(message: ExportTraceServiceRequest, simulated: Simulated) -> Iterator[SpanRow]:
    """One row per span that has its ids; without them two could not be told apart.

    Args:
        message: What the SDK or a Collector sent.
        simulated: Maps wall time to simulated time, for spans that do not carry theirs.
    """
    for resource_spans in message.resource_spans:
        resource = attributes_of(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if has_ids(span):
                    yield _span_row(span, resource, simulated)


def has_ids(span: Span) -> bool:
    """Whether a span says which one it is. Source: OTLP specification, `Span.trace_id` and `.span_id`."""
    trace, own = span.trace_id, span.span_id
    return (
        len(trace) == TRACE_BYTES
        and len(own) == SPAN_BYTES
        and trace != NO_TRACE
        and own != NO_SPAN
    )


def account_rows(
    message: ExportMetricsServiceRequest, simulated: Simulated, until: datetime
) -> Accounts:
    """One row per data point of the counters of energy accounts; other metrics pass by.

    Args:
        message: What the SDK or a Collector sent.
        simulated: Maps wall time to simulated time.
        until: Latest wall instant that is taken: a later point would stand above all that follow.
    """
    found = Accounts()
    for resource, metric, point in _points(message):
        refusal = _refusal(point, metric.sum.aggregation_temporality, until)
        if refusal is None:
            found.rows.append(_account(metric.name, point, resource, simulated))
        else:
            found.refused[refusal] += 1
    return found


def _points(
    message: ExportMetricsServiceRequest,
) -> Iterator[tuple[Mapping[str, Any], Metric, NumberDataPoint]]:
    for resource_metrics in message.resource_metrics:
        resource = attributes_of(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                if metric.name in ACCOUNTED:
                    for point in metric.sum.data_points:
                        yield resource, metric, point


def _refusal(point: NumberDataPoint, temporality: int, until: datetime) -> Refusal | None:
    # A delta sent twice cannot be told from two deltas, so only cumulative points are taken.
    if temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA:
        return Refusal.DELTA
    silent = point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    if silent or point.WhichOneof("value") is None:
        return Refusal.NO_VALUE
    if not credible(_joules_of(point)):
        return Refusal.OUT_OF_RANGE
    if not point.time_unix_nano:
        return Refusal.NO_TIME
    return Refusal.AHEAD if _instant(point.time_unix_nano) > until else None


def _joules_of(point: NumberDataPoint) -> float:
    return point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int)


def _account(
    metric: str, point: NumberDataPoint, resource: Mapping[str, Any], simulated: Simulated
) -> EnergyAccount:
    labels = attributes_of(point.attributes)
    service = str(resource.get(names.SERVICE_NAME, "unknown_service"))

    def either(name: str) -> str | None:
        return text_of(labels.get(name, resource.get(name)))

    start = point.start_time_unix_nano
    return EnergyAccount(
        service=service,
        instance=str(resource.get(names.SERVICE_INSTANCE_ID, service)),
        workload=either(names.WORKLOAD),
        device=str(labels.get(names.DEVICE, "unknown")),
        category=str(ACCOUNTED[metric] or labels.get(names.ENERGY_CATEGORY, "unattributed")),
        at=simulated(_instant(point.time_unix_nano)),
        joules=Joules(_joules_of(point)),
        method=either(names.ENERGY_METHOD),
        source=either(names.ENERGY_SOURCE),
        host=_host(labels) or _host(resource),
        start=simulated(_instant(start)) if start else None,
    )


def _host(facts: Mapping[str, Any]) -> str | None:
    # Three containers of one machine have three names, and one meter.
    return text_of(facts.get(HOST_ID, facts.get(names.HOST_NAME)))


def _span_row(span: Span, resource: Mapping[str, Any], simulated: Simulated) -> SpanRow:
    own = attributes_of(span.attributes)

    def either(name: str) -> Any:
        return own.get(name, resource.get(name))

    energy = number_of(own.get(names.ENERGY_SELF))
    low, high = _range(energy, own, resource)
    end = _instant(span.end_time_unix_nano)
    home = resource.get(names.CLOUD_REGION)
    # On an outgoing call the region is that of the service called.
    region = home if span.kind in OUTGOING else own.get(names.CLOUD_REGION, home)
    zone = own.get(names.GRID_ZONE, resource.get(names.GRID_ZONE) if region == home else None)
    row = SpanRow(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        service=str(resource.get(names.SERVICE_NAME, "unknown_service")),
        instance=text_of(resource.get(names.SERVICE_INSTANCE_ID)),
        workload=text_of(either(names.WORKLOAD)),
        name=span.name,
        kind=kind_of(span.kind),
        start=_instant(span.start_time_unix_nano),
        end=end,
        time=time_of(own.get(names.TIME)) or simulated(end),
        energy_j=None if energy is None else Joules(energy),
        energy_low_j=low,
        energy_high_j=high,
        carbon_g=_grams(own.get(names.CARBON_SELF)),
        cost_usd=_usd(own.get(names.COST_SELF)),
        method=text_of(either(names.ENERGY_METHOD)) if energy is not None else None,
        unknown=None if energy is not None else _why(own),
        region=text_of(region),
        grid_zone=text_of(zone),
        decision_id=text_of(either(names.DECISION_ID)),
        attributes={k: json.dumps(v) for k, v in own.items() if k not in MAPPED},
    )
    return sound(row)


def _range(
    energy: float | None, own: Mapping[str, Any], resource: Mapping[str, Any]
) -> tuple[Joules | None, Joules | None]:
    """Ends of the 90 % range [J]: as the span says, else as its resource says for all of its spans."""
    low, high = _joules(own.get(names.ENERGY_LOW)), _joules(own.get(names.ENERGY_HIGH))
    if energy is None or low is not None or high is not None:
        return low, high
    doubt = number_of(resource.get(names.ENERGY_UNCERTAINTY))
    method = resource.get(names.ENERGY_METHOD)
    # The resource's uncertainty is that of its method, and of no other.
    if doubt is None or not 0 <= doubt < math.inf or own.get(names.ENERGY_METHOD, method) != method:
        return None, None
    return Joules(max(0.0, energy * (1 - doubt))), Joules(energy * (1 + doubt))


def kind_of(number: int) -> str:
    """Name of a span's kind."""
    # Protobuf lets any number through; a kind of a later version must not cost the span.
    kinds = {value: name for name, value in Span.SpanKind.items()}
    return str(kinds.get(number, "SPAN_KIND_UNSPECIFIED")).removeprefix("SPAN_KIND_")


def _why(own: Mapping[str, Any]) -> str:
    return str(own.get(names.ENERGY_UNKNOWN, Unknown.NOT_OBSERVED))


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as plain values; of a name that comes twice the last."""
    return {pair.key: value_of(pair.value) for pair in pairs}


def value_of(value: AnyValue) -> Any:
    """A value as JSON can say it; bytes are hexadecimal digits."""
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [value_of(each) for each in value.array_value.values]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case _:
            return getattr(value, kind)


def _instant(nanoseconds: int) -> datetime:
    # Beyond the year 9999 there is no datetime; such a clock is not worth a lost batch.
    return EPOCH + timedelta(microseconds=min(nanoseconds // 1000, LATEST))


def time_of(text: object) -> datetime | None:
    """An instant from its ISO 8601 text with an offset; none where it is another."""
    try:
        found = datetime.fromisoformat(str(text)) if text else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def number_of(value: object) -> float | None:
    """A number; none where it is none, and of true and false."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _joules(value: object) -> Joules | None:
    found = number_of(value)
    return None if found is None else Joules(found)


def _grams(value: object) -> Grams | None:
    found = number_of(value)
    return None if found is None else Grams(found)


def _usd(value: object) -> Usd | None:
    found = number_of(value)
    return None if found is None else Usd(found)


def text_of(value: object) -> str | None:
    """A value as text; none stays none."""
    return None if value is None else str(value)
