"""The console: three pages over one control plane."""

from __future__ import annotations

import os
from functools import partial

import streamlit as st

from greenops.adapters.control_client import ControlClient
from greenops.show import decisions_page, overview_page, what_if_page
from greenops.show.control import Control, api_url


def main(control: Control | None = None) -> None:
    """Show the page the person chose.

    Args:
        control: What to ask; a client of `$GREENOPS_API` where none is given.
    """
    st.set_page_config(page_title="GreenOps", layout="wide")
    asked: Control = control if control is not None else ControlClient(api_url(os.environ))
    pages = [
        st.Page(
            partial(overview_page.page, asked), title="Overview", url_path="overview", default=True
        ),
        st.Page(partial(decisions_page.page, asked), title="Decisions", url_path="decisions"),
        st.Page(partial(what_if_page.page, asked), title="What-if", url_path="what-if"),
    ]
    st.navigation(pages, position="top").run()
