"""Overrides on their way: given, bound to a run, ordered, over. One way for loop, command and holder.

Every step is kept before the next is taken and can be taken again: an override has one action id, and
its target answers a known one with the first receipt.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from greenops.act import override as rules
from greenops.act.hold import Hold, hold_for, obey
from greenops.adapters.holding import held_keys, is_held
from greenops.adapters.local_process import LocalProcess, RunFolder
from greenops.adapters.override_files import OverrideFiles
from greenops.config import Settings
from greenops.domain.action import Action, Receipt
from greenops.domain.decision import Decision
from greenops.domain.override import (
    OPEN,
    Held,
    Override,
    OverrideOrder,
    OverrideState,
    Overrode,
)
from greenops.domain.workload import Urgency, Workload, WorkloadKind
from greenops.errors import DataMissing, GreenOpsError, UsageError, nearest
from greenops.ports import Clock
from greenops.units import NS_PER_S

log = logging.getLogger("greenops.loop")

LOCAL: Final = LocalProcess.name
SEARCH_EVERY_NS: Final = 10 * NS_PER_S
"""Between two searches for runs that a waiting override may be for [ns]. A search reads every run's
folder, and only finds what a giver that died left: whoever holds a run looks for overrides itself."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What differs between the control loop and a machine without one.

    Attributes:
        send: Carries an action out, at most once per id; none where its target does not answer yet.
        decided: The decision of a run key that the control state knows; none where it knows none.
        workload: A declared workload; raises `UsageError` where none has the name.
        target: Who starts a run that nobody holds.
        prove: Brings an override as it stands into the ledger; false where it has to wait.
        started: Whether a run that nobody holds here has started.
        waiting: Runs that wait for their order elsewhere than on this machine.
    """

    send: Callable[[Action], Receipt | None]
    decided: Callable[[str], Decision | None]
    workload: Callable[[str], Workload]
    target: Callable[[Decision], str] = lambda _decision: LOCAL
    prove: Callable[[Override], bool] = lambda _override: False
    started: Callable[[str], bool] = lambda _run_key: False
    waiting: Callable[[], Sequence[Held]] = tuple


class Overrides:
    """The overrides of one state folder. Stability: beta."""

    def __init__(self, settings: Settings, clock: Clock, ways: Ways) -> None:
        self._state, self._mode = settings.state, settings.mode
        self._files = files_of(settings.state)
        self._clock, self._ways = clock, ways
        self._told: dict[str, str] = {}
        self._searched_ns: int | None = None

    # -- what a person asks

    def give(self, order: OverrideOrder) -> Override:
        """Order a run to start now, or the next one of its workload; the same id again is one.

        Raises:
            UsageError: It cannot be; says why and what can.
            Unreachable: It cannot be kept; nothing was ordered.
        """
        rules.check(order)
        known = self._files.get(order.id) if order.id else None
        if known is None:
            self._check_run(order)
            name = order.id or f"o-{uuid.uuid4().hex[:12]}"
            known = self._files.add(rules.given(order, name, self._clock.now()))
        return self._go_on(known)

    def all(self) -> list[Override]:
        """Every override, newest first."""
        found = [*self._files.open(), *self._files.closed()]
        return sorted(found, key=lambda each: (each.at, each.id), reverse=True)

    def lift(self, name: str, who: str) -> Override:
        """Take an override back before its run starts.

        Raises:
            DataMissing: No override has this id.
            UsageError: It is over, or nobody says who lifts it.
        """
        if not who.strip():
            raise UsageError(
                "GO0660", "whoever lifts an override is recorded", fix="give `--who NAME`"
            )
        known = self._files.get(name)
        if known is None:
            near = nearest(name, [each.id for each in self._files.open()])
            hint = f"did you mean `{near}`?" if near else "`greenops override list` lists them"
            raise DataMissing("GO0665", f"no override `{name}`", fix=hint)
        now = self._go_on(known)
        if now.state not in OPEN:
            at = f" at {now.ended_at:%Y-%m-%d %H:%M} UTC" if now.ended_at else ""
            raise UsageError(
                "GO0666",
                f"override `{name}` is over: {now.state}{at}",
                fix="there is nothing to lift",
            )
        return self._taken_back(now, OverrideState.LIFTED, who.strip())

    def held(self, workload: str | None = None) -> list[Held]:
        """Runs that are held right now, of one workload or of all."""
        here = [each for each in map(self._held, held_keys(self._state)) if each]
        found = [*here, *self._ways.waiting()]
        return [each for each in found if workload in (None, each.workload)]

    # -- what goes on by itself

    def look(self, run_key: str | None = None, workload: str | None = None) -> None:
        """Take every open override one step on.

        Args:
            run_key: A run that is about to be held: only what is meant for it; none: all.
            workload: Of that run.
        """
        search = run_key is None and self._search_is_due()
        for each in self._files.open():
            meant = each.run_key == run_key or (each.run_key is None and each.workload == workload)
            if run_key is not None and not meant:
                continue
            try:
                self._go_on(each, run_key, search=search)
                self._told.pop(each.id, None)
            except GreenOpsError as error:
                # Another override must not wait for this one; each fault is told once.
                if self._told.get(each.id) != str(error):
                    self._told[each.id] = str(error)
                    log.warning("override `%s`: %s", each.id, error)

    # -- inside

    def _check_run(self, order: OverrideOrder) -> None:
        key = order.run_key
        if key is None:
            held = self.held(order.workload)
            if len(held) > 1:
                keys = ", ".join(f"`{each.run_key}`" for each in held)
                raise UsageError(
                    "GO0663", f"several runs of `{order.workload}` are held: {keys}", fix="name one"
                )
            known = bool(held)
        else:
            decision = self._decision(key)
            known = decision is not None
            if decision is not None and decision.workload != order.workload:
                raise UsageError(
                    "GO0667",
                    f"run `{key}` is of `{decision.workload}`, not of `{order.workload}`",
                    fix=f"name `{decision.workload}`",
                )
            if self._started(key):
                raise UsageError(
                    "GO0664", f"run `{key}` has started already", fix="there is nothing to release"
                )
        if not known:
            self._check_workload(order.workload)
        self._check_alone(order)

    def _check_workload(self, name: str) -> None:
        workload = self._ways.workload(name)
        if workload.kind is WorkloadKind.INFERENCE or workload.urgency is Urgency.INTERACTIVE:
            raise UsageError(
                "GO0662",
                f"`{name}` is interactive and never held",
                fix="its requests go at once; its routes are changed with what-if",
            )

    def _check_alone(self, order: OverrideOrder) -> None:
        """Law: two orders for one run are one, and a second press does not release the run after."""
        for each in self._files.open():
            other = each.id != order.id and each.workload == order.workload
            waits = each.state is OverrideState.WAITING and self._clock.now() <= each.until
            if other and waits and each.run_key == order.run_key:
                raise UsageError(
                    "GO0668",
                    f"`{each.who}` ordered this until {each.until:%Y-%m-%d %H:%M} UTC: `{each.id}`",
                    fix=f"wait, or lift it with `greenops override lift {each.id}`",
                )

    def _decision(self, run_key: str) -> Decision | None:
        """What its holder holds to, or what the control state knows: the newer one of the two."""
        kept, known = RunFolder(self._state, run_key).decision(), self._ways.decided(run_key)
        if kept is None or known is None or known.supersedes is None:
            return kept or known
        return max(kept, known, key=lambda each: each.decided_at)

    def _held(self, run_key: str) -> Held | None:
        decision = self._decision(run_key)
        if decision is None:
            return None  # Its holder is asking still, or starts at once.
        hold = self._hold(decision)
        order = RunFolder(self._state, run_key).order()
        if order is not None:
            hold = obey(hold, order.change, order.action_id, order.decision_id)
        latest = hold.latest_safe_start
        return Held(run_key, decision.workload, decision.id, hold.start_at, latest)

    def _started(self, run_key: str) -> bool:
        return RunFolder(self._state, run_key).claimed() or self._ways.started(run_key)

    def _hold(self, decision: Decision) -> Hold:
        return hold_for(decision, self._clock.now(), self._mode)

    def _search_is_due(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        due = self._searched_ns is None or now_ns - self._searched_ns >= SEARCH_EVERY_NS
        if due:
            self._searched_ns = now_ns
        return due

    def _go_on(
        self, override: Override, run_key: str | None = None, *, search: bool = True
    ) -> Override:
        if override.state is OverrideState.WAITING:
            override = self._waited(override, run_key, search=search)
        if override.state is OverrideState.ORDERED:
            override = self._ordered(override)
        if override.state not in OPEN and self._ways.prove(override):
            self._files.close(override.id)
        return override

    def _waited(self, override: Override, run_key: str | None, *, search: bool) -> Override:
        if self._clock.now() > override.until:
            return self._end(override, OverrideState.LAPSED)
        key = override.run_key or run_key
        if key is None and search:
            held = self.held(override.workload)
            key = held[0].run_key if held else None
        if key is None:
            return self._waits(override)
        if self._started(key):
            return self._end(override, OverrideState.MISSED)
        decision = self._decision(key)
        if decision is None:
            return self._waits(override)
        start, reason = self._hold(decision).start_at, decision.reason
        overrode = Overrode(decision.id, start, decision.latest_safe_start, reason)
        # A run that is held waits for orders of `local-process`, wherever else it might have run.
        here = run_key is not None or is_held(RunFolder(self._state, key).path)
        target = LOCAL if here else self._ways.target(decision)
        return self._changed(override, partial(_bound, key=key, overrode=overrode, target=target))

    def _waits(self, override: Override) -> Override:
        self._ways.prove(override)
        return override

    def _ordered(self, override: Override) -> Override:
        # Law: the ledger knows of an order before its target does.
        self._ways.prove(override)
        if override.receipt is None and override.action is not None:
            got = self._ways.send(override.action)
            if got is None:
                return override
            override = self._changed(override, partial(rules.answered, receipt=got))
        if rules.failed(override):
            return self._end(override, OverrideState.REFUSED)
        if override.run_key and self._started(override.run_key):
            return self._end(override, OverrideState.STARTED)
        if self._clock.now() > override.until:
            return self._taken_back(override, OverrideState.LAPSED, override.who)
        return override

    def _taken_back(self, override: Override, state: OverrideState, who: str) -> Override:
        action = rules.back(override, who, self._clock.now())
        if action is not None:
            got = self._ways.send(action)
            if got is None or got.outcome not in rules.DONE:
                why = got.detail if got else "its target does not answer"
                raise UsageError("GO0664", f"`{override.run_key}` was not held again: {why}")
        by = who if state is OverrideState.LIFTED else None
        over = self._end(override, state, by)
        if self._ways.prove(over):
            self._files.close(over.id)
        return over

    def _end(self, override: Override, state: OverrideState, by: str | None = None) -> Override:
        now = self._clock.now()
        return self._changed(override, lambda was: rules.ended(was, state, now, by))

    def _changed(self, override: Override, step: Callable[[Override], Override]) -> Override:
        changed = self._files.change(override.id, step)
        if changed is None:
            raise DataMissing("GO0665", f"override `{override.id}` is gone, or its file is damaged")
        return changed


def files_of(state: Path) -> OverrideFiles:
    """Where the overrides of a state folder are."""
    return OverrideFiles(state / "overrides")


def _bound(override: Override, key: str, overrode: Overrode, target: str) -> Override:
    if override.state is not OverrideState.WAITING:
        return override
    return rules.bound(override, key, overrode, target)
