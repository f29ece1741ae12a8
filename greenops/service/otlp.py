"""The OTLP receiver: gRPC and HTTP, traces and metrics; garbage is refused, nothing else breaks."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from typing import Final

import grpc
from anyio import CapacityLimiter, to_thread
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_messages
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from greenops.errors import GreenOpsError, Unreachable
from greenops.service.admission import MOST_MESSAGES, RETRY_AFTER_S, Admission, Pool
from greenops.service.intake import Intake
from greenops.service.otlp_bodies import LARGEST, PROTOBUF, M, Refused, decoded, parsed
from greenops.service.rows import Refusal

log = logging.getLogger("greenops.otlp")

WORKERS: Final = 4
"""Messages that are read at once [1], at each door."""
LATER: Final = (429, 503)
"""Answers after which a sender comes again."""
_BUSY: Final = "GO0510 too much waits to be taken; send it again after a while"

WHY: Final[Mapping[Refusal, str]] = {
    Refusal.DELTA: "with delta temporality, send cumulative "
    "(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative)",
    Refusal.NO_VALUE: "without a value",
    Refusal.OUT_OF_RANGE: "negative, not finite or above 1e12 J",
    Refusal.NO_TIME: "without a time",
    Refusal.AHEAD: "ahead of this machine's clock",
}


class _Exports(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A service's `Export`, and an answer of its own threads where too much waits for it."""

    def __init__(self, service: str, export: grpc.RpcMethodHandler, pool: Pool) -> None:
        self._method, self._export, self._pool = f"/{service}/Export", export, pool
        self._later = grpc.unary_unary_rpc_method_handler(_Later())

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if call.method != self._method:
            return None
        return self._later if self._pool.busy >= MOST_MESSAGES else self._export


class _Later:
    """Refuses for now; without `RetryInfo` a sender would drop what it has. Source: OTLP, Failures."""

    def __init__(self) -> None:
        # gRPC asks for this name: what waits for other threads must not make this wait.
        self.experimental_thread_pool = Pool(1, "greenops-later")

    def __call__(self, _body: bytes, context: grpc.ServicerContext) -> Message:
        details = any_pb2.Any()
        details.Pack(error_details_pb2.RetryInfo(retry_delay={"seconds": RETRY_AFTER_S}))
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        status = status_pb2.Status(code=code.value[0], message=_BUSY, details=[details])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        # `abort` raises.
        context.abort(code, _BUSY)
        raise AssertionError


def _exports(
    service: str, empty: Callable[[], M], accept: Callable[[M, bytes], Message], pool: Pool
) -> grpc.GenericRpcHandler:
    """The service's `Export`; it reads the bytes itself, since gRPC logs a trace for what it cannot."""

    def export(body: bytes, context: grpc.ServicerContext) -> Message:
        try:
            return accept(parsed(body, PROTOBUF, empty()), body)
        except Refused as refusal:
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
    return _Exports(service, handler, pool)


def _grpc_handlers(intake: Intake, pool: Pool) -> tuple[grpc.GenericRpcHandler, ...]:
    traces = trace_messages.DESCRIPTOR.services_by_name["TraceService"]
    metrics = metrics_messages.DESCRIPTOR.services_by_name["MetricsService"]
    return (
        _exports(
            traces.full_name,
            trace_messages.ExportTraceServiceRequest,
            lambda message, body: _take_traces(intake, message, body),
            pool,
        ),
        _exports(
            metrics.full_name,
            metrics_messages.ExportMetricsServiceRequest,
            lambda message, _body: _take_metrics(intake, message),
            pool,
        ),
    )


def _take_traces(
    intake: Intake, message: trace_messages.ExportTraceServiceRequest, raw: bytes | None
) -> trace_messages.ExportTraceServiceResponse:
    refused = intake.traces(message, raw)
    answer = trace_messages.ExportTraceServiceResponse()
    if refused:
        answer.partial_success.rejected_spans = refused
        answer.partial_success.error_message = (
            f"GO0509 {refused} spans refused: a trace id of 16 bytes and a span id of 8 bytes are "
            "needed, and not zeros alone"
        )
    return answer


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
    pool = Pool(WORKERS, "greenops-otlp")
    server = grpc.server(
        pool,
        options=[("grpc.max_receive_message_length", LARGEST), ("grpc.so_reuseport", 0)],
    )
    server.add_generic_rpc_handlers(_grpc_handlers(intake, pool))
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
    door = _HttpDoor()

    async def traces(request: Request) -> Response:
        return await door.accept(
            request,
            trace_messages.ExportTraceServiceRequest,
            lambda message, raw: _take_traces(intake, message, raw),
        )

    async def metrics(request: Request) -> Response:
        return await door.accept(
            request,
            metrics_messages.ExportMetricsServiceRequest,
            lambda message, _raw: _take_metrics(intake, message),
        )

    return Starlette(
        routes=[
            Route("/v1/traces", traces, methods=["POST"]),
            Route("/v1/metrics", metrics, methods=["POST"]),
        ]
    )


class _HttpDoor:
    """Takes bodies in while there is room, and reads a few at a time."""

    def __init__(self) -> None:
        self._admission = Admission()
        self._threads = CapacityLimiter(WORKERS)

    async def accept(
        self, request: Request, empty: Callable[[], M], take: Callable[[M, bytes | None], Message]
    ) -> Response:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if not self._admission.enter():
            return _response(_status(_BUSY), kind, 429)
        body = bytearray()
        try:
            await self._read(request, body)

            def work() -> Message:
                raw = decoded(bytes(body), encoding)
                return take(parsed(raw, kind, empty()), raw if kind == PROTOBUF else None)

            answer = await to_thread.run_sync(work, limiter=self._threads)
        except Refused as refusal:
            return _response(_status(refusal.why), kind, refusal.status)
        except GreenOpsError as error:
            # 503 is what exporters retry.
            return _response(_status(str(error)), kind, 503)
        finally:
            self._admission.leave(len(body))
        return _response(answer, kind, 200)

    async def _read(self, request: Request, body: bytearray) -> None:
        async for chunk in request.stream():
            if len(body) + len(chunk) > LARGEST:
                raise Refused(413, f"GO0502 larger than {LARGEST} bytes; send smaller batches")
            if not self._admission.grow(len(chunk)):
                raise Refused(429, _BUSY)
            body += chunk


def _status(why: str) -> Message:
    return status_pb2.Status(message=why)


def _response(message: Message, kind: str, status: int) -> Response:
    again = {"retry-after": str(RETRY_AFTER_S)} if status in LATER else None
    if kind == "application/json":
        return Response(json_format.MessageToJson(message), status, again, kind)
    return Response(message.SerializeToString(), status, again, PROTOBUF)
