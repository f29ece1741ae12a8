"""What-if: other bounds, their effect, and a button that sends the choice to its target."""

from __future__ import annotations

import re
from typing import Final

import streamlit as st

from greenops.domain.console import SendOrder, WhatIfAnswer, WhatIfQuestion
from greenops.domain.evidence import AvoidedEmissions
from greenops.errors import GreenOpsError
from greenops.show import cadence, charts, parts, tables
from greenops.show import format as show
from greenops.show.control import Control

EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def page(control: Control) -> None:
    """The page; each change of a slider asks the API again."""
    st.title("What-if")
    st.caption("Other bounds for one workload. All policies hold all the same.")
    st.fragment(_live)(control)


def _live(control: Control) -> None:
    overview = parts.ask(control.overview)
    decisions = parts.ask(control.decisions) if overview is not None else None
    if overview is None or decisions is None:
        return
    names = tables.workload_names(overview, decisions)
    left, right = st.columns([1, 2], gap="large")
    with left:
        question = _question(names)
    with right:
        banner = tables.replay_line(overview)
        if banner:
            st.warning(f"**{banner}**")
        answer = parts.ask(lambda: control.what_if(question)) if question else None
        if answer is not None:
            _result(answer)
    if answer is not None:
        with left:
            _send(control, answer)


def _question(names: list[str]) -> WhatIfQuestion | None:
    workload = st.selectbox(
        "Workload", names, accept_new_options=True, key="workload", placeholder="name a workload"
    )
    delay = st.slider("Longest delay of the end [h]", 1, 48, 12, key="delay")
    cost = st.slider("Extra cost allowed [%]", 0, 50, 10, key="cost")
    moves = st.toggle("Other regions count", value=True, key="moves")
    if not workload:
        st.info("Name a workload that is declared in the policy folder.")
        return None
    return WhatIfQuestion(str(workload), float(delay), cost / 100, bool(moves))


def _spread(avoided: AvoidedEmissions) -> str:
    return f"{show.grams_range(avoided.low, avoided.high)} (90 %)"


def _result(answer: WhatIfAnswer) -> None:
    chosen, avoided = answer.decision.chosen, answer.avoided
    estimate = None if avoided is None else avoided.estimate
    detail = "" if avoided is None else _spread(avoided)
    grade = "" if avoided is None else f", grade {avoided.grade.value}"
    parts.metrics(
        {
            "Runs in": (chosen.region or show.NOT_KNOWN, f"starts {show.instant(chosen.start)}"),
            f"CO2e avoided (forecast{grade})": (show.grams(estimate), detail),
            "Extra cost": (
                show.signed(show.usd(answer.extra_cost_usd)),
                f"in all {show.usd(chosen.cost_usd)}",
            ),
        }
    )
    st.markdown(f"**Why:** {show.plain_text(answer.decision.reason)}")
    parts.table(
        tables.turned(tables.comparison_rows(answer.decision)),
        "Chosen candidate, baseline and runner-up: place, time, carbon, cost",
        "",
    )
    if answer.frontier:
        st.markdown("**What waiting longer would give**")
        st.vega_lite_chart(
            charts.frontier_spec(answer), width="stretch", alt=charts.frontier_alt(answer.frontier)
        )
    if answer.cadences:
        st.markdown("**What a day costs at other cadences**")
        parts.table(cadence.rows(answer.cadences), cadence.ALT, "")
        st.caption(cadence.NOTE)


def why_off(answer: WhatIfAnswer, actor: str) -> str | None:
    """Why the button is off; none where it is on."""
    if not answer.sendable:
        return answer.why_not or "the control plane does not say why"
    return None if EMAIL.fullmatch(actor.strip()) else "give your e-mail address: it is recorded"


def _send(control: Control, answer: WhatIfAnswer) -> None:
    st.divider()
    actor = st.text_input("Your e-mail address", key="actor", disabled=not answer.sendable)
    reason = why_off(answer, actor)
    order = SendOrder(answer.id, actor.strip())
    st.button(
        "Send",
        key="send",
        type="primary",
        disabled=reason is not None,
        on_click=_sent,
        args=(control, order),
    )
    st.caption(
        f"Off: {show.plain_text(reason)}"
        if reason
        else "The policies are checked again; order and receipt are kept in the ledger."
    )
    receipt = st.session_state.get("receipt")
    if isinstance(receipt, str):
        st.error(show.plain_text(receipt))
    elif receipt is not None:
        st.success(show.plain_text(tables.receipt_line(receipt)))


def _sent(control: Control, order: SendOrder) -> None:
    # Runs before the page is drawn anew, so what is sent is the answer that was on the screen.
    try:
        st.session_state["receipt"] = control.send(order)
    except GreenOpsError as error:
        st.session_state["receipt"] = str(error)
