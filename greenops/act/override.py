"""The rules of an override: what may be asked, the order it becomes, the order that takes it back.

waiting ──a run of it is known──► ordered ──► started | refused
   └──► lapsed | lifted | missed      └─────► lapsed | lifted
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from greenops.act.keys import action_id
from greenops.domain.action import Action, Outcome, Receipt, StartJob
from greenops.domain.override import Override, OverrideOrder, OverrideState, Overrode
from greenops.errors import UsageError

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 7 * 86_400.0
"""Shortest and longest life of an override [s]; whoever wants more than a week wants a policy."""
WHO_MOST: Final = 200
WHY_MOST: Final = 1_000
"""Longest name and reason [characters]."""
NAME: Final = re.compile(r"o-[0-9a-f]{12}")
"""What an override's id looks like; it names a file as well."""
DONE: Final = (Outcome.APPLIED, Outcome.UNCHANGED)


def check(order: OverrideOrder) -> None:
    """Refuse what no run could be ordered by.

    Raises:
        UsageError: Who or why is missing, the time is absurd, or the id is none.
    """
    for name, flag, text, most in (
        ("who", "--who NAME", order.who, WHO_MOST),
        ("why", "--why TEXT", order.why, WHY_MOST),
    ):
        if not text.strip():
            raise UsageError(
                "GO0660", f"an override needs its `{name}`: it is recorded", fix=f"give `{flag}`"
            )
        if len(text) > most:
            raise UsageError(
                "GO0660",
                f"`{name}` has {len(text)} characters, at most {most}",
                fix="say it shorter",
            )
    if not SHORTEST_S <= order.for_s <= LONGEST_S:
        raise UsageError(
            "GO0661",
            f"an override for {order.for_s:g} s; from 1 s to 7 days can be had",
            fix="give `--for 2h`, or write an exception into a policy",
        )
    if order.id and not NAME.fullmatch(order.id):
        raise UsageError("GO0660", f"`{order.id}` is no id of an override", fix="leave it out")


def given(order: OverrideOrder, name: str, now: datetime) -> Override:
    """The override that an order begins."""
    return Override(
        id=name,
        workload=order.workload,
        who=order.who.strip(),
        why=order.why.strip(),
        at=now,
        until=now + timedelta(seconds=order.for_s),
        run_key=order.run_key,
    )


def bound(override: Override, run_key: str, overrode: Overrode, target: str) -> Override:
    """The override once its run is known; the same run gives the same action, whoever asks."""
    latest = overrode.latest_safe_start or override.until
    change = StartJob(run_key, override.at, latest)
    action = Action(
        id=action_id(overrode.decision_id, target, change),
        target=target,
        change=change,
        decision_id=overrode.decision_id,
        expires=override.until,
        actor=override.who,
        by_person=True,
    )
    return replace(
        override, state=OverrideState.ORDERED, run_key=run_key, overrode=overrode, action=action
    )


def back(override: Override, who: str, now: datetime) -> Action | None:
    """The order that gives a run its planned start again; none where nothing was ordered."""
    action, overrode = override.action, override.overrode
    if action is None or overrode is None or override.run_key is None:
        return None
    planned = max(overrode.start_at, now)
    latest = overrode.latest_safe_start or planned + timedelta(days=1)
    return replace(
        action,
        # Not the loop's own id for this start: its target would take that for done.
        id=f"{action.id}-back",
        change=StartJob(override.run_key, overrode.start_at, latest),
        expires=now + timedelta(hours=1),
        actor=who,
    )


def answered(override: Override, receipt: Receipt) -> Override:
    """The override once its target answered; its first answer counts."""
    return override if override.receipt else replace(override, receipt=receipt)


def failed(override: Override) -> bool:
    """Whether the target did not carry the order out."""
    return override.receipt is not None and override.receipt.outcome not in DONE


def ended(
    override: Override, state: OverrideState, now: datetime, by: str | None = None
) -> Override:
    """The override at its end; one that has ended stays as it is."""
    if override.ended_at is not None:
        return override
    return replace(override, state=state, ended_at=now, ended_by=by)
