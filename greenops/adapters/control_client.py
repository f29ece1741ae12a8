"""The control loop over HTTP, for holders and the console: JSON in, records out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self, TypeVar
from urllib.parse import quote

import requests

from greenops.domain.action import Receipt
from greenops.domain.console import (
    DecisionRecord,
    JobRequest,
    Overview,
    SendOrder,
    WhatIfAnswer,
    WhatIfQuestion,
)
from greenops.domain.decision import Decision
from greenops.domain.override import Held, Override, OverrideOrder
from greenops.domain.record import plain, restore
from greenops.errors import AdapterUnavailable, DataMissing, GreenOpsError, UsageError

R = TypeVar("R")

TIMEOUT_S: Final = 2.0
"""Longest wait for the server [s]; after it a holder decides by itself."""
LINE: Final = 300
"""Most characters of a server's error that are shown."""
KIND: Final[dict[int, type[GreenOpsError]]] = {
    400: UsageError,
    404: DataMissing,
    409: UsageError,
    422: UsageError,
}
"""HTTP status → what it means to a caller of `ControlPlane`; all others: not available."""


class ControlClient:
    """`ports.ControlPlane` on the other side of a socket. Stability: beta.

    Raises:
        AdapterUnavailable: No answer in time, or none that makes sense.
        UsageError, DataMissing: The server said so, in its own line.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._session = requests.Session()
        # A proxy has no business between two parts of one control loop.
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def overview(self) -> Overview:
        """What is going on."""
        return self._record(Overview, "GET", "/v1/overview")

    def decisions(self) -> Sequence[Decision]:
        """Every decision, newest first."""
        return self._records(Decision, "/v1/decisions")

    def decision(self, decision_id: str) -> DecisionRecord:
        """One decision with all it rested on."""
        return self._record(DecisionRecord, "GET", f"/v1/decisions/{quote(decision_id, safe='')}")

    def submit(self, request: JobRequest) -> Decision:
        """Ask for a decision of one run; the same run key again is the same."""
        return self._record(Decision, "POST", "/v1/jobs", request)

    def what_if(self, question: WhatIfQuestion) -> WhatIfAnswer:
        """Ask without acting."""
        return self._record(WhatIfAnswer, "POST", "/v1/what-if", question)

    def send(self, order: SendOrder) -> Receipt:
        """Send a what-if answer to its target."""
        return self._record(Receipt, "POST", "/v1/send", order)

    def accept(self, receipt: Receipt) -> None:
        """Bring a receipt; the same again is one."""
        self._call("POST", "/v1/receipts", receipt)

    def override(self, order: OverrideOrder) -> Override:
        """Order a run to start now, or the next one of its workload."""
        return self._record(Override, "POST", "/v1/overrides", order)

    def overrides(self) -> Sequence[Override]:
        """Every override, newest first."""
        return self._records(Override, "/v1/overrides")

    def lift(self, override_id: str, who: str) -> Override:
        """Take an override back before its run starts."""
        path = f"/v1/overrides/{quote(override_id, safe='')}?who={quote(who, safe='')}"
        return self._record(Override, "DELETE", path)

    def held(self) -> Sequence[Held]:
        """Runs that are held right now."""
        return self._records(Held, "/v1/held")

    def close(self) -> None:
        """Let go of connections; twice is once."""
        self._session.close()

    def _record(self, kind: type[R], method: str, path: str, body: object = None) -> R:
        return self._restored(kind, self._call(method, path, body), path)

    def _records(self, kind: type[R], path: str) -> list[R]:
        found = self._call("GET", path)
        if not isinstance(found, list):
            raise self._nonsense(path, "not a list")
        return [self._restored(kind, each, path) for each in found]

    def _restored(self, kind: type[R], value: object, path: str) -> R:
        try:
            return restore(kind, value)
        except (ValueError, TypeError, AttributeError) as error:
            raise self._nonsense(path, str(error)) from error

    def _call(self, method: str, path: str, body: object = None) -> object:
        payload = None if body is None else plain(body)
        try:
            answer = self._session.request(
                method, self._url + path, json=payload, timeout=self._timeout_s
            )
            value: object = answer.json() if answer.content else None
        except requests.JSONDecodeError as error:
            raise self._nonsense(path, "not JSON") from error
        except requests.RequestException as error:
            raise AdapterUnavailable(
                "GO0610",
                f"`{self._url}` does not answer ({type(error).__name__})",
                fix="start `greenops serve`, or check `--server`",
            ) from error
        if not answer.ok:
            raise _refused(answer.status_code, value)
        return value

    def _nonsense(self, path: str, why: str) -> AdapterUnavailable:
        return AdapterUnavailable(
            "GO0611", f"`{self._url}{path}` gave no answer that makes sense: {why[:LINE]}"
        )


def _refused(status: int, value: object) -> GreenOpsError:
    line = str(value.get("error", "")) if isinstance(value, dict) else ""
    code, _, rest = line[:LINE].partition(" ")
    kind = KIND.get(status, AdapterUnavailable)
    if code.startswith("GO") and code[2:].isdigit() and rest:
        return kind(code, rest)
    return kind("GO0612", f"server refused (HTTP {status}): {line[:LINE] or 'no reason given'}")
