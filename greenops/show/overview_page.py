"""Overview: what was used, where it went, what was decided, and whether it adds up."""

from __future__ import annotations

from typing import Final

import streamlit as st

from greenops.domain.console import Overview
from greenops.domain.evidence import Verification
from greenops.show import beside, parts, tables
from greenops.show import format as show
from greenops.show.control import Control

REFRESH_S: Final = 5.0
"""Wall seconds between two looks of an open page [s]."""


def page(control: Control) -> None:
    """The page; the block below the title asks again every few seconds."""
    st.title("Overview")
    st.fragment(run_every=REFRESH_S)(_live)(control)


def _live(control: Control) -> None:
    overview = parts.ask(control.overview)
    if overview is None:
        return
    banner = tables.replay_line(overview)
    if banner:
        st.warning(f"**{banner}**")
    else:
        st.caption(f"Live data, {show.instant(overview.now)}")
    parts.metrics(used(overview))
    parts.metrics(trust(overview))
    st.subheader("Services")
    parts.table(
        tables.service_rows(overview.services),
        "Energy and carbon of each service, in all and per request, with ranges and method",
        "No service has sent a span yet.",
    )
    st.caption(
        "CO2e is location-based, from average grid intensity at each span's own time and region; "
        "`not known` is never counted as 0."
    )
    _where(overview)
    _beside(overview)


def used(overview: Overview) -> dict[str, tuple[str, str | None]]:
    """First row of cards: carbon, energy, cost, avoided."""
    carbon, no_carbon = tables.known_sum(each.carbon_g for each in overview.services)
    cost, no_cost = tables.known_sum(each.cost_usd for each in overview.services)
    energy, _ = tables.known_sum(overview.energy.values())
    return {
        "CO2e so far (location-based, average)": (show.grams(carbon), _lacking(no_carbon)),
        "Energy metered": (show.joules(energy), _in_kwh(energy)),
        "Cost so far": (show.usd(cost), _lacking(no_cost)),
        "CO2e avoided (estimate)": _avoided(overview),
    }


def trust(overview: Overview) -> dict[str, tuple[str, str | None]]:
    """Second row of cards: does it add up, and how much of it is known."""
    return {
        "Conservation residual": (
            show.percent(overview.conservation_residual_ratio, 2),
            "0 % is exact",
        ),
        "Spans with energy": (
            show.percent(overview.spans_with_energy / overview.spans if overview.spans else None),
            f"{overview.spans_with_energy:,} of {overview.spans:,}; {overview.spans_unknown:,} unknown",
        ),
        "Attributed share": (
            show.percent(overview.attributed_share),
            "of dynamic energy",
        ),
        "Decisions and receipts": (
            f"{overview.decisions:,} and {overview.receipts:,}",
            ledger_line(overview.ledger),
        ),
        "GreenOps itself": beside.own_line(overview),
    }


def ledger_line(ledger: Verification | None) -> str:
    """What the last check of the ledger found, in one line."""
    if ledger is None:
        return f"ledger {show.NOT_KNOWN}"
    if ledger.problems:
        return f"ledger NOT VERIFIED: {ledger.problems[0]}"
    if ledger.unsigned:
        return f"ledger: the last {ledger.unsigned:,} of {ledger.entries:,} not signed yet"
    return f"ledger verified: {ledger.entries:,} entries"


def _where(overview: Overview) -> None:
    kind = "REPLAY, average" if overview.replay else "live, average"
    left, middle, right = st.columns(3)
    with left:
        st.subheader("Energy by category")
        parts.table(
            tables.energy_rows(overview),
            "Energy by category, its share and emissions",
            "Nothing metered yet.",
        )
        st.caption("CO2e off the spans: as much per joule as the services on that machine emit.")
    with middle:
        st.subheader(f"Intensity now ({kind})")
        parts.table(
            tables.intensity_rows(overview),
            f"Average carbon intensity by region, cleanest first, {kind}",
            "Intensity is not known.",
        )
    with right:
        st.subheader("Routes")
        parts.table(
            tables.route_rows(overview),
            "Routes and the share of each backend",
            "No routes are set.",
        )


def _beside(overview: Overview) -> None:
    """Kinds that are in no figure above; those without data leave no empty table behind."""
    if overview.remote:
        st.subheader("Language models served elsewhere")
        parts.table(
            beside.remote_rows(overview.remote),
            "Energy of calls of language models served elsewhere, by service and method, with ranges",
            "",
        )
        st.caption(beside.remote_line(overview.remote))
    found = beside.part_rows(overview.services)
    if found:
        st.subheader("Embodied, network, and energy per unit")
        parts.table(found, "Embodied emissions, the network's band, energy per item and token", "")
        st.caption(
            "Embodied emissions and the network's energy are in no other figure. The network is a "
            "band without a middle: sources differ sixtyfold."
        )
    if overview.caches:
        st.subheader("Caches")
        parts.table(beside.cache_rows(overview.caches), "What each cache avoided and cost", "")
        st.caption(
            "Avoided: hits times what a miss took to make, less what the cache took itself; an "
            "estimate, in no sum of avoided emissions above."
        )
    _tokens(overview)
    _per_unit(overview)


def _tokens(overview: Overview) -> None:
    if not overview.curves:
        return
    st.subheader("Energy per token by calls at once")
    st.vega_lite_chart(
        beside.curve_spec(overview.curves), width="stretch", alt=beside.curve_alt(overview.curves)
    )
    parts.table(beside.curve_rows(overview.curves), "Energy per token alone and in company", "")


def _per_unit(overview: Overview) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Fleet")
        parts.table(
            beside.fleet_rows(overview.fleet),
            "Energy and carbon per million requests and users",
            "Nothing metered yet.",
        )
        st.caption("All metered energy, idle included, scaled from what was seen; nothing assumed.")
    with right:
        st.subheader("Software Carbon Intensity")
        embodied = st.toggle("with the making of machines (M)", key="sci_embodied")
        parts.table(
            beside.sci_rows(overview.services, embodied=embodied),
            "Software Carbon Intensity per request of each service",
            "No service has had a request yet.",
        )


def _avoided(overview: Overview) -> tuple[str, str | None]:
    avoided = overview.avoided
    if avoided is None:
        return show.NOT_KNOWN, "no decision was carried out yet"
    between = show.grams_range(avoided.low, avoided.high)
    return show.grams(avoided.estimate), f"{between} (90 %), grade {avoided.grade.value}"


def _lacking(count: int) -> str | None:
    return f"{count} service{'s' if count > 1 else ''} not known, left out" if count else None


def _in_kwh(energy: float | None) -> str | None:
    return None if energy is None else show.joules_with_kwh(energy).split("(")[1].rstrip(")")
