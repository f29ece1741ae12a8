"""A fake control plane: keeps what it is given and answers from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
from greenops.domain.override import Held, Override, OverrideOrder, OverrideState
from greenops.errors import DataMissing, UsageError


@dataclass
class FakeControlPlane:
    """Answers what a test put in; `error` is raised by every call where it is set."""

    view: Overview | None = None
    records: list[DecisionRecord] = field(default_factory=list)
    answer: WhatIfAnswer | None = None
    receipt: Receipt | None = None
    error: Exception | None = None
    accepted: list[Receipt] = field(default_factory=list)
    submitted: list[JobRequest] = field(default_factory=list)
    sent: list[SendOrder] = field(default_factory=list)
    holding: list[Held] = field(default_factory=list)
    given: list[Override] = field(default_factory=list)
    ordered: list[OverrideOrder] = field(default_factory=list)

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def overview(self) -> Overview:
        """The view that the test put in."""
        self._check()
        if self.view is None:
            raise DataMissing("GO0630", "the test put no view in")
        return self.view

    def decisions(self) -> Sequence[Decision]:
        """Decisions of the test's records."""
        self._check()
        return [record.decision for record in self.records]

    def decision(self, decision_id: str) -> DecisionRecord:
        """One of the test's records."""
        self._check()
        for record in self.records:
            if record.decision.id == decision_id:
                return record
        raise DataMissing("GO0630", f"no decision `{decision_id}`")

    def submit(self, request: JobRequest) -> Decision:
        """Remembers the request and gives the first decision."""
        self._check()
        self.submitted.append(request)
        return self.records[0].decision

    def what_if(self, question: WhatIfQuestion) -> WhatIfAnswer:
        """The answer that the test put in."""
        self._check()
        if self.answer is None:
            raise UsageError("GO0640", f"no workload `{question.workload}` is declared")
        return self.answer

    def send(self, order: SendOrder) -> Receipt:
        """Remembers the order and gives the test's receipt."""
        self._check()
        self.sent.append(order)
        if self.receipt is None:
            raise UsageError("GO0632", "not sent: the test put no receipt in")
        return self.receipt

    def accept(self, receipt: Receipt) -> None:
        """Remembers the receipt."""
        self._check()
        self.accepted.append(receipt)

    def override(self, order: OverrideOrder) -> Override:
        """Remembers the order and gives the test's first override."""
        self._check()
        self.ordered.append(order)
        if not self.given:
            raise UsageError("GO0664", "the test put no override in")
        return self.given[0]

    def overrides(self) -> Sequence[Override]:
        """The overrides that the test put in."""
        self._check()
        return self.given

    def lift(self, override_id: str, who: str) -> Override:
        """One of the test's overrides, as lifted."""
        self._check()
        for each in self.given:
            if each.id == override_id:
                return replace(each, state=OverrideState.LIFTED, ended_by=who)
        raise DataMissing("GO0665", f"no override `{override_id}`")

    def held(self) -> Sequence[Held]:
        """The held runs that the test put in."""
        self._check()
        return self.holding
