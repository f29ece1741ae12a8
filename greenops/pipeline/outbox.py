"""Actions on their way to their targets: kept first, then sent, at most one effect each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from greenops.act.guardrails import Guardrails, refusal
from greenops.act.keys import scope_of
from greenops.act.outbox import (
    Step,
    expired,
    given_up,
    next_step,
    sent,
    settled,
    unanswered,
    written,
)
from greenops.adapters.state import StateDb
from greenops.domain.action import Action, Outcome, Receipt, SetWeights, StartJob
from greenops.domain.outbox import OutboxRow, OutboxState, receipt
from greenops.errors import AdapterUnavailable, GreenOpsError
from greenops.ports import Actuator, Clock

OPEN = (OutboxState.PENDING, OutboxState.SENT)


class Outbox:
    """The one way to a target. Stability: beta.

    Args:
        db: Where actions are kept.
        actuators: Target name → target.
        clock: Simulated time.
        rails: What the loop may do by itself.
    """

    def __init__(
        self,
        db: StateDb,
        actuators: Mapping[str, Actuator],
        clock: Clock,
        rails: Guardrails | None = None,
    ) -> None:
        self._db = db
        self._actuators = actuators
        self._clock = clock
        self._rails = rails or Guardrails()

    def send(self, action: Action) -> Receipt | None:
        """Keep an action, then carry it out; the same id again gives the first receipt.

        Returns:
            What came back; none where the target does not answer yet: `replay` tries again.

        Raises:
            Unreachable: The action cannot be kept; nothing was sent.
        """
        return self._go_on(self._db.write_action(written(action, self._clock.now())))

    def replay(self) -> list[Receipt]:
        """Go on with what was open, after a crash or an unanswered call; receipts of what ended."""
        ended = (self._go_on(row) for row in self._db.actions(*OPEN))
        return [each for each in ended if each is not None]

    def _go_on(self, row: OutboxRow) -> Receipt | None:
        now = self._clock.now()
        match next_step(row, now):
            case Step.NOTHING:
                return row.receipt
            case Step.WAIT:
                return None
            case Step.EXPIRE:
                return self._settle(expired(row, now))
            case Step.GIVE_UP:
                return self._settle(given_up(row, now))
            case Step.SEND:
                return self._send(row, now)

    def _send(self, row: OutboxRow, now: datetime) -> Receipt | None:
        action = row.action
        actuator = self._actuators.get(action.target)
        if actuator is None:
            detail = f"no target `{action.target}` here"
            return self._settle(settled(row, receipt(action, Outcome.FAILED, detail), now))
        try:
            # Law: what was not sent passes the guardrails first, however often it was tried.
            # What was sent passed them, and may have taken effect: its target must say so itself.
            pending = row.state is OutboxState.PENDING
            why = self._refused(action, actuator, now) if pending else None
            if why:
                return self._settle(settled(row, receipt(action, Outcome.REFUSED, why), now))
            row = sent(row, now)
            self._db.update_action(row)
            got = actuator.apply(action)
        except AdapterUnavailable as error:
            counted = (
                row if row.state is OutboxState.SENT else replace(row, attempts=row.attempts + 1)
            )
            self._db.update_action(unanswered(counted, str(error), now))
            return None
        except GreenOpsError as error:
            failed = receipt(action, Outcome.FAILED, str(error))
            return self._settle(settled(row, failed, now))
        return self._settle(settled(row, got, self._clock.now()))

    def _refused(self, action: Action, actuator: Actuator, now: datetime) -> str | None:
        before = actuator.observe(scope_of(action.change)).change
        why = refusal(action, before, self._changes(action), now, self._rails)
        if why is None:
            self._validate(actuator, action.change)
        return why

    def _changes(self, action: Action) -> list[datetime]:
        """When the same scope of the same target was changed before; a start of a job asks for none."""
        if isinstance(action.change, StartJob):
            return []
        return [
            row.receipt.at
            for row in self._db.actions(OutboxState.DONE, target=action.target)
            if row.receipt is not None
            and row.receipt.at is not None
            and row.receipt.outcome is Outcome.APPLIED
            and scope_of(row.action.change) == scope_of(action.change)
        ]

    def _validate(self, actuator: Actuator, change: StartJob | SetWeights) -> None:
        actuator.validate(actuator.plan(change))

    def _settle(self, row: OutboxRow) -> Receipt | None:
        self._db.update_action(row)
        if row.receipt is not None:
            self._db.keep_receipt(row.receipt)
        return row.receipt
