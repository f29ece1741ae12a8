"""A real Collector between a sender and a sink of ours, all on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from greenops.adapters.otelcol import find
from greenops.demo.processes import free_ports
from greenops.testing.collected_spans import CollectedSpan

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
START_S = 30.0


def value_of(value: object) -> AnyValue:
    if isinstance(value, list):
        found = AnyValue()
        found.array_value.values.extend(value_of(each) for each in value)
        return found
    names = {bool: "bool_value", str: "string_value", int: "int_value", float: "double_value"}
    return AnyValue(**{names.get(type(value), "bytes_value"): value})


def plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def pairs(said: Any) -> list[KeyValue]:
    return [KeyValue(key=key, value=value_of(value)) for key, value in said.items()]


def request_of(spans: Sequence[CollectedSpan], first: int = 0) -> ExportTraceServiceRequest:
    """A message; the span's number is its id."""
    message = ExportTraceServiceRequest()
    for number, span in enumerate(spans, first + 1):
        about = message.resource_spans.add()
        about.resource.attributes.extend(pairs(span.resource))
        made = about.scope_spans.add().spans.add()
        made.trace_id = number.to_bytes(16, "big")
        made.span_id = number.to_bytes(8, "big")
        made.parent_span_id = b"\x01" * 8 if span.parent else b""
        made.name, made.kind = span.name, span.kind
        made.start_time_unix_nano, made.end_time_unix_nano = span.start_ns, span.end_ns
        made.attributes.extend(pairs(span.attributes))
    return message


class Sink:
    """An OTLP receiver that keeps what it gets: span number → attributes, and points by metric."""

    def __init__(self) -> None:
        self.spans: dict[int, dict[str, object]] = {}
        self.resources: dict[int, dict[str, object]] = {}
        self.received = 0
        self.points: dict[str, list[Any]] = {}
        self.units: dict[str, str] = {}
        self.sums: set[str] = set()
        self._lock = threading.Lock()
        self._server = grpc.server(
            ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", 1 << 27)]
        )
        self._server.add_generic_rpc_handlers(
            (_Handler({TRACES: self._traces, METRICS: self._metrics}),)
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def _traces(self, body: bytes, context: object) -> bytes:
        message = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for about in message.resource_spans:
                resource = {each.key: plain(each.value) for each in about.resource.attributes}
                for scope in about.scope_spans:
                    for span in scope.spans:
                        number = int.from_bytes(span.span_id, "big")
                        self.received += 1
                        self.spans[number] = {e.key: plain(e.value) for e in span.attributes}
                        self.resources[number] = resource
        return b""  # an empty answer takes all

    def _metrics(self, body: bytes, context: object) -> bytes:
        message = ExportMetricsServiceRequest.FromString(body)
        with self._lock:
            for about in message.resource_metrics:
                for scope in about.scope_metrics:
                    for metric in scope.metrics:
                        self.units[metric.name] = metric.unit
                        if metric.sum.is_monotonic:
                            self.sums.add(metric.name)
                        points = self.points.setdefault(metric.name, [])
                        points.extend(metric.sum.data_points or metric.gauge.data_points)
        return b""

    def newest(self, name: str) -> object:
        """An attribute of the span with the highest number that arrived."""
        with self._lock:
            return self.spans[max(self.spans)].get(name) if self.spans else None

    def wait_for(self, spans: int, within_s: float = 30.0) -> None:
        end = time.monotonic() + within_s
        while len(self.spans) < spans:
            assert time.monotonic() < end, f"{len(self.spans)} of {spans} spans arrived"
            time.sleep(0.02)

    def close(self) -> None:
        self._server.stop(0).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, calls: dict[str, Callable[[bytes, object], bytes]]) -> None:
        self._calls = calls

    def service(self, details: Any) -> Any:
        call = self._calls.get(details.method)
        return None if call is None else grpc.unary_unary_rpc_method_handler(call)


class Running:
    """A collector process that listens on a port of OTLP gRPC."""

    def __init__(
        self, command: list[str], port: int, log: Path, env: dict[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, **(env or {})}
            )
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{port}",
            options=[
                ("grpc.initial_reconnect_backoff_ms", 50),
                ("grpc.max_reconnect_backoff_ms", 200),
            ],
        )
        self._export = self.channel.unary_unary(TRACES)
        try:
            grpc.channel_ready_future(self.channel).result(START_S)
        except grpc.FutureTimeoutError:
            self.end()
            pytest.fail(f"it did not start: {log.read_text(errors='replace')[-2000:]}")

    def send(self, message: ExportTraceServiceRequest, within_s: float = 20.0) -> None:
        """Until it is taken, as an exporter with retries does."""
        body, end = message.SerializeToString(), time.monotonic() + within_s
        while True:
            try:
                self._export(body, timeout=10)
            except grpc.RpcError:
                assert time.monotonic() < end, "no answer"
                time.sleep(0.02)
            else:
                return

    def reload(self) -> None:
        """Tell it to read its configuration again."""
        self.process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        self.channel.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def otelcol() -> Path:
    found = find()
    if found is None:
        pytest.skip("no OpenTelemetry Collector; `make peers` builds one where Go is")
    return found


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def trace_store() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def make_request() -> Callable[..., ExportTraceServiceRequest]:
    return request_of


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    """Starts a collector; all that were started end with the test."""
    started: list[Running] = []

    def start(
        command: list[str], port: int, log: Path, env: dict[str, str] | None = None
    ) -> Running:
        started.append(Running(command, port, log, env))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def exporter() -> Iterator[Callable[[str], str]]:
    """Serves a text as a Prometheus exporter does; gives its `host:port`."""
    servers: list[ThreadingHTTPServer] = []

    def serve(text: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"127.0.0.1:{servers[-1].server_port}"

    yield serve
    for each in servers:
        each.shutdown()
        each.server_close()


@pytest.fixture
def ports() -> Callable[[int], list[int]]:
    return free_ports
