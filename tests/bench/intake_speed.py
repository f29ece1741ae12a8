"""What parsing a span's message and summing it cost in `greenops serve`: rows per second through both; run it.

Receiving (HTTP or gRPC), the lake's files and the ledger are not in it.
"""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.domain.spans import SpanRow
from greenops.pipeline.footprint import Footprint
from greenops.service.rows import span_rows

ROWS = 40_000
BATCH = 512
"""Spans in a message: what the SDK's batch processor sends."""
ROUNDS = 5
"""The best of so many counts; the others had company on the machine."""
ON_RESOURCE = {
    "service.name": "search",
    "greenops.workload": "search",
    "cloud.region": "eu-north-1",
    "greenops.energy.method": "measured",
}
ORDINARY = {"http.request.method": "GET", "url.path": "/search"}


def main() -> None:
    messages = [_message(random.Random(n)) for n in range(ROWS // BATCH)]
    rows = [_parsed(each) for each in messages]
    bare = [_parsed(each, bare=True) for each in messages]
    parse = _told("parse", lambda: [_parsed(each) for each in messages])
    sums = _told("sums, ordinary spans", lambda: _summed(rows))
    _told("sums, with our attributes alone", lambda: _summed(bare))
    print(f"{'parse and sums':<32} {1e6 / (parse + sums):8.0f} rows per second")


def _message(rng: random.Random) -> bytes:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    for key, value in ON_RESOURCE.items():
        resource.resource.attributes.add(key=key).value.string_value = value
    scope, now = resource.scope_spans.add(), time.time_ns()
    trace, root = rng.randbytes(16), rng.randbytes(8)
    for number in range(BATCH):
        # A request with four spans below it, which end before it does.
        own = root if number % 5 == 4 else rng.randbytes(8)
        span = scope.spans.add(name="GET /search", trace_id=trace, span_id=own)
        span.kind = 2 if own == root else 1
        span.parent_span_id = b"" if own == root else root
        span.start_time_unix_nano, span.end_time_unix_nano = now, now + 10**6
        joules = rng.uniform(0.01, 5.0)
        for key, value in ORDINARY.items():
            span.attributes.add(key=key).value.string_value = value
        numbers = {"self": joules, "low": joules * 0.8, "high": joules * 1.2}
        for key, amount in numbers.items():
            span.attributes.add(key=f"greenops.energy.{key}").value.double_value = amount
        span.attributes.add(key="greenops.carbon.self").value.double_value = joules / 1e4
        if own == root:
            trace, root = rng.randbytes(16), rng.randbytes(8)
    return bytes(message.SerializeToString())


def _parsed(message: bytes, *, bare: bool = False) -> list[SpanRow]:
    request = ExportTraceServiceRequest.FromString(message)
    if bare:
        for span in request.resource_spans[0].scope_spans[0].spans:
            del span.attributes[:2]
    return list(span_rows(request, _same))


def _same(wall: datetime) -> datetime:
    return wall.astimezone(UTC)


def _summed(batches: list[list[SpanRow]]) -> None:
    sums = Footprint()
    for batch in batches:
        sums.add(batch, [])


def _told(what: str, work: Callable[[], object]) -> float:
    """Prints and gives the microseconds per row."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    each = best / (ROWS // BATCH * BATCH) * 1e6
    print(f"{what:<32} {each:8.2f} us per row")
    return each


if __name__ == "__main__":
    main()
