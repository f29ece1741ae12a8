"""Decisions: what was chosen, against what, why, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Decision
from greenops.show import charts, parts, run_now, tables
from greenops.show import format as show
from greenops.show.control import Control


def page(control: Control) -> None:
    """The page; `?id=` opens one decision."""
    st.title("Decisions")
    decisions = parts.ask(control.decisions)
    if decisions is None:
        return
    if not decisions:
        st.info(
            "Nothing was decided yet: `greenops run --workload NAME -- CMD` asks for the first."
        )
        return
    parts.table(tables.decision_rows(decisions), "All decisions, newest first", "")
    chosen = _select(decisions)
    record = parts.ask(lambda: control.decision(chosen))
    if record is not None:
        _detail(control, record)


def _select(decisions: Sequence[Decision]) -> str:
    rows = tables.decision_rows(decisions)
    names = {
        row["Decision"]: f"{row['Workload']}, {row['Decided']}, {row['Decision']}" for row in rows
    }
    ids = list(names)
    wanted = st.query_params.get("id")
    index = ids.index(wanted) if wanted in ids else 0
    return str(
        st.selectbox("Decision", ids, index=index, format_func=names.__getitem__, key="decision")
    )


def _detail(control: Control, record: DecisionRecord) -> None:
    decision = record.decision
    st.subheader(f"Why: {show.plain_text(decision.reason)}")
    for line in flags(decision):
        st.warning(line)
    limits = tables.three_numbers(decision)
    parts.metrics({name: (value, None) for name, value in limits.items()})
    parts.table(
        tables.comparison_rows(decision),
        "Chosen candidate, baseline and runner-up: place, time, carbon, cost",
        "",
    )
    run_now.form(control, decision)
    chart = charts.candidates_spec(record)
    if chart is not None:
        st.markdown("**Every way there was**")
        st.vega_lite_chart(chart, width="stretch", alt=charts.candidates_alt(record))
    st.markdown("**Refused candidates, by rule**")
    parts.table(
        tables.rejection_rows(record),
        "Rules that refused candidates, with the sentence of the rule's author",
        "No rule refused a candidate.",
    )
    st.markdown("**Receipts**")
    parts.table(
        tables.receipt_rows(record.receipts),
        "What the targets did with this decision",
        "No target has answered yet.",
    )
    with st.expander("What it rested on"):
        parts.table(basis_rows(decision), "Policies, hash, forecasts and latest safe start", "")


def flags(decision: Decision) -> list[str]:
    """What a reader must not overlook, a sentence each."""
    found = {
        "REPLAY: decided on recorded data that is played back.": decision.replay,
        "Held out: decided and logged, not moved, to measure the saving.": decision.held_out,
        "The baseline itself breaks a hard rule.": decision.noncompliant_baseline,
        f"Exception `{decision.exception}` was in force.": decision.exception is not None,
    }
    return [sentence for sentence, holds in found.items() if holds]


def basis_rows(decision: Decision) -> list[tables.Row]:
    """Names of everything that the decision can be made again from."""
    pairs = {
        "Policies": ", ".join(decision.policies) or "none matched",
        "Policy hash (SHA-256)": decision.policy_hash,
        "Objective": decision.objective or "none",
        "Mode": decision.mode.value,
        "Latest safe start": show.instant(decision.latest_safe_start),
        **{f"Forecast for {zone}": name for zone, name in decision.forecast_ids.items()},
    }
    return [{"What": what, "Value": value} for what, value in pairs.items()]
