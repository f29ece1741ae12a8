"""Spans that are hard to pack: random ids, random instants, exact doubles, ten attributes, four spans a trace."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.parquet_lake import SPANS

FIRST_US = 1_764_115_200_000_000
"""Midnight of 2025-11-26 UTC [us since 1970]."""
EACH = 4
"""Spans of a trace."""
SERVICES = 8
ZONES = ("DE", "FR", "SE", "PL")
UNKNOWN = 0.05
"""Part of the spans without energy."""
SLOT_US = 300_000_000
"""How long a carbon intensity stands [us]."""


def spans(count, *, crossing, seed=0, hours=1.0, first_us=FIRST_US):
    """A table of the lake's schema, in the order in which traces begin.

    Args:
        count: Spans; a multiple of four.
        crossing: Whether the last two spans of a trace are of another service than the first two.
        seed: Of all that is random.
        hours: Time in which traces begin [h].
        first_us: First instant [us since 1970].
    """
    draw = np.random.default_rng(seed)
    traces = count // EACH
    span_ids = hexes(draw, count, 8)
    start, end = _instants(draw, traces, hours)
    service = np.repeat(draw.integers(0, SERVICES, traces), EACH)
    if crossing:
        other = np.repeat(draw.integers(1, SERVICES, traces), EACH) * (np.arange(count) % EACH > 1)
        service = (service + other) % SERVICES
    zone = service % len(ZONES)
    unknown = draw.random(count) < UNKNOWN
    energy = draw.lognormal(0, 1.5, count)
    carbon = energy / 3.6e6 * _intensity()[end // SLOT_US % 288, zone]
    kept = {
        "trace_id": np.repeat(hexes(draw, traces, 16), EACH),
        "span_id": span_ids,
        "parent_id": pa.array(
            span_ids[np.maximum(np.arange(count) - 1, 0)], mask=np.arange(count) % EACH == 0
        ),
        "service": words("service", service),
        "instance": words("instance", service * 3 + draw.integers(0, 3, count)),
        "workload": words("service", service),
        "name": words("operation", draw.integers(0, 12, count)),
        "kind": np.tile(["SERVER", "INTERNAL", "CLIENT", "INTERNAL"], traces),
        **{
            name: instants(first_us + at)
            for name, at in zip(("start", "end"), (start, end), strict=True)
        },
        "time": instants(first_us + end),
        **{
            name: pa.array(value, pa.float64(), mask=unknown)
            for name, value in {
                "energy_j": energy,
                "energy_low_j": energy * (1 - 0.15),
                "energy_high_j": energy * (1 + 0.15),
                "carbon_g": carbon,
                "cost_usd": energy / 3.6e6 * 0.31,
            }.items()
        },
        "method": pa.array(np.full(count, "measured"), pa.string(), mask=unknown),
        "unknown": pa.array(np.full(count, "not_observed"), pa.string(), mask=~unknown),
        "region": words("region", zone),
        "grid_zone": np.array(ZONES)[zone],
        "decision_id": pa.nulls(count, pa.string()),
        "attributes": attributes(draw, count),
    }
    plain = {
        name: each if isinstance(each, pa.Array) else pa.array(each, pa.string())
        for name, each in kept.items()
    }
    return pa.table(plain).select(SPANS.names).cast(SPANS)


def hexes(draw, count, width):
    text = draw.bytes(count * width).hex()
    return np.array([text]).view(f"U{2 * width}")


def words(stem, numbers):
    return np.array([f"{stem}-{each}" for each in range(int(numbers.max()) + 1)])[numbers]


def instants(us):
    return pa.array(us, pa.int64()).cast(pa.timestamp("us", "UTC"))


def attributes(draw, count):
    """Ten of them: words of a few kinds, token counts, a thread."""

    def quoted(stem, kinds):
        return words(f'"{stem}', draw.integers(0, kinds, count)).astype(object) + '"'

    def number(most):
        return draw.integers(1, most, count).astype(str).astype(object)

    columns = {
        "http.request.method": quoted("GET", 2),
        "http.route": quoted("/api/v1/thing", 12),
        "http.response.status_code": np.array(["200", "404", "500"], object)[
            draw.choice(3, count, p=[0.95, 0.04, 0.01])
        ],
        "server.address": quoted("10.0.0", 20),
        "server.port": np.full(count, "8080", object),
        "url.scheme": np.full(count, '"http"', object),
        "gen_ai.request.model": quoted("model", 5),
        "gen_ai.usage.input_tokens": number(4000),
        "gen_ai.usage.output_tokens": number(1000),
        "thread.id": number(64),
    }
    ends = np.arange(0, count * len(columns) + 1, len(columns), dtype=np.int32)
    keys = pa.array(list(columns) * count, pa.string())
    values = pa.array(np.stack(list(columns.values()), axis=1).reshape(-1), pa.string())
    return pa.MapArray.from_arrays(ends, keys, values)


def message(table):
    """The same spans as one OTLP message, by service."""
    found = ExportTraceServiceRequest()
    scopes = {}
    for row in table.to_pylist():
        if row["service"] not in scopes:
            resource = found.resource_spans.add()
            _add(resource.resource.attributes, "service.name", row["service"])
            scopes[row["service"]] = resource.scope_spans.add()
        _fill(scopes[row["service"]].spans.add(), row)
    return found


def _fill(span, row):
    span.trace_id, span.span_id = bytes.fromhex(row["trace_id"]), bytes.fromhex(row["span_id"])
    span.parent_span_id = bytes.fromhex(row["parent_id"] or "")
    span.name, span.kind = row["name"], 2
    span.start_time_unix_nano = int(row["start"].timestamp() * 1e6) * 1000
    span.end_time_unix_nano = int(row["end"].timestamp() * 1e6) * 1000
    for name, key in (
        ("energy_j", "greenops.energy.self"),
        ("energy_low_j", "greenops.energy.low"),
        ("energy_high_j", "greenops.energy.high"),
        ("carbon_g", "greenops.carbon.self"),
        ("cost_usd", "greenops.cost.self"),
        ("method", "greenops.energy.method"),
        ("unknown", "greenops.energy.unknown"),
        ("workload", "greenops.workload"),
        ("region", "cloud.region"),
        ("grid_zone", "greenops.grid.zone"),
    ):
        if row[name] is not None:
            _add(span.attributes, key, row[name])
    for key, text in row["attributes"]:
        _add(span.attributes, key, int(text) if text.isdigit() else text.strip('"'))


def _add(pairs, key, value):
    pair = pairs.add()
    pair.key = key
    kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
    setattr(pair.value, kind, value)


def _instants(draw, traces, hours):
    """Starts and ends; each span lies in the one before it [us]."""
    begin = np.sort(draw.integers(0, int(hours * 3_600_000_000), traces))
    length = draw.lognormal(11, 1, traces).astype(np.int64) + 10
    starts, lengths = [begin], [length]
    for _ in range(EACH - 1):
        starts.append(starts[-1] + (lengths[-1] * draw.uniform(0, 0.2, traces)).astype(np.int64))
        lengths.append((lengths[-1] * draw.uniform(0.4, 0.8, traces)).astype(np.int64))
    start = np.stack(starts, axis=1).reshape(-1)
    return start, start + np.stack(lengths, axis=1).reshape(-1)


def _intensity():
    """Carbon intensity [g/kWh], shape (slot of five minutes, zone)."""
    day = 300 + 50 * np.sin(np.arange(288) / 20)
    return day[:, None] * np.array([1, 0.2, 0.1, 2])
