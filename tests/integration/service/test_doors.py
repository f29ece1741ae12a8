"""The doors with the real SDK's exporters on the other side."""

from __future__ import annotations

import gzip
import json
import socket
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import grpc
import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.config import Settings
from greenops.domain.action import Outcome, Receipt
from greenops.domain.override import Override
from greenops.errors import AdapterUnavailable, Unreachable
from greenops.pipeline.footprint import Footprint
from greenops.service import doors
from greenops.service.doors import Doors
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry
from greenops.testing.control import FakeControlPlane

pytestmark = [pytest.mark.network, pytest.mark.slow]


JSON = {"content-type": "application/json"}


class House:
    """Everything behind the doors, on free ports."""

    def __init__(self, state):
        self.settings = Settings(
            state=state, api_port=0, otlp_grpc_port=0, otlp_http_port=0, flush_s=60
        )
        self.footprint = Footprint()
        self.lake = ParquetLake(state / "lake")
        self.intake = Intake(self.lake, Wal(state / "lake" / "wal"), self.footprint, SystemClock())
        self.telemetry = Telemetry(
            self.footprint.energy_by_workload,
            self.footprint.residual,
            lambda: None,
            self.footprint.more_counters,
        )
        self.intake.listeners.append(self.telemetry)
        self.control = FakeControlPlane()
        self.doors = Doors(self.settings, self.intake, self.control, self.telemetry)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.doors.ports.api}{path}"

    def otlp(self, path: str) -> str:
        return f"http://127.0.0.1:{self.doors.ports.otlp_http}{path}"


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    made.doors.open()
    yield made
    made.doors.close()


def send_spans(exporter, count: int) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "svc"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    for number in range(count):
        with tracer.start_as_current_span(f"op {number}") as span:
            span.set_attribute("greenops.energy.self", 0.5)
            span.set_attribute("greenops.carbon.self", 0.25)
    provider.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_spans_of_the_real_sdk_reach_the_lake(house, protocol):
    exporter = (
        GrpcExporter(f"http://127.0.0.1:{house.doors.ports.otlp_grpc}", insecure=True)
        if protocol == "grpc"
        else HttpExporter(house.otlp("/v1/traces"))
    )

    send_spans(exporter, 5)
    house.intake.flush()

    rows = list(house.lake.spans())
    assert sorted(row.name for row in rows) == [f"op {number}" for number in range(5)]
    assert {row.energy_j for row in rows} == {0.5}


@pytest.mark.feature("J1", "K8")
def test_the_metrics_page_sums_to_what_the_lake_holds(house):
    send_spans(HttpExporter(house.otlp("/v1/traces")), 4)
    house.intake.flush()

    page = requests.get(house.url("/metrics"), timeout=5).text

    sums: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            sums[sample.name] += sample.value
    rows = list(house.lake.spans())
    assert sums["greenops_carbon_location_grams_total"] == sum(row.carbon_g for row in rows) == 1.0
    assert sums["greenops_operation_energy_joules_sum"] == sum(row.energy_j for row in rows) == 2.0


@pytest.mark.feature("J1")
def test_a_scraper_that_asks_for_openmetrics_gets_a_link_to_a_span(house):
    send_spans(HttpExporter(house.otlp("/v1/traces")), 2)
    house.intake.flush()
    asked = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}

    answer = requests.get(house.url("/metrics"), headers=asked, timeout=5)

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["vary"] == "Accept"
    links = {
        sample.exemplar.labels["trace_id"]
        for family in open_metrics(answer.text)
        for sample in family.samples
        if sample.exemplar
    }
    assert links
    assert links <= {row.trace_id for row in house.lake.spans()}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/x-protobuf"}, b"\xff\xfe garbage", 400),
        ({"content-type": "application/json"}, b"{", 400),
        ({"content-type": "application/json"}, b"", 400),
        ({"content-type": "application/json"}, b"3", 400),
        ({"content-type": "application/json"}, b"null", 400),
        ({"content-type": "application/json"}, b"[]", 400),
        ({"content-type": "application/json"}, b'"x"', 400),
        ({"content-type": "application/json"}, b"[" * 100_000, 400),
        ({"content-type": "application/json"}, b'{"resourceSpans": {"a": 1}}', 400),
        ({"content-type": "text/plain"}, b"hello", 415),
        (
            {"content-type": "application/x-protobuf", "content-encoding": "gzip"},
            b"no gzip",
            400,
        ),
        ({"content-type": "application/x-protobuf", "content-encoding": "br"}, b"", 415),
        (
            {"content-type": "application/x-protobuf", "content-encoding": "gzip"},
            gzip.compress(b"\0" * (17 * 2**20)),
            413,
        ),
        ({"content-type": "application/x-protobuf"}, b"\0" * (17 * 2**20), 413),
    ],
    ids=[
        *("protobuf", "json", "empty", "number", "null", "list", "text", "deep", "shape"),
        *("type", "gzip", "encoding", "bomb", "large"),
    ],
)
def test_garbage_over_http_is_refused_and_the_next_message_is_taken(house, headers, body, status):
    refused = requests.post(house.otlp("/v1/traces"), data=body, headers=headers, timeout=20)
    send_spans(HttpExporter(house.otlp("/v1/traces")), 1)

    assert refused.status_code == status
    assert b"GO050" in refused.content
    assert house.footprint.spans == 1


def test_json_over_http_is_taken(house):
    span = {"traceId": "0a" * 16, "spanId": "0B" * 8, "name": "j"}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}

    answer = requests.post(
        house.otlp("/v1/traces"),
        data=json.dumps(body),
        headers={"content-type": "application/json"},
        timeout=5,
    )

    assert (answer.status_code, house.footprint.spans) == (200, 1)


def test_garbage_on_the_grpc_port_is_refused_and_the_next_message_is_taken(house):
    port = house.doors.ports.otlp_grpc
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 64)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        with pytest.raises(grpc.RpcError) as refusal:
            call(b"\xff\xff\xff garbage", timeout=5)

    send_spans(GrpcExporter(f"http://127.0.0.1:{port}", insecure=True), 1)

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert house.footprint.spans == 1


@pytest.mark.parametrize("service", ["trace.v1.TraceService", "metrics.v1.MetricsService"])
def test_garbage_over_grpc_is_told_to_its_sender_and_to_no_log(house, service, caplog):
    with grpc.insecure_channel(f"127.0.0.1:{house.doors.ports.otlp_grpc}") as channel:
        export = channel.unary_unary(f"/opentelemetry.proto.collector.{service}/Export")
        with pytest.raises(grpc.RpcError) as refusal:
            export(b"\xff\xff\xff garbage", timeout=5)

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.value.details().startswith("GO0503 not an OTLP message: ")
    assert caplog.records == []


def test_a_message_that_cannot_be_written_down_is_not_acknowledged(house):
    folder = house.settings.state / "lake" / "wal"
    house.intake._wal.rotate()
    folder.rmdir() if not any(folder.iterdir()) else [f.unlink() for f in folder.iterdir()]
    if folder.exists():
        folder.rmdir()
    folder.write_text("not a folder")
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(trace_id=b"1" * 16, span_id=b"2" * 8)

    answer = requests.post(
        house.otlp("/v1/traces"),
        data=message.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=5,
    )

    assert answer.status_code == 503
    assert b"GO0410" in answer.content


def test_every_port_takes_connections_before_the_first_one_answers(tmp_path, monkeypatch):
    made, serve, seen = House(tmp_path), doors._serve, []

    def slowly(app, listening):
        seen.append(listening.getsockname()[1])
        with socket.create_connection(listening.getsockname(), timeout=5):
            return serve(app, listening)

    monkeypatch.setattr(doors, "_serve", slowly)

    made.doors.open()

    made.doors.close()
    assert seen == [made.doors.ports.otlp_http, made.doors.ports.api]


@pytest.mark.parametrize("setting", ["api_port", "otlp_http_port", "otlp_grpc_port"])
def test_a_taken_port_is_one_line_that_names_it_and_nothing_stays_open(tmp_path, setting):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        made = House(tmp_path)
        settings = replace(made.settings, **{setting: port})
        closed = Doors(settings, made.intake, made.control, made.telemetry)

        with pytest.raises(Unreachable, match=f"port {port} .* is taken; .*{setting.upper()}"):
            closed.open()

    made.telemetry.close()


def test_the_api_answers_and_its_errors_are_one_line(house):
    receipt = Receipt(
        "a", "d", "t", "start_job", Outcome.APPLIED, "x", at=datetime(2021, 10, 8, tzinfo=UTC)
    )

    healthy = requests.get(house.url("/healthz"), timeout=5)
    missing = requests.get(house.url("/v1/decisions/none"), timeout=5)
    wrong = requests.post(house.url("/v1/send"), json={"answer": 1}, timeout=5)
    taken = requests.post(
        house.url("/v1/receipts"),
        json={
            "action_id": "a",
            "decision_id": "d",
            "target": "t",
            "kind": "start_job",
            "outcome": "applied",
            "detail": "x",
            "at": "2021-10-08T00:00:00Z",
        },
        timeout=5,
    )

    assert healthy.json() == {"status": "ok"}
    assert (missing.status_code, missing.json()["error"][:6]) == (404, "GO0630")
    assert (wrong.status_code, wrong.json()["error"]) == (
        400,
        "GO0505 not a SendOrder: `SendOrder` has no field `answer`",
    )
    assert taken.status_code == 204
    assert house.control.accepted == [receipt]


def test_a_target_that_does_not_answer_is_a_503(house):
    house.control.error = AdapterUnavailable("GO0633", "`x` does not answer")

    assert requests.get(house.url("/v1/decisions"), timeout=5).status_code == 503


def test_a_foreign_host_name_is_refused(house):
    answer = requests.get(house.url("/v1/decisions"), headers={"Host": "evil.example"}, timeout=5)

    assert answer.status_code == 400


def test_a_body_without_end_is_refused(house):
    answer = requests.post(house.url("/v1/send"), data=b"x" * 300_000, headers=JSON, timeout=5)

    assert answer.status_code == 400
    assert "larger than" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"3", b"null", b"[]", b'"x"', b"[" * 100_000),
        b'{"workload": "w", "max_delay_h": NaN, "max_cost_increase": 0, "move_regions": true}',
        b'{"workload": "w", "max_delay_h": [], "max_cost_increase": 0, "move_regions": true}',
        b'{"workload": {}, "max_delay_h": 1, "max_cost_increase": 0, "move_regions": true}',
    ],
    ids=["empty", "number", "null", "list", "text", "deep", "nan", "shape", "object"],
)
def test_a_body_that_is_no_record_is_refused_with_one_line(house, body):
    answer = requests.post(house.url("/v1/what-if"), data=body, headers=JSON, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("GO0505 not a WhatIfQuestion: ")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_what_any_web_page_may_send_unasked_is_refused(house, kind):
    headers = {} if kind is None else {"content-type": kind}

    answer = requests.post(
        house.url("/v1/send"), data=b'{"answer_id": "a", "actor": "x"}', headers=headers, timeout=5
    )

    assert (answer.status_code, answer.json()["error"][:6]) == (415, "GO0507")


@pytest.mark.parametrize("path", ["/v1/decisions", "/metrics", "/healthz"])
def test_a_head_request_is_answered_without_a_body(house, path):
    answer = requests.head(house.url(path), timeout=5)

    assert (answer.status_code, answer.content) == (200, b"")


def test_what_is_not_there_says_so_on_every_port(house):
    for url in (house.url("/v1/nothing"), house.otlp("/"), house.otlp("/v1/logs")):
        assert requests.post(url, data=b"", headers=JSON, timeout=5).status_code == 404
    assert requests.get(house.otlp("/v1/traces"), timeout=5).status_code == 405
    assert requests.delete(house.url("/v1/overview"), timeout=5).status_code == 405


def test_a_message_of_five_megabytes_is_taken_and_so_is_an_empty_one(house):
    large, kind = ExportTraceServiceRequest(), {"content-type": "application/x-protobuf"}
    span = (
        large.resource_spans.add().scope_spans.add().spans.add(trace_id=b"1" * 16, span_id=b"2" * 8)
    )
    span.attributes.add(key="text").value.string_value = "x" * (5 * 2**20)

    for body in (large.SerializeToString(), b""):
        answer = requests.post(house.otlp("/v1/traces"), data=body, headers=kind, timeout=20)
        assert answer.status_code == 200

    assert house.footprint.spans == 1


@pytest.mark.feature("C4")
def test_an_override_goes_through_the_doors_and_a_foreign_page_gets_none_through(house):
    order = {"workload": "night", "who": "jo", "why": "the customer waits"}
    at = datetime(2021, 10, 8, tzinfo=UTC)
    house.control.given.append(Override("o-0123456789ab", "night", "jo", "waits", at, at))
    path = house.url("/v1/overrides")

    made = requests.post(path, json=order, timeout=5)
    listed = requests.get(path, timeout=5).json()
    lifted = requests.delete(f"{path}/o-0123456789ab?who=kim", timeout=5).json()
    gone = requests.delete(f"{path}/o-000000000000?who=kim", timeout=5)
    as_text = requests.post(path, data=json.dumps(order), timeout=5)
    foreign = requests.post(path, json=order, headers={"host": "evil.example"}, timeout=5)
    unknown = requests.post(path, json={**order, "force": True}, timeout=5)
    too_large = requests.post(path, json={**order, "why": "x" * 300_000}, timeout=5)

    assert made.json()["id"] == listed[0]["id"] == "o-0123456789ab"
    assert (lifted["state"], lifted["ended_by"]) == ("lifted", "kim")
    assert (gone.status_code, gone.json()["error"][:6]) == (404, "GO0665")
    assert [each.status_code for each in (as_text, foreign, unknown, too_large)] == [
        415,
        400,
        400,
        400,
    ]
    assert len(house.control.ordered) == 1
    assert requests.get(house.url("/v1/held"), timeout=5).json() == []


def test_spans_without_ids_are_refused_in_part_and_the_others_taken(house):
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=b"1" * 16, span_id=b"2" * 8)
    spans.add(trace_id=b"1" * 16, span_id=bytes(8))
    spans.add(trace_id=b"1", span_id=b"3" * 8)

    answer = requests.post(
        house.otlp("/v1/traces"),
        data=message.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=20,
    )

    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_spans, house.footprint.spans) == (200, 2, 1)
    assert said.error_message.startswith("GO0509 2 spans refused: ")
