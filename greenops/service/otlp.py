"""The OTLP receiver: gRPC and HTTP, traces and metrics; garbage is refused, nothing else breaks."""

from __future__ import annotations

import base64
import json
import logging
import socket
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_messages
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from greenops.errors import GreenOpsError, Unreachable
from greenops.service.intake import Intake
from greenops.service.rows import Refusal

log = logging.getLogger("greenops.otlp")

LARGEST: Final = 16 * 2**20
"""Largest message that is taken [bytes], after decompression."""
WORKERS: Final = 4
PROTOBUF: Final = "application/x-protobuf"
IDS: Final = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
"""Hex digits of an id. Source: OTLP specification, JSON Protobuf encoding."""

WHY: Final[Mapping[Refusal, str]] = {
    Refusal.DELTA: "with delta temporality, send cumulative "
    "(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative)",
    Refusal.NO_VALUE: "without a value",
    Refusal.OUT_OF_RANGE: "negative, not finite or above 1e12 J",
    Refusal.NO_TIME: "without a time",
    Refusal.AHEAD: "ahead of this machine's clock",
}

M = TypeVar("M", bound=Message)


def _exports(
    service: str, empty: Callable[[], M], accept: Callable[[M], Message]
) -> grpc.GenericRpcHandler:
    """The service's `Export`; it reads the bytes itself, since gRPC logs a trace for what it cannot."""

    def export(body: bytes, context: grpc.ServicerContext) -> Message:
        try:
            return accept(_parse(body, PROTOBUF, empty()))
        except _Refused as refusal:
            # `abort` raises.
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, refusal.why)
            raise
        except GreenOpsError as error:
            # UNAVAILABLE is what exporters retry.
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise

    handler = grpc.unary_unary_rpc_method_handler(
        export, response_serializer=lambda answer: answer.SerializeToString()
    )
    return grpc.method_handlers_generic_handler(service, {"Export": handler})


def _grpc_handlers(intake: Intake) -> tuple[grpc.GenericRpcHandler, ...]:
    traces = trace_messages.DESCRIPTOR.services_by_name["TraceService"]
    metrics = metrics_messages.DESCRIPTOR.services_by_name["MetricsService"]
    return (
        _exports(
            traces.full_name,
            trace_messages.ExportTraceServiceRequest,
            lambda message: _take_traces(intake, message),
        ),
        _exports(
            metrics.full_name,
            metrics_messages.ExportMetricsServiceRequest,
            lambda message: _take_metrics(intake, message),
        ),
    )


def _take_traces(
    intake: Intake, message: trace_messages.ExportTraceServiceRequest
) -> trace_messages.ExportTraceServiceResponse:
    intake.traces(message)
    return trace_messages.ExportTraceServiceResponse()


def _take_metrics(
    intake: Intake, message: metrics_messages.ExportMetricsServiceRequest
) -> metrics_messages.ExportMetricsServiceResponse:
    refused = intake.metrics(message)
    answer = metrics_messages.ExportMetricsServiceResponse()
    if refused:
        answer.partial_success.rejected_data_points = refused.total()
        why = "; ".join(f"{count} {WHY[reason]}" for reason, count in refused.items())
        answer.partial_success.error_message = f"GO0506 points of `greenops.energy` refused: {why}"
    return answer


def start_grpc(intake: Intake, host: str, port: int) -> tuple[grpc.Server, int]:
    """Listen for OTLP over gRPC.

    Returns:
        The server and its port.

    Raises:
        Unreachable: The port is taken.
    """
    server = grpc.server(
        ThreadPoolExecutor(WORKERS, thread_name_prefix="greenops-otlp"),
        options=[("grpc.max_receive_message_length", LARGEST), ("grpc.so_reuseport", 0)],
    )
    server.add_generic_rpc_handlers(_grpc_handlers(intake))
    try:
        # gRPC writes a line of its own about a taken port, so it is not asked for one.
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
        bound = server.add_insecure_port(f"{host}:{port}")
    except (OSError, RuntimeError) as error:
        raise taken(host, port, "otlp_grpc_port") from error
    server.start()
    return server, bound


def taken(host: str, port: int, setting: str) -> Unreachable:
    """The error of a port that something else listens on."""
    return Unreachable(
        "GO0501",
        f"port {port} on {host} is taken",
        fix=f"end what listens there, or set GREENOPS_{setting.upper()} to another port",
    )


def http_app(intake: Intake) -> Starlette:
    """OTLP over HTTP: protobuf or JSON, plain or gzip."""

    async def traces(request: Request) -> Response:
        return await _accept(
            request,
            trace_messages.ExportTraceServiceRequest(),
            lambda message: _take_traces(intake, message),
        )

    async def metrics(request: Request) -> Response:
        return await _accept(
            request,
            metrics_messages.ExportMetricsServiceRequest(),
            lambda message: _take_metrics(intake, message),
        )

    return Starlette(
        routes=[
            Route("/v1/traces", traces, methods=["POST"]),
            Route("/v1/metrics", metrics, methods=["POST"]),
        ]
    )


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        self.status, self.why = status, why
        super().__init__(why)


async def _accept(request: Request, empty: M, accept: Callable[[M], Message]) -> Response:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    try:
        message = _parse(await _body(request), kind, empty)
        answer = await run_in_threadpool(accept, message)
    except _Refused as refusal:
        return _response(_status(refusal.why), kind, refusal.status)
    except GreenOpsError as error:
        # 503 is what exporters retry.
        return _response(_status(str(error)), kind, 503)
    return _response(answer, kind, 200)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise _Refused(413, f"GO0502 larger than {LARGEST} bytes; send smaller batches")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding == "gzip":
        return await run_in_threadpool(_inflate, bytes(body))
    if encoding in ("", "identity"):
        return bytes(body)
    raise _Refused(415, f"GO0504 content encoding `{encoding[:40]}`; send plain or gzip")


def _inflate(body: bytes) -> bytes:
    found = b""
    # A gzip file is one member after another, and each is part of the message.
    while body:
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            found += inflater.decompress(body, LARGEST + 1 - len(found))
        except zlib.error as error:
            raise _Refused(400, f"GO0503 not gzip: {error}") from error
        if len(found) > LARGEST:
            raise _Refused(
                413, f"GO0502 inflates to more than {LARGEST} bytes; send smaller batches"
            )
        if not inflater.eof:
            raise _Refused(400, "GO0503 not gzip: it ends too early")
        body = inflater.unused_data
    return found


def _parse(body: bytes, kind: str, empty: M) -> M:
    try:
        if kind == "application/json":
            return _of_json(json.loads(body, object_hook=_ids), empty)
        if kind == PROTOBUF:
            empty.ParseFromString(body)
            return empty
    except RecursionError as error:
        raise _Refused(400, "GO0503 not an OTLP message: nested too deep") from error
    except (DecodeError, json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise _Refused(400, f"GO0503 not an OTLP message: {first}") from error
    raise _Refused(415, f"GO0504 content type `{kind[:40]}`; send application/x-protobuf or JSON")


def _of_json(known: object, empty: M) -> M:
    if not isinstance(known, dict):
        raise TypeError('an object is needed, such as `{"resourceSpans": []}`')
    json_format.ParseDict(known, empty, ignore_unknown_fields=True)
    return empty


def _ids(value: dict[str, Any]) -> dict[str, Any]:
    # OTLP/JSON writes ids as hex where protobuf's own JSON has base64.
    for name, digits in IDS.items():
        found = value.get(name)
        if isinstance(found, str) and len(found) == digits:
            value[name] = base64.b64encode(bytes.fromhex(found)).decode()
    return value


def _status(why: str) -> Message:
    from google.rpc.status_pb2 import Status

    return Status(message=why)


def _response(message: Message, kind: str, status: int) -> Response:
    if kind == "application/json":
        return Response(json_format.MessageToJson(message), status, media_type=kind)
    return Response(message.SerializeToString(), status, media_type=PROTOBUF)
