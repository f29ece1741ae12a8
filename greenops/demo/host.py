"""How a service of the shop is run: one process, one port, a quiet end on SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def _health(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def serve(routes: Sequence[Route], port: int, end: Callable[[], None]) -> None:
    """Answer on loopback until SIGTERM or SIGINT, then flush the telemetry.

    The handlers are plain functions: each runs in a worker thread, so that its CPU time is its own.
    """
    app = Starlette(routes=[Route("/healthz", _health), *routes])
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn hands the signal on once it has stopped; the telemetry is still to be flushed.
        signal.signal(number, lambda _number, _frame: None)
    try:
        server.run()
    finally:
        end()
