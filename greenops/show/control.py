"""What the console asks of the control plane; any client with these calls will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from greenops.domain.action import Receipt
from greenops.domain.console import (
    DecisionRecord,
    Overview,
    SendOrder,
    WhatIfAnswer,
    WhatIfQuestion,
)
from greenops.domain.decision import Decision
from greenops.domain.override import Held, Override, OverrideOrder

VARIABLE: Final = "GREENOPS_API"
"""Environment variable with the address of `greenops serve`."""

DEFAULT_URL: Final = "http://127.0.0.1:8710"
"""Where `greenops serve` listens unless it is told otherwise."""


class Control(Protocol):
    """The part of the control plane that the pages use.

    Every call raises a `GreenOpsError` of one line where there is no answer.
    """

    def overview(self) -> Overview:
        """What is going on."""

    def decisions(self) -> Sequence[Decision]:
        """Every decision, newest first."""

    def decision(self, decision_id: str) -> DecisionRecord:
        """One decision with all it rested on."""

    def what_if(self, question: WhatIfQuestion) -> WhatIfAnswer:
        """Answer without acting."""

    def send(self, order: SendOrder) -> Receipt:
        """Act on an answer."""

    def override(self, order: OverrideOrder) -> Override:
        """Order a run to start now."""

    def overrides(self) -> Sequence[Override]:
        """Every override, newest first."""

    def held(self) -> Sequence[Held]:
        """Runs that are held right now."""


def api_url(environ: Mapping[str, str]) -> str:
    """Address of the decision API, from the environment or the default."""
    return environ.get(VARIABLE, "").strip().rstrip("/") or DEFAULT_URL
