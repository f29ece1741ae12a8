"""Small pieces that every page uses: metrics in a row, tables with alt text, errors as one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import streamlit as st

from greenops.errors import AdapterUnavailable, GreenOpsError
from greenops.show.format import plain_text
from greenops.show.tables import Row

T = TypeVar("T")

HOW_TO_START = "start it with `greenops serve`, or set `GREENOPS_API` to where it listens"


def ask(question: Callable[[], T]) -> T | None:
    """The answer; none, with one line on the page, where the control plane gives none."""
    try:
        return question()
    except AdapterUnavailable as error:
        st.error(f"{plain_text(f'{error.code} {error.message}')}; {HOW_TO_START}")
    except GreenOpsError as error:
        st.error(plain_text(str(error)))
    return None


def metrics(values: Mapping[str, tuple[str, str | None]]) -> None:
    """A row of equal cards: label → (value, line below or none); labels carry the unit."""
    for column, (label, (value, below)) in zip(
        st.columns(len(values)), values.items(), strict=True
    ):
        column.metric(
            label,
            value,
            delta=below,
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
        )


def table(rows: Sequence[Row], alt: str, empty: str) -> None:
    """A table for sighted people and screen readers; `empty` is said where there are no rows."""
    if not rows:
        st.caption(empty)
        return
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    st.dataframe(columns, hide_index=True, width="stretch", alt=alt)
