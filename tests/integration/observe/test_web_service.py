"""A real server, requests that overlap: async, on AnyIO's threads, and streamed after the handler returned."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any
from urllib.request import urlopen

import pytest
import uvicorn
from opentelemetry.sdk.trace import ReadableSpan
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from greenops.observe.pools import Pools
from greenops.observe.steps import Steps
from tests.integration.observe.traced import Service

MS = {"/async": 10.0, "/thread": 20.0, "/stream": 16.0}
"""CPU time that each route uses [ms]."""


def spin(ms: float) -> None:
    started = time.thread_time()
    while time.thread_time() - started < ms / 1000:
        hashlib.sha256(b"x" * 10_000).digest()


async def in_steps(request: Request) -> Response:
    for _ in range(5):
        spin(2)
        await asyncio.sleep(0.003)
    return PlainTextResponse("done")


def in_a_thread(request: Request) -> Response:
    spin(20)
    return PlainTextResponse("done")


async def streamed(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            spin(4)
            yield b"part"
            await asyncio.sleep(0.002)

    return StreamingResponse(parts())


class Traced:
    """A span round each request, as OpenTelemetry's ASGI middleware makes it."""

    def __init__(self, app: Any, service: Service) -> None:
        self._app, self._tracer = app, service.tracer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._tracer.start_as_current_span(scope["path"]):
            await self._app(scope, receive, send)


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    steps = Steps(service.observer.switch)
    pools = Pools(steps)
    steps.install()
    pools.install()
    routes = [Route("/async", in_steps), Route("/thread", in_a_thread), Route("/stream", streamed)]
    app = Traced(Starlette(routes=routes), service)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    steps.remove()
    pools.remove()


def finished(service: Service, count: int) -> Sequence[ReadableSpan]:
    """Spans, once there are so many: a client has its answer before the request's span ends."""
    until = time.monotonic() + 60
    while len(service.spans.get_finished_spans()) < count and time.monotonic() < until:
        service.provider.force_flush()
    return service.spans.get_finished_spans()


@pytest.mark.slow
@pytest.mark.network
def test_each_request_gets_the_cpu_time_it_used(address: str, service: Service) -> None:
    def get(route: str) -> None:
        with urlopen(address + route) as response:
            response.read()

    for route in MS:
        get(route)  # what a route loads at its first request is not its work
    finished(service, len(MS))
    service.spans.clear()
    with ThreadPoolExecutor(6) as clients:
        list(clients.map(get, [*MS] * 6))
    spans = finished(service, 6 * len(MS))

    found = defaultdict(list)
    for span in spans:
        found[span.name].append(service.observer.take(span.context.span_id).cpu_ns / 1e6)
    assert {route: len(each) for route, each in found.items()} == dict.fromkeys(MS, 6)
    for route, ms in MS.items():
        assert median(found[route]) == pytest.approx(ms, rel=0.25), (route, found[route])
