"""What stays of an action before, while and after it is carried out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from greenops.domain.action import Action, Outcome, Receipt, SetWeights, StartJob, TargetState


class OutboxState(StrEnum):
    """How far an action came; the last three are final."""

    PENDING = "pending"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An action as the outbox keeps it; written before the target is called.

    Attributes:
        attempts: Calls of the target so far.
        not_before: Wait until then before the next call (simulated time); none: at once.
        receipt: What came back; none while nothing did.
        error: Why the last call failed; none where it did not.
    """

    action: Action
    state: OutboxState
    updated: datetime
    attempts: int = 0
    not_before: datetime | None = None
    receipt: Receipt | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One change a file target made, and what stood there before it.

    Attributes:
        before: What was set before; none where nothing was.
        undone: Receipt of its rollback; none where it stands.
    """

    action: Action
    receipt: Receipt
    before: StartJob | SetWeights | None
    before_version: str
    undone: Receipt | None = None

    @property
    def version(self) -> str | None:
        """Version that the target shows after this entry."""
        return (self.undone or self.receipt).version

    @property
    def versions(self) -> frozenset[str | None]:
        """Versions that are ours while this entry is the last: with its write, and without it.

        The journal is written first; where the target's own write failed, it shows what it did.
        """
        return frozenset(
            {self.version, self.receipt.version if self.undone else self.before_version}
        )


@dataclass(frozen=True, slots=True)
class Journal:
    """What a file target did to one scope, oldest first; enough to repeat nothing and undo it.

    Attributes:
        frozen_until: End of the scope's freeze (simulated time); none where it never was frozen.
    """

    entries: tuple[JournalEntry, ...] = ()
    frozen_until: datetime | None = None

    def entry(self, action_id: str) -> JournalEntry | None:
        """The entry of an action; none where it was never carried out."""
        return next((e for e in self.entries if e.action.id == action_id), None)

    def of_decision(self, decision_id: str) -> JournalEntry | None:
        """The newest entry of a decision; none where it changed nothing here."""
        return next(
            (e for e in reversed(self.entries) if e.action.decision_id == decision_id), None
        )

    def refusal(self, action: Action, state: TargetState, now: datetime) -> Receipt | None:
        """The receipt of an action that must not be carried out now; none where it may.

        A target that shows what this journal did not write was changed by someone else. That is a
        conflict, unless the action was planned on exactly that version.
        """
        if now > action.expires:
            return receipt(action, Outcome.EXPIRED, f"expired at {action.expires.isoformat()}")
        if self.frozen_until is not None and now < self.frozen_until:
            return receipt(action, Outcome.REFUSED, f"frozen until {self.frozen_until.isoformat()}")
        wanted = self._wanted(action, state)
        if wanted != state.version:
            detail = f"someone else changed it: version `{state.version}`, not `{wanted}`"
            return receipt(action, Outcome.CONFLICT, detail, version=state.version)
        if action.change == state.change:
            detail = "it is so already"
            return receipt(action, Outcome.UNCHANGED, detail, version=state.version, at=now)
        return None

    def _wanted(self, action: Action, state: TargetState) -> str | None:
        if action.expected_version is not None:
            return action.expected_version
        # What changed nothing says nothing of what the target shows.
        changes = [e for e in self.entries if e.receipt.outcome is not Outcome.UNCHANGED]
        if not changes or state.version in changes[-1].versions:
            return state.version
        return changes[-1].version

    def with_entry(self, action: Action, made: Receipt, state: TargetState) -> Journal:
        """The journal with one more change; `state` is what the target showed before it."""
        entry = JournalEntry(action, made, state.change, state.version)
        return replace(self, entries=(*self.entries, entry))

    def with_undone(self, entry: JournalEntry, undone: Receipt) -> Journal:
        """The journal once an entry was rolled back."""
        changed = replace(entry, undone=undone)
        return replace(self, entries=tuple(changed if e == entry else e for e in self.entries))


def receipt(
    action: Action,
    outcome: Outcome,
    detail: str,
    *,
    version: str | None = None,
    at: datetime | None = None,
) -> Receipt:
    """A receipt for an action, its kind filled in."""
    return Receipt(
        action_id=action.id,
        decision_id=action.decision_id,
        target=action.target,
        kind="start_job" if isinstance(action.change, StartJob) else "set_weights",
        outcome=outcome,
        detail=detail,
        version=version,
        at=at,
    )


def content_version(content: bytes) -> str:
    """Version of a file target: 64 bits of SHA-256 over what it says."""
    return hashlib.sha256(content).hexdigest()[:16]


NEVER_SET = "none"
"""Version of a target that was never set."""
