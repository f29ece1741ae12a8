from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from greenops.domain.spans import IDLE_TAKEN
from greenops.service.rows import Refusal, account_rows, span_rows

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
SIMULATED = START - timedelta(days=1000)


def pair(key: str, value) -> KeyValue:
    match value:
        case str():
            return KeyValue(key=key, value=AnyValue(string_value=value))
        case bool():
            return KeyValue(key=key, value=AnyValue(bool_value=value))
        case int():
            return KeyValue(key=key, value=AnyValue(int_value=value))
        case float():
            return KeyValue(key=key, value=AnyValue(double_value=value))
        case AnyValue():
            return KeyValue(key=key, value=value)
    raise AssertionError(value)


def request(span: dict, resource: dict) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add()
    spans.resource.attributes.extend(pair(k, v) for k, v in resource.items())
    made = spans.scope_spans.add().spans.add()
    made.trace_id, made.span_id, made.name, made.kind = b"\x01" * 16, b"\x02" * 8, "GET /", 2
    made.start_time_unix_nano = int(START.timestamp()) * 10**9
    made.end_time_unix_nano = made.start_time_unix_nano + 5 * 10**8
    made.attributes.extend(pair(k, v) for k, v in span.items())
    return message


def one(span: dict | None = None, resource: dict | None = None, kind: str | None = None):
    message = request(span or {}, resource or {})
    if kind:
        message.resource_spans[0].scope_spans[0].spans[0].kind = Span.SpanKind.Value(kind)
    return next(iter(span_rows(message, lambda wall: wall - timedelta(days=1000))))


def test_a_span_of_ours_has_its_numbers_in_columns():
    row = one(
        {
            "greenops.energy.self": 1.5,
            "greenops.energy.low": 1.2,
            "greenops.energy.high": 1.8,
            "greenops.carbon.self": 0.001,
            "greenops.cost.self": 2e-6,
            "greenops.time": "2021-10-08T12:00:00Z",
            "http.route": "/",
        },
        {
            "service.name": "search",
            "service.instance.id": "s-1",
            "cloud.region": "eu-north-1",
            "greenops.grid.zone": "SE",
            "greenops.energy.method": "modeled",
            "greenops.workload": "search",
        },
    )

    assert (row.energy_j, row.energy_low_j, row.energy_high_j) == (1.5, 1.2, 1.8)
    assert (row.carbon_g, row.cost_usd, row.method, row.unknown) == (0.001, 2e-6, "modeled", None)
    assert (row.service, row.instance, row.workload) == ("search", "s-1", "search")
    assert (row.region, row.grid_zone, row.kind) == ("eu-north-1", "SE", "SERVER")
    assert row.time == datetime(2021, 10, 8, 12, tzinfo=UTC)
    assert row.attributes == {"http.route": '"/"'}


@pytest.mark.feature("A2")
def test_a_span_of_a_foreign_sdk_is_kept_and_says_that_its_energy_is_unknown():
    row = one({}, {"service.name": "other", "greenops.energy.method": "modeled"})

    assert (row.energy_j, row.method, row.unknown) == (None, None, "not_observed")
    assert row.time == SIMULATED + timedelta(seconds=0.5)
    assert row.parent_id is None


def test_a_reason_that_the_sdk_gave_is_kept():
    assert one({"greenops.energy.unknown": "no_meter"}).unknown == "no_meter"


@pytest.mark.parametrize("time", ["soon", "2021-10-08T12:00:00", ""])
def test_a_time_that_is_none_falls_back_on_the_clock(time):
    assert one({"greenops.time": time}).time == SIMULATED + timedelta(seconds=0.5)


def test_a_number_that_is_none_is_absent():
    row = one({"greenops.energy.self": "much", "greenops.carbon.self": True})

    assert (row.energy_j, row.carbon_g) == (None, None)


def test_attributes_of_every_type_are_kept_as_json():
    listed = AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)]))
    mapped = AnyValue(kvlist_value=KeyValueList(values=[pair("a", 1)]))
    row = one({"l": listed, "m": mapped, "b": AnyValue(bytes_value=b"\xff"), "n": AnyValue()})

    assert row.attributes == {"l": "[1]", "m": '{"a": 1}', "b": '"ff"', "n": "null"}


def test_a_clock_gone_mad_loses_no_span():
    message = request({}, {})
    message.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano = 2**64 - 1

    row = next(iter(span_rows(message, lambda wall: wall)))

    assert row.end.year > 2500


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1.0, 1.7e308])
def test_a_span_whose_energy_cannot_be_says_so_and_keeps_nothing_derived_from_it(value):
    row = one(
        {
            "greenops.energy.self": value,
            "greenops.energy.low": 1.0,
            "greenops.energy.high": 2.0,
            "greenops.energy.method": "measured",
            "greenops.carbon.self": 0.1,
            "greenops.cost.self": 0.2,
        }
    )

    assert (row.energy_j, row.energy_low_j, row.energy_high_j, row.carbon_g) == (None,) * 4
    assert (row.method, row.unknown, row.cost_usd) == (None, "out_of_range", 0.2)


def test_a_span_without_a_range_has_that_of_its_resource():
    resource = {"greenops.energy.uncertainty": 0.2, "greenops.energy.method": "modeled"}

    row = one({"greenops.energy.self": 1.5}, resource)

    assert (row.energy_low_j, row.energy_high_j) == pytest.approx((1.2, 1.8))


def test_a_range_of_its_own_stands_before_that_of_the_resource():
    own = {"greenops.energy.self": 1.5, "greenops.energy.low": 0.5, "greenops.energy.high": 2.5}

    row = one(own, {"greenops.energy.uncertainty": 0.2})

    assert (row.energy_low_j, row.energy_high_j) == (0.5, 2.5)


def test_half_a_range_is_not_made_whole():
    row = one(
        {"greenops.energy.self": 1.5, "greenops.energy.high": 2.5},
        {"greenops.energy.uncertainty": 0.2},
    )

    assert (row.energy_low_j, row.energy_high_j) == (None, 2.5)


def test_energy_that_may_be_twice_as_much_may_be_none():
    row = one({"greenops.energy.self": 1.5}, {"greenops.energy.uncertainty": 1.5})

    assert (row.energy_low_j, row.energy_high_j) == (0.0, 3.75)


@pytest.mark.parametrize(
    ("own", "resource"),
    [
        ({"greenops.energy.self": 1.5}, {}),
        ({"greenops.energy.self": 1.5}, {"greenops.energy.uncertainty": "wide"}),
        ({"greenops.energy.self": 1.5}, {"greenops.energy.uncertainty": True}),
        ({"greenops.energy.self": 1.5}, {"greenops.energy.uncertainty": -0.2}),
        ({"greenops.energy.self": 1.5}, {"greenops.energy.uncertainty": float("nan")}),
        ({"greenops.energy.self": 1.5}, {"greenops.energy.uncertainty": float("inf")}),
        ({"greenops.energy.unknown": "no_meter"}, {"greenops.energy.uncertainty": 0.2}),
        (
            {"greenops.energy.self": 1.5, "greenops.energy.method": "estimated"},
            {"greenops.energy.uncertainty": 0.2, "greenops.energy.method": "measured"},
        ),
    ],
)
def test_a_range_that_nobody_told_is_absent(own, resource):
    row = one(own, resource)

    assert (row.energy_low_j, row.energy_high_j) == (None, None)


def test_another_number_that_cannot_be_is_absent_alone():
    row = one({"greenops.energy.self": 1.5, "greenops.cost.self": -1.0})

    assert (row.energy_j, row.cost_usd, row.unknown) == (1.5, None, None)


def test_a_span_s_own_grid_zone_and_pue_stand_before_the_resource_s():
    own = {"greenops.grid.zone": "SE", "greenops.pue": 1.1}
    row = one(own, {"greenops.grid.zone": "DE", "greenops.pue": 1.3})

    assert (row.grid_zone, row.attributes["greenops.pue"]) == ("SE", "1.1")


@pytest.mark.parametrize(
    ("kind", "region", "zone"),
    [
        pytest.param("SPAN_KIND_SERVER", "eu-north-1", None, id="it ran there"),
        pytest.param("SPAN_KIND_CLIENT", "eu-central-1", "DE", id="it called there"),
        pytest.param("SPAN_KIND_PRODUCER", "eu-central-1", "DE", id="it sent there"),
    ],
)
def test_a_region_on_a_span_is_its_own_unless_it_called_out(kind, region, zone):
    home = {"cloud.region": "eu-central-1", "greenops.grid.zone": "DE"}

    row = one({"cloud.region": "eu-north-1"}, home, kind)

    assert (row.region, row.grid_zone) == (region, zone)


def reading(joules: float | None, *, start: datetime | None = None, at: datetime = START, **given):
    message = ExportMetricsServiceRequest()
    metrics = message.resource_metrics.add()
    metrics.resource.attributes.append(pair("service.name", "search"))
    energy = metrics.scope_metrics.add().metrics.add()
    energy.name = "greenops.energy"
    energy.sum.aggregation_temporality = given.pop("temporality", 2)
    point = energy.sum.data_points.add(time_unix_nano=int(at.timestamp()) * 10**9, **given)
    if joules is not None:
        point.as_double = joules
    if start is not None:
        point.start_time_unix_nano = int(start.timestamp()) * 10**9
    return message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (reading(float("nan")), Refusal.OUT_OF_RANGE),
        (reading(float("inf")), Refusal.OUT_OF_RANGE),
        (reading(-0.5), Refusal.OUT_OF_RANGE),
        (reading(1.7e308), Refusal.OUT_OF_RANGE),
        (reading(None), Refusal.NO_VALUE),
        (reading(1.0, flags=1), Refusal.NO_VALUE),
        (reading(1.0, at=datetime(1970, 1, 1, tzinfo=UTC)), Refusal.NO_TIME),
        (reading(1.0, at=START + timedelta(hours=1)), Refusal.AHEAD),
        (
            reading(1.0, temporality=AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA),
            Refusal.DELTA,
        ),
    ],
    ids=["nan", "inf", "negative", "huge", "empty", "stale", "timeless", "ahead", "delta"],
)
def test_a_data_point_that_cannot_count_is_refused_with_its_reason(message, reason):
    found = account_rows(message, lambda wall: wall, START + timedelta(minutes=10))

    assert (found.rows, dict(found.refused)) == ([], {reason: 1})


def test_an_account_knows_since_when_it_counts():
    begun = START - timedelta(hours=1)

    (row,) = account_rows(reading(2.0, start=begun), lambda wall: wall, START).rows
    (other,) = account_rows(reading(2.0), lambda wall: wall, START).rows

    assert (row.start, other.start) == (begun, None)


def test_containers_of_one_machine_are_of_one_host_whatever_their_names():
    def host(labels: dict, resource: dict) -> str | None:
        message = reading(1.0)
        metrics = message.resource_metrics[0]
        metrics.resource.attributes.extend(pair(*each) for each in resource.items())
        point = metrics.scope_metrics[0].metrics[0].sum.data_points[0]
        point.attributes.extend(pair(*each) for each in labels.items())
        (row,) = account_rows(message, lambda wall: wall, START).rows
        return row.host

    assert host({"host.name": "pod-1", "host.id": "boot"}, {"host.id": "container"}) == "boot"
    assert host({"host.name": "node"}, {"host.id": "container"}) == "node"
    assert host({}, {"host.name": "node"}) == "node"
    assert host({}, {}) is None


def test_idle_energy_that_a_process_took_is_a_reading_of_its_own_category():
    message = reading(2.0)
    message.resource_metrics[0].scope_metrics[0].metrics[0].name = "greenops.energy.idle_taken"

    (row,) = account_rows(message, lambda wall: wall, START).rows

    assert (row.category, row.joules) == (IDLE_TAKEN, 2.0)


def test_only_the_energy_counter_becomes_accounts():
    message = ExportMetricsServiceRequest()
    metrics = message.resource_metrics.add()
    metrics.resource.attributes.append(pair("service.name", "search"))
    scope = metrics.scope_metrics.add()
    scope.metrics.add().name = "http.server.request.duration"
    energy = scope.metrics.add()
    energy.name = "greenops.energy"
    point = energy.sum.data_points.add()
    point.as_double, point.time_unix_nano = 0.1 + 0.2, int(START.timestamp()) * 10**9
    point.attributes.append(pair("greenops.energy.category", "idle"))
    point.attributes.append(pair("greenops.device", "cpu"))

    (account,) = account_rows(message, lambda wall: wall, START).rows

    assert account.joules == 0.1 + 0.2
    assert (account.category, account.device, account.at) == ("idle", "cpu", START)
    assert account.instance == "search"
