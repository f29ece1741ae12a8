"""Run now: a person releases the run of a decision, with name and reason, and sees what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from greenops.domain.decision import Decision
from greenops.domain.override import OPEN, Held, Override, OverrideOrder, OverrideState
from greenops.errors import GreenOpsError
from greenops.show import format as show
from greenops.show import parts, tables
from greenops.show.control import Control


def form(control: Control, decision: Decision) -> None:
    """The form under a decision; off, with the reason, where its run is not held."""
    st.markdown("**Run now**")
    held, given = parts.ask(control.held), parts.ask(control.overrides)
    if held is None or given is None:
        return
    of_run = [each for each in given if each.run_key == decision.job_id]
    off = why_off(decision, held, of_run)
    left, right = st.columns([1, 2])
    who = left.text_input("Your name", key="override_who", disabled=off is not None)
    why = right.text_input("Why it cannot wait", key="override_why", disabled=off is not None)
    missing = off or why_incomplete(who, why)
    order = OverrideOrder(decision.workload, who.strip(), why.strip(), run_key=decision.job_id)
    st.button(
        "Run now",
        key="run_now",
        disabled=missing is not None,
        on_click=_ordered,
        args=(control, order),
    )
    st.caption(
        f"Off: {show.plain_text(missing)}"
        if missing
        else "The run starts at once, whatever the plan says; name and reason are kept in the ledger."
    )
    _answer(decision)
    if of_run:
        parts.table(rows(of_run), "Who ordered this run to start now, why, and what came of it", "")


def why_off(decision: Decision, held: Sequence[Held], of_run: Sequence[Override]) -> str | None:
    """Why nobody can order this run; none where one can."""
    if any(each.state is OverrideState.ORDERED for each in of_run):
        return "it is ordered to start now"
    if any(each.run_key == decision.job_id for each in held):
        return None
    if any(each.state is OverrideState.STARTED for each in of_run):
        return "it was ordered to start now, and started"
    return "nothing holds this run: it has started, or nothing stands ready to start it"


def why_incomplete(who: str, why: str) -> str | None:
    """What the person still has to say; none where all is said."""
    if not who.strip():
        return "give your name: it is recorded"
    return None if why.strip() else "say why: it is recorded"


def rows(overrides: Sequence[Override]) -> list[tables.Row]:
    """One row for each override of a run."""
    return [
        {
            "Override": each.id,
            "Who": each.who,
            "Why": each.why,
            "Ordered": show.instant(each.at),
            "Instead of": show.instant(each.overrode.start_at if each.overrode else None),
            "Counts until": show.instant(each.until),
            "State": "open: " * (each.state in OPEN) + each.state.value,
        }
        for each in overrides
    ]


def _ordered(control: Control, order: OverrideOrder) -> None:
    # Runs before the page is drawn anew: what is ordered is the run that was on the screen.
    try:
        said: Override | str = control.override(order)
    except GreenOpsError as error:
        said = str(error)
    st.session_state["override"] = (order.run_key, said)


def _answer(decision: Decision) -> None:
    run_key, said = st.session_state.get("override", (None, None))
    if run_key != decision.job_id:
        return
    if isinstance(said, Override):
        st.success(show.plain_text(f"{said.run_key}: {said.state.value}, {said.id} by {said.who}"))
    else:
        st.error(show.plain_text(str(said)))
