"""Actions that change an outside system, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class StartJob:
    """Start a run at its time: not before `start_at`, never after `latest_safe_start`."""

    run_key: str
    start_at: datetime
    latest_safe_start: datetime


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Share a route among its backends: backend → whole percent, 100 in sum."""

    route: str
    weights: Mapping[str, int]


Change = StartJob | SetWeights


@dataclass(frozen=True, slots=True)
class Action:
    """One change to make, at most once.

    Attributes:
        id: Idempotency key: the same id twice is one change.
        target: Name of the actuator.
        expires: After this the action must not be carried out any more.
        expected_version: Version of the target's state the plan was made on; none: any.
        actor: Who sent it: the loop's own name, or a person's e-mail address.
        by_person: A person ordered exactly this; never told from the name.
    """

    id: str
    target: str
    change: StartJob | SetWeights
    decision_id: str
    expires: datetime
    expected_version: str | None = None
    actor: str = "loop"
    by_person: bool = False


class Outcome(StrEnum):
    """What became of an action."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TargetState:
    """What a target is set to now; `change` is none where it was never set."""

    version: str
    change: StartJob | SetWeights | None


@dataclass(frozen=True, slots=True)
class Diff:
    """What an apply would change; `before` equal to `after` means nothing."""

    before: StartJob | SetWeights | None
    after: StartJob | SetWeights
    version: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an actuator did, in its own words; kept in the ledger.

    Attributes:
        kind: `start_job` or `set_weights`.
        at: When it took effect (simulated time); none where it did not.
        on_time: Started by its latest safe start; none where time does not matter.
    """

    action_id: str
    decision_id: str
    target: str
    kind: str
    outcome: Outcome
    detail: str
    version: str | None = None
    at: datetime | None = None
    on_time: bool | None = None
