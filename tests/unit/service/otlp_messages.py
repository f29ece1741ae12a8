"""Messages as senders of every kind make them, by seed: sound ones, odd ones, and damaged bytes and texts."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from greenops.observe import attributes as names
from greenops.observe.gen_ai import OPERATION

AT = 1_764_000_000_000_000_000
OURS = (
    *(names.ENERGY_SELF, names.ENERGY_LOW, names.ENERGY_HIGH, names.CARBON_SELF, names.COST_SELF),
    *(names.ENERGY_METHOD, names.ENERGY_UNKNOWN, names.TIME, names.DECISION_ID, names.GRID_ZONE),
    *(names.WORKLOAD, names.CLOUD_REGION, names.ENERGY_REMOTE, names.ENERGY_REMOTE_METHOD),
    *(names.CARBON_EMBODIED, names.ITEMS, names.NETWORK_LOW, names.NETWORK_HIGH, names.USER_ID),
    *(names.CACHE_NAME, names.CACHE_OUTCOME, names.CARBON_REMOTE, OPERATION),
    *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "gen_ai.request.model"),
)
OF_RESOURCES = (
    *(names.SERVICE_NAME, names.SERVICE_INSTANCE_ID, names.WORKLOAD, names.CLOUD_REGION),
    *(names.GRID_ZONE, names.ENERGY_METHOD, names.ENERGY_UNCERTAINTY, names.DECISION_ID),
)
WORDS = (
    *("", "a", "search", "eu-north-1", "SE", "measured", "estimated", "hit", "miss", "chat"),
    *("2026-11-23T10:00:00Z", "2026-11-23T10:00:00", "soon", 'say "so"', "back\\slash", "line\n"),
    *("é", "🌱", "\u202e", "\x00", "\x7f", "x" * 300, "9999-12-31T23:59:59Z", "null"),
)
NUMBERS = (0.0, -0.0, 1.5, -1.0, 1e12, 1.1e12, math.nan, math.inf, -math.inf, 1e-300, 5e-324, 1e308)
WHOLES = (0, 1, -1, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))


def anything(dice: random.Random, depth: int = 0) -> AnyValue:
    """A value of any kind."""
    which = dice.randrange(9 if depth < 3 else 6)
    value = AnyValue()
    match which:
        case 0 | 1:
            value.string_value = dice.choice(WORDS)
        case 2:
            value.double_value = dice.choice((dice.uniform(0.0, 5.0), dice.choice(NUMBERS)))
        case 3:
            value.int_value = dice.choice((dice.randrange(1000), dice.choice(WHOLES)))
        case 4:
            value.bool_value = dice.random() < 0.5
        case 5:
            value.bytes_value = dice.randbytes(dice.randrange(3))
        case 6:
            value.array_value.values.extend(anything(dice, depth + 1) for _ in range(2))
        case 7:
            value.kvlist_value.values.append(KeyValue(key="k", value=anything(dice, depth + 1)))
    return value


def usual(dice: random.Random, name: str) -> AnyValue:
    """A value of the kind that a name has."""
    if name in (names.ENERGY_METHOD, names.ENERGY_REMOTE_METHOD):
        return AnyValue(string_value=dice.choice(("measured", "modeled", "estimated")))
    if name.startswith("gen_ai.usage") or name == names.ITEMS:
        return AnyValue(int_value=dice.randrange(1, 500))
    if name == names.CACHE_OUTCOME:
        return AnyValue(string_value=dice.choice(("hit", "miss", "stale")))
    if name == OPERATION:
        return AnyValue(string_value=dice.choice(("chat", "invoke_agent")))
    if "energy" in name or "carbon" in name or "cost" in name or "network" in name:
        return AnyValue(double_value=dice.uniform(0.001, 5.0))
    return AnyValue(string_value=dice.choice(WORDS[:10]))


def valued(dice: random.Random, name: str, oddity: float) -> AnyValue:
    return anything(dice) if dice.random() < oddity else usual(dice, name)


def message(seed: int, spans: int = 40, oddity: float = 0.1) -> ExportTraceServiceRequest:
    """A message of a seed; `oddity` is how often a value is of a kind that its name does not have."""
    dice, request = random.Random(seed), ExportTraceServiceRequest()
    parents = [b""]
    trace = dice.randbytes(16)
    for _ in range(dice.randrange(1, 4)):
        part = request.resource_spans.add()
        for name in dice.sample(OF_RESOURCES, dice.randrange(len(OF_RESOURCES) + 1)):
            part.resource.attributes.add(key=name).value.CopyFrom(valued(dice, name, oddity / 2))
        for _ in range(dice.randrange(3)):
            scope = part.scope_spans.add()
            for _ in range(dice.randrange(spans)):
                trace = trace if dice.random() < 0.8 else dice.randbytes(16)
                scope.spans.append(_span(dice, trace, dice.choice(parents[-20:]), oddity))
                parents.append(scope.spans[-1].span_id)
    return request


def _span(dice: random.Random, trace: bytes, parent: bytes, oddity: float) -> Span:
    odd = dice.random() < oddity
    span = Span(
        trace_id=dice.choice((b"", bytes(16), b"short", trace)) if odd else trace,
        span_id=dice.choice((b"", bytes(8), b"long" * 9, b"12345678"))
        if odd
        else dice.randbytes(8),
        parent_span_id=parent if len(parent) == 8 else b"",
        name=dice.choice(WORDS),
        kind=dice.choice((*range(6), *((17, -1) if odd else ()))),
        start_time_unix_nano=AT + dice.randrange(10**9),
        end_time_unix_nano=dice.choice((0, 2**64 - 1))
        if odd
        else AT + 10**9 + dice.randrange(10**9),
    )
    own = [*dice.sample(OURS, dice.randrange(9)), *(f"own.{n}" for n in range(dice.randrange(4)))]
    for name in own:
        span.attributes.add(key=name).value.CopyFrom(valued(dice, name, oddity))
    if odd and dice.random() < 0.2:
        span.events.add(name="exception", time_unix_nano=AT).attributes.add(key="greenops.time")
    return span


def in_other_words(dice: random.Random, raw: bytes) -> bytes:
    """The same message in two parts, as protobuf allows it."""
    parts = ExportTraceServiceRequest.FromString(raw)
    first, second = ExportTraceServiceRequest(), ExportTraceServiceRequest()
    for part in parts.resource_spans:
        (first if dice.random() < 0.5 else second).resource_spans.append(part)
    return bytes(first.SerializeToString() + second.SerializeToString())


def _flipped(dice: random.Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw) + 1)
    return raw[:at] + bytes([dice.randrange(256)]) + raw[at + dice.randrange(2) :]


def _cut(dice: random.Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw) + 1)
    return raw[:at] + raw[at + dice.choice((1, 2, 10, 100, len(raw))) :]


def _repeated(dice: random.Random, raw: bytes) -> bytes:
    at, size = dice.randrange(len(raw) + 1), dice.choice((1, 3, 30, 300))
    return raw[:at] + raw[at : at + size] * dice.choice((2, 3, 20)) + raw[at:]


def _unknown(dice: random.Random, raw: bytes) -> bytes:
    """A field that nobody knows, a group or a number in more bytes than it needs, somewhere."""
    at = dice.randrange(len(raw) + 1)
    odd = (
        b"\xf8\x07\x01",
        b"\xfb\x07\xfc\x07",
        b"\x8a\x80\x00\x00",
        b"\xff" * 9 + b"\x01",
        b"\x4a\x00",
    )
    return raw[:at] + dice.choice(odd) + raw[at:]


def _renumbered(dice: random.Random, raw: bytes) -> bytes:
    """One bit of one byte is another."""
    if not raw:
        return raw
    at = dice.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << dice.randrange(8)]) + raw[at + 1 :]


CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    *(_flipped, _flipped, _cut, _repeated, _unknown, _renumbered, _renumbered, _renumbered),
)
SCALARS = (
    *("", "0", "-1", "1e999", "NaN", "Infinity", "9" * 40, "null", "true", '""', "[]", "{}"),
    *('"\\ud800"', '"\\u0000"', "18446744073709551616", '{"doubleValue": "NaN"}', "[" * 50),
    *('{"intValue": "9223372036854775808"}', "[[[[]]]]", '{"arrayValue": {"values": 1}}', '"00"'),
)


def damaged(raw: bytes, seed: int) -> bytes:
    """The bytes of a seed, from sound ones."""
    dice = random.Random(seed)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        raw = dice.choice(CHANGES)(dice, raw)
    return raw


def damaged_text(text: str, seed: int) -> bytes:
    """JSON of a seed, from sound JSON."""
    dice = random.Random(seed)
    for _ in range(dice.choice((1, 1, 2, 4))):
        at = text.find(":", dice.randrange(len(text) + 1)) + 1
        match dice.randrange(5):
            case 0 | 1 if at:
                text = text[:at] + dice.choice(SCALARS) + text[at:].lstrip(' "0123456789abcdef')
            case 2:
                return damaged(text.encode(), seed)
            case 3 if at:
                depth = dice.choice((2, 20, 90, 110, 1000, 100_000))
                text = text[:at] + '{"arrayValue":{"values":[' * depth + text[at:]
            case _:
                at = dice.randrange(len(text) + 1)
                text = text[:at] + dice.choice('{}[]:,"\\ \x00é') + text[at:]
    return text.encode()


def as_json(request: ExportTraceServiceRequest) -> str:
    """A message as senders write JSON: ids in hexadecimal digits."""
    known = json.loads(json_format.MessageToJson(request, indent=None))
    for part in known.get("resourceSpans", ()):
        for scope in part.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = _hex(span[name])
    return json.dumps(known)


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()


def metrics_message(seed: int) -> ExportMetricsServiceRequest:
    """Readings of accounts of a seed; some of them are such as no meter gives."""
    dice, request = random.Random(seed), ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    for name in dice.sample(OF_RESOURCES, 4):
        part.resource.attributes.add(key=name).value.CopyFrom(valued(dice, name, 0.1))
    for name in (names.METRIC_ENERGY, names.METRIC_IDLE_TAKEN, "other"):
        metric = part.scope_metrics.add().metrics.add(name=name)
        metric.sum.aggregation_temporality = dice.choice((2, 2, 2, 1, 0))
        for _ in range(dice.randrange(4)):
            point = metric.sum.data_points.add(time_unix_nano=AT + dice.randrange(10**9))
            point.start_time_unix_nano = dice.choice((0, AT, 2**64 - 1))
            if dice.random() < 0.8:
                point.as_double = dice.choice((dice.uniform(0, 100), dice.choice(NUMBERS)))
            else:
                point.as_int = dice.choice(WHOLES)
            for key in (names.ENERGY_CATEGORY, names.DEVICE):
                point.attributes.add(key=key).value.CopyFrom(valued(dice, key, 0.1))
    return request
