"""A decision API on a free loopback port, fed with hand-made records."""

# Hand-made records: plain numbers stand for grams, joules and dollars.
# mypy: disable-error-code="arg-type,dict-item"
from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import (
    Cadence,
    DayOfRefreshes,
    DecisionRecord,
    FrontierPoint,
    Overview,
    SendOrder,
    ServiceFootprint,
    WhatIfAnswer,
    WhatIfQuestion,
)
from greenops.domain.decision import Candidate, Decision, Mode, Verdict
from greenops.domain.evidence import AvoidedEmissions, Grade, Verification
from greenops.domain.override import Held, Override, OverrideOrder, OverrideState, Overrode
from greenops.domain.record import plain, restore
from greenops.domain.workload import Limits

DAY = datetime(2021, 10, 8, 8, tzinfo=UTC)
BASELINE = Candidate(
    "baseline", "us-west-1", start=DAY, end=DAY + timedelta(hours=2), energy_kwh=4.0,
    carbon_g=1200.0, carbon_low_g=1080.0, carbon_high_g=1330.0, intensity=300.0, cost_usd=0.84,
)  # fmt: skip
CHOSEN = Candidate(
    "eu-north-1/ondemand/2021-10-08T10:00Z", "eu-north-1", start=DAY + timedelta(hours=2),
    end=DAY + timedelta(hours=4), energy_kwh=4.0, carbon_g=112.0, carbon_low_g=95.0,
    carbon_high_g=130.0, intensity=28.0, cost_usd=0.88,
)  # fmt: skip
RUNNER_UP = replace(CHOSEN, id="us-west-2/later", region="us-west-2", carbon_g=310.0)
DECISION = Decision(
    id="d-0001", job_id="nightly-enrichment/2021-10-08", workload="nightly-enrichment",
    decided_at=DAY, chosen=CHOSEN, baseline=BASELINE, runner_up=RUNNER_UP,
    rejected={"us-east-1/a": ("limit/maxCost",), "us-east-1/b": ("limit/maxCost", "data-at-home")},
    warned={}, reason="eu-north-1 two hours later emits 91 % less for 5 % more",
    mode=Mode.ENFORCE, policies=("carbon-first",), policy_hash="ab" * 32, objective="carbon",
    limits=Limits(max_cost_increase=0.10, max_carbon_reduction=0.15),
    deadline=DAY + timedelta(hours=12), latest_safe_start=DAY + timedelta(hours=10),
    forecast_ids={"SE": "carboncast/SE/2021-10-08T00:00Z"}, replay=True,
)  # fmt: skip
CADENCES = (
    Cadence(
        3600.0, 24, DayOfRefreshes((DAY,), 4321.0, 4000.0, 4700.0, 6.5, 3600.0),
        DayOfRefreshes((DAY,), 4210.0, 3900.0, 4600.0, 6.5, 5400.0),
    ),
    Cadence(86400.0, 1, DayOfRefreshes((DAY,), 187.0, None, None, None, 86400.0), None),
    Cadence(1800.0, 48, None, None),
)  # fmt: skip
OLDER = replace(DECISION, id="d-0000", decided_at=DAY - timedelta(days=1), reason="stay at home")
RECEIPT = Receipt(
    "a-1", "d-0001", "local-process", "start_job", Outcome.APPLIED, "released", at=DAY, on_time=True
)
VERDICTS = (
    Verdict("us-east-1/a", False, ("limit/maxCost",), messages={"limit/maxCost": "over 110 %"}),
    Verdict("us-east-1/b", False, ("limit/maxCost", "data-at-home")),
)
OVERVIEW = Overview(
    now=DAY + timedelta(hours=3),
    replay="2021-10-08T06:00:00Z@2026-11-23T10:00:00Z@1440",
    services=(
        ServiceFootprint(
            "search", "search", ("eu-central-1", "eu-north-1"), 1000, 3000, 5200.0, 4160.0, 6240.0,
            0.31, 0.0021, 5.2, 0.00031, "modeled",
        ),
        ServiceFootprint(
            "assistant", "assistant", ("eu-central-1",), 40, 80, None, None, None,
            None, None, None, None, None,
        ),
    ),
    spans=3080, spans_with_energy=3000, spans_unknown=80,
    energy={"attributed": 5200.0, "idle": 2100.0, "unattributed": 300.0, "other_process": 900.0},
    conservation_residual_ratio=0.0004, attributed_share=0.945,
    intensity={"us-west-1": 305.0, "eu-central-1": 412.0, "eu-north-1": 27.0},
    routes={"search": {"eu-central-1": 10, "eu-north-1": 90}},
    decisions=2, receipts=1,
    avoided=AvoidedEmissions(1088.0, 960.0, 1210.0, Grade.B),
    ledger=Verification(7, 1, 2, signed=7),
)  # fmt: skip


class HandFedApi:
    """The routes of the decision API over records that a test may change; no rules, no state."""

    def __init__(self) -> None:
        self.overview = OVERVIEW
        self.decisions = (DECISION, OLDER)
        self.sendable = True
        self.refuse_send: str | None = None
        self.questions: list[WhatIfQuestion] = []
        self.orders: list[SendOrder] = []
        self.held: tuple[Held, ...] = ()
        self.overrides: tuple[Override, ...] = ()
        self.refuse_override: str | None = None
        self.overriding: list[OverrideOrder] = []
        self.url = ""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/overview", lambda _: JSONResponse(plain(self.overview))),
                Route("/v1/decisions", lambda _: JSONResponse(plain(self.decisions))),
                Route("/v1/decisions/{id}", self._decision),
                Route("/v1/what-if", self._what_if, methods=["POST"]),
                Route("/v1/send", self._send, methods=["POST"]),
                Route("/v1/held", lambda _: JSONResponse(plain(self.held))),
                Route("/v1/overrides", lambda _: JSONResponse(plain(self.overrides))),
                Route("/v1/overrides", self._override, methods=["POST"]),
            ]
        )

    def _decision(self, request: Request) -> JSONResponse:
        found = next(each for each in self.decisions if each.id == request.path_params["id"])
        record = DecisionRecord(found, (BASELINE, CHOSEN), VERDICTS, {}, (RECEIPT,))
        return JSONResponse(plain(record))

    async def _what_if(self, request: Request) -> JSONResponse:
        question = restore(WhatIfQuestion, await request.json())
        self.questions.append(question)
        answer = WhatIfAnswer(
            id=f"w-{len(self.questions)}",
            question=question,
            decision=DECISION,
            avoided=AvoidedEmissions(100.0 * question.max_delay_h, 900.0, 1300.0, Grade.D),
            extra_cost_usd=0.04,
            frontier=tuple(FrontierPoint(h, 1200.0 / h, 0.9) for h in (2.0, 6.0, 12.0, 24.0)),
            sendable=self.sendable,
            why_not=None if self.sendable else "the workload has no target",
            cadences=CADENCES,
        )
        return JSONResponse(plain(answer))

    async def _send(self, request: Request) -> JSONResponse:
        if self.refuse_send:
            return JSONResponse({"error": self.refuse_send}, status_code=409)
        order = restore(SendOrder, await request.json())
        self.orders.append(order)
        return JSONResponse(plain(replace(RECEIPT, detail=f"by {order.actor}")))

    async def _override(self, request: Request) -> JSONResponse:
        if self.refuse_override:
            return JSONResponse({"error": self.refuse_override}, status_code=400)
        order = restore(OverrideOrder, await request.json())
        self.overriding.append(order)
        self.held = ()
        self.overrides = (
            Override(
                "o-0123456789ab", order.workload, order.who, order.why, DAY,
                DAY + timedelta(hours=2), OverrideState.ORDERED, order.run_key,
                Overrode("d-0001", DAY + timedelta(hours=2), None, "cleaner then"),
            ),
        )  # fmt: skip
        return JSONResponse(plain(self.overrides[0]))


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[HandFedApi]:
    hand_fed = HandFedApi()
    with served(hand_fed.app()) as url:
        hand_fed.url = url
        monkeypatch.setenv("GREENOPS_API", url)
        yield hand_fed
