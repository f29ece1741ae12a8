"""A target in memory, and the suite that every target must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from greenops.domain.action import (
    Action,
    Diff,
    Outcome,
    Receipt,
    SetWeights,
    StartJob,
    TargetState,
)
from greenops.domain.outbox import NEVER_SET, Journal, receipt
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.ports import Actuator, Clock


class FakeActuator:
    """A target in memory that counts its effects and fails when it is told to.

    Attributes:
        effects: Changes that took effect, in order.
        down: Calls that find no target before it answers again.
    """

    name = "fake"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[str, TargetState] = {}
        self._journals: dict[str, Journal] = {}
        self.effects: list[StartJob | SetWeights] = []
        self.down = 0

    def observe(self, scope: str) -> TargetState:
        """What was set last."""
        return self._states.get(scope, TargetState(NEVER_SET, None))

    def plan(self, change: StartJob | SetWeights) -> Diff:
        """What a change would alter."""
        state = self.observe(_scope(change))
        return Diff(state.change, change, state.version)

    def validate(self, diff: Diff) -> None:
        """Refuse a route without backends."""
        if isinstance(diff.after, SetWeights) and not diff.after.weights:
            raise AdapterUnsupported("GO0603", "no backend")

    def apply(self, action: Action) -> Receipt:
        """Set it, once per action id."""
        if self.down > 0:
            self.down -= 1
            raise AdapterUnavailable("GO0610", "the fake is down")
        scope = _scope(action.change)
        journal, state = self._journals.get(scope, Journal()), self.observe(scope)
        known = journal.entry(action.id)
        if known:
            return known.receipt
        made = journal.refusal(action, state, self._clock.now())
        if made is None:
            made = receipt(
                action,
                Outcome.APPLIED,
                "set",
                version=f"v{len(self.effects) + 1}",
                at=self._clock.now(),
            )
            self._set(scope, action.change, made)
        if made.outcome is Outcome.APPLIED:
            self._journals[scope] = journal.with_entry(action, made, state)
        return made

    def verify(self, action: Action, within: timedelta) -> bool:  # noqa: ARG002  (never waits)
        """Whether it is set so."""
        return self.observe(_scope(action.change)).change == action.change

    def rollback(self, decision_id: str) -> Receipt:
        """Set what stood before."""
        for scope, journal in self._journals.items():
            entry = journal.of_decision(decision_id)
            if entry is None:
                continue
            if entry.undone:
                return entry.undone
            action = replace(entry.action, id=f"{entry.action.id}-rollback")
            now, version = self._clock.now(), f"v{len(self.effects) + 1}"
            made = receipt(action, Outcome.APPLIED, "as before", version=version, at=now)
            if entry.before is not None:
                self._set(scope, entry.before, made)
            self._journals[scope] = journal.with_undone(entry, made)
            return made
        raise AdapterUnsupported("GO0607", f"no change of `{decision_id}`")

    def freeze(self, scope: str, ttl: timedelta) -> None:
        """Refuse every change until then."""
        journal = self._journals.get(scope, Journal())
        self._journals[scope] = replace(journal, frozen_until=self._clock.now() + ttl)

    def _set(self, scope: str, change: StartJob | SetWeights, made: Receipt) -> None:
        self._states[scope] = TargetState(made.version or NEVER_SET, change)
        self.effects.append(change)


def _scope(change: StartJob | SetWeights) -> str:
    return change.run_key if isinstance(change, StartJob) else change.route


def check_actuator(
    make: Callable[[], Actuator],
    clock: Clock,
    first: StartJob | SetWeights,
    second: StartJob | SetWeights,
) -> None:
    """Hold a target to the port; raises `AssertionError` with the broken promise.

    Args:
        make: A new object on the same target, as after a restart.
        clock: The target's clock; the suite does not move it.
        first: A change.
        second: Another change of the same scope.
    """
    scope, now = _scope(first), clock.now()
    one = Action("act-1", make().name, first, "d-1", now + timedelta(hours=1))
    two = Action("act-2", make().name, second, "d-2", now + timedelta(hours=1))

    late = make().apply(replace(one, id="act-0", expires=now - timedelta(seconds=1)))
    _promise(late.outcome is Outcome.EXPIRED, "an expired action is not carried out")
    made = make().apply(one)
    _promise(made.outcome is Outcome.APPLIED, f"a change is applied: {made.detail}")
    _promise(make().observe(scope).change == first, "what was applied is observed")
    _promise(make().observe(scope).version == made.version, "the receipt names the version")
    _promise(make().apply(one) == made, "the same id again gives the first receipt")
    same = make().apply(replace(one, id="act-1b"))
    _promise(same.outcome is Outcome.UNCHANGED, "what is so already is unchanged")
    diff = make().plan(second)
    _promise((diff.before, diff.after) == (first, second), "a plan says before and after")
    stale = make().apply(replace(two, id="act-2b", expected_version="stale"))
    _promise(stale.outcome is Outcome.CONFLICT, "another version is a conflict")
    _promise(make().observe(scope).change == first, "a conflict changes nothing")
    _check_undo(make, two, scope, first)


def _check_undo(
    make: Callable[[], Actuator], two: Action, scope: str, first: StartJob | SetWeights
) -> None:
    version = make().observe(scope).version
    made = make().apply(replace(two, expected_version=version))
    _promise(made.outcome is Outcome.APPLIED, f"the expected version is changed: {made.detail}")
    undone = make().rollback("d-2")
    _promise(undone.outcome is Outcome.APPLIED, f"a decision is rolled back: {undone.detail}")
    _promise(make().observe(scope).change == first, "a rollback restores what stood before")
    _promise(make().rollback("d-2") == undone, "a second rollback is the first")
    make().freeze(scope, timedelta(hours=1))
    frozen = make().apply(replace(two, id="act-3", decision_id="d-3"))
    _promise(frozen.outcome is Outcome.REFUSED, "a frozen scope refuses")
    _promise(make().observe(scope).change == first, "a frozen scope stays as it is")


def _promise(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
