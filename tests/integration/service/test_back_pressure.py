"""Who comes when too much waits is asked to come again, and nothing that was acknowledged is lost by it."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from starlette.testclient import TestClient

from greenops.service import admission, otlp
from greenops.service.admission import Admission, Pool
from greenops.service.otlp import http_app, start_grpc

KIND = {"content-type": "application/x-protobuf"}


def message(number: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big")
    )
    return request


class Slow:
    """An intake whose disk takes its time."""

    def __init__(self) -> None:
        self.go, self.taken = threading.Event(), 0
        self._lock = threading.Lock()

    def traces(self, _message, _raw=None) -> int:
        assert self.go.wait(30)
        with self._lock:
            self.taken += 1
        return 0


@pytest.mark.network
def test_grpc_asks_senders_to_come_again_and_then_takes_them(monkeypatch):
    monkeypatch.setattr(otlp, "MOST_MESSAGES", 6)
    intake = Slow()
    server, port = start_grpc(intake, "127.0.0.1", 0)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            export = TraceServiceStub(channel).Export
            sent = [export.future(message(n), timeout=30) for n in range(1, 21)]
            ended: queue.SimpleQueue[grpc.Future] = queue.SimpleQueue()
            for each in sent:
                each.add_done_callback(ended.put)
            # While nobody is let go on, those alone end that are refused.
            refused = [ended.get(timeout=30) for _ in range(10)]
            intake.go.set()
            refused += [
                each for each in sent if each not in refused and each.exception() is not None
            ]
            taken = [each for each in sent if each not in refused]
            again = export(message(99), timeout=30)
    finally:
        server.stop(0).wait()

    assert len(refused) + len(taken) == 20
    assert len(refused) >= 10
    assert again is not None
    assert intake.taken == len(taken) + 1
    for each in refused:
        assert each.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert each.details().startswith("GO0510 ")
        known = dict(each.trailing_metadata())
        (detail,) = status_pb2.Status.FromString(known["grpc-status-details-bin"]).details
        retry = error_details_pb2.RetryInfo()
        assert detail.Unpack(retry)
        assert retry.retry_delay.seconds == admission.RETRY_AFTER_S


def test_http_asks_senders_to_come_again_and_then_takes_them(monkeypatch):
    monkeypatch.setattr(otlp, "Admission", lambda: Admission(messages=3))
    intake = Slow()
    with TestClient(http_app(intake)) as client, ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(
                client.post, "/v1/traces", content=message(n).SerializeToString(), headers=KIND
            )
            for n in range(1, 9)
        ]
        # Five of the eight are answered before anybody is let go on.
        ready = wait(sent, 30, FIRST_COMPLETED).done
        while len(ready) < 5:
            ready |= wait(set(sent) - ready, 30, FIRST_COMPLETED).done
        intake.go.set()
        answers = [each.result(30) for each in sent]
        again = client.post("/v1/traces", content=message(99).SerializeToString(), headers=KIND)

    assert {each.status_code for each in answers} == {200, 429}
    late = [each for each in answers if each.status_code == 429]
    assert len(late) == 5
    assert all(each.headers["retry-after"] == "1" for each in late)
    assert all(b"GO0510" in each.content for each in late)
    assert (again.status_code, intake.taken) == (200, 4)


def test_bodies_have_room_together(monkeypatch):
    monkeypatch.setattr(otlp, "Admission", lambda: Admission(most_bytes=1000))
    intake = Slow()
    intake.go.set()
    with TestClient(http_app(intake)) as client:
        large = client.post("/v1/traces", content=b"\0" * 2000, headers=KIND)
        small = client.post("/v1/traces", content=message(1).SerializeToString(), headers=KIND)

    assert (large.status_code, large.headers["retry-after"]) == (429, "1")
    assert small.status_code == 200


def test_room_is_given_back():
    own = Admission(messages=2, most_bytes=10)

    assert own.enter()
    assert own.grow(7)
    assert own.enter()
    assert not own.enter()
    assert not own.grow(4)
    own.leave(7)
    assert own.grow(10)
    own.leave(10)
    assert (own.messages, own.bytes) == (0, 0)


def test_a_pool_tells_what_waits():
    go, pool = threading.Event(), Pool(1, "test")

    work = [pool.submit(go.wait, 30) for _ in range(3)]

    assert pool.busy == 3
    work[2].cancel()
    assert pool.busy == 2
    go.set()
    pool.shutdown()
    assert pool.busy == 0
    with pytest.raises(RuntimeError):
        pool.submit(go.wait)
    assert pool.busy == 0
