"""The decision API: a control plane behind HTTP, errors as one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenops.domain.action import Receipt
from greenops.domain.console import JobRequest, SendOrder, WhatIfQuestion
from greenops.domain.override import OverrideOrder
from greenops.domain.record import plain, restore
from greenops.errors import (
    AdapterUnavailable,
    DataMissing,
    GreenOpsError,
    InvalidFile,
    Unreachable,
    UsageError,
)
from greenops.ports import ControlPlane

LARGEST: Final = 2**18
"""Largest request body [bytes]."""
STATUS: Final[Mapping[type[GreenOpsError], int]] = {
    UsageError: 400,
    InvalidFile: 400,
    DataMissing: 404,
    AdapterUnavailable: 503,
    Unreachable: 503,
}
OTHER_TYPE: Final = "GO0507"
MALFORMED: Final = (ValueError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a body that is no such record may raise."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")

R = TypeVar("R")


def api(control: ControlPlane, page: Callable[[str], tuple[bytes, str]], host: str) -> Starlette:
    """The application.

    Args:
        control: Who answers.
        page: `/metrics` in the format that an `Accept` header asks for, and its content type.
        host: Address it listens on; on loopback, a foreign `Host` is refused, so that a web page
            cannot reach it through a name that resolves to this machine.
    """

    def get(answer: Callable[[Request], object]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await _answer(lambda: answer(request))

        return endpoint

    def post(kind: type[R], answer: Callable[[R], object]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                given = await _given(kind, request)
            except UsageError as error:
                return _error(error)
            return await _answer(lambda: answer(given))

        return endpoint

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        asked = request.headers.get("accept", "")
        text, content_type = await run_in_threadpool(page, asked)
        return Response(text, headers={"content-type": content_type, "vary": "Accept"})

    allowed = [*LOOPBACK] if host in ("127.0.0.1", "localhost", "::1") else ["*"]
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/metrics", metrics),
            Route("/v1/overview", get(lambda _request: control.overview())),
            Route("/v1/decisions", get(lambda _request: list(control.decisions()))),
            Route(
                "/v1/decisions/{id}",
                get(lambda request: control.decision(request.path_params["id"])),
            ),
            Route("/v1/jobs", post(JobRequest, control.submit), methods=["POST"]),
            Route("/v1/what-if", post(WhatIfQuestion, control.what_if), methods=["POST"]),
            Route("/v1/send", post(SendOrder, control.send), methods=["POST"]),
            Route("/v1/receipts", post(Receipt, control.accept), methods=["POST"]),
            Route("/v1/held", get(lambda _request: list(control.held()))),
            Route("/v1/overrides", get(lambda _request: list(control.overrides()))),
            Route("/v1/overrides", post(OverrideOrder, control.override), methods=["POST"]),
            Route(
                "/v1/overrides/{id}",
                get(
                    lambda request: control.lift(
                        request.path_params["id"], request.query_params.get("who", "")
                    )
                ),
                methods=["DELETE"],
            ),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed)],
    )


async def _given(kind: type[R], request: Request) -> R:
    sent = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if sent != "application/json":
        # Any page may send a form or plain text here, but not JSON without asking first.
        raise UsageError(OTHER_TYPE, f"content type `{sent[:40]}`; send application/json")
    try:
        return restore(kind, json.loads(await _body(request), parse_constant=_finite))
    except MALFORMED as error:
        raise UsageError("GO0505", f"not a {kind.__name__}: {error}") from error


def _finite(name: str) -> float:
    raise ValueError(f"`{name}` is no number")


async def _body(request: Request) -> bytearray:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise ValueError(f"larger than {LARGEST} bytes")
    return body


async def _answer(step: Callable[[], object]) -> Response:
    try:
        found = await run_in_threadpool(step)
    except GreenOpsError as error:
        return _error(error)
    return Response(status_code=204) if found is None else JSONResponse(plain(found))


def _error(error: GreenOpsError) -> Response:
    kinds = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    status = 415 if error.code == OTHER_TYPE else next(kinds, 500)
    return JSONResponse({"error": str(error)}, status)
