"""The console shows what the API says, and sends what was on the screen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from greenops.adapters.control_client import ControlClient
from greenops.adapters.packaged import packaged
from greenops.domain.evidence import Verification
from greenops.domain.footprint import CacheSavings, RemoteEnergy, TokenCurve, TokenPoint
from greenops.show import tables

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(60)]


def overview() -> None:
    import os

    from greenops.adapters.control_client import ControlClient
    from greenops.show import overview_page

    overview_page.page(ControlClient(os.environ["GREENOPS_API"]))


def decisions() -> None:
    import os

    from greenops.adapters.control_client import ControlClient
    from greenops.show import decisions_page

    decisions_page.page(ControlClient(os.environ["GREENOPS_API"]))


def what_if() -> None:
    import os

    from greenops.adapters.control_client import ControlClient
    from greenops.show import what_if_page

    what_if_page.page(ControlClient(os.environ["GREENOPS_API"]))


def opened(page) -> AppTest:
    at = AppTest.from_function(page, default_timeout=20).run()
    assert not at.exception
    return at


def cards(at: AppTest) -> dict[str, tuple[str, str]]:
    return {each.label: (each.value, each.delta) for each in at.metric}


def rows(at: AppTest, number: int) -> list[dict[str, str]]:
    return list(at.dataframe[number].value.to_dict("records"))


def test_the_app_file_opens_on_the_overview(api):
    at = AppTest.from_file(str(packaged("app.py")), default_timeout=20).run()

    assert not at.exception
    assert at.title[0].value == "Overview"


def test_the_overview_shows_used_avoided_and_whether_it_adds_up(api):
    shown = cards(opened(overview))

    assert shown["CO2e so far (location-based, average)"] == (
        "310 mg",
        "1 service not known, left out",
    )
    assert shown["Energy metered"] == ("8.50 kJ", "2.36 Wh")
    assert shown["CO2e avoided (estimate)"] == ("1.09 kg", "960 g to 1.21 kg (90 %), grade B")
    assert shown["Conservation residual"][0] == "0.04 %"
    assert shown["Spans with energy"][0] == "97.4 %"
    assert shown["Attributed share"][0] == "94.5 %"


def test_a_ledger_whose_end_is_not_signed_yet_says_that_and_no_more(api):
    api.overview = replace(api.overview, ledger=Verification(7, 1, 2, signed=5))

    shown = cards(opened(overview))["Decisions and receipts"]

    assert shown[1] == "ledger: the last 2 of 7 not signed yet"


@pytest.mark.feature("K8")
def test_a_replay_says_loudly_what_is_not_live(api):
    at = opened(overview)

    assert "REPLAY" in at.warning[0].value
    assert "1,440 times" in at.warning[0].value
    assert "carbon and decisions are not live" in at.warning[0].value
    assert {row["Data"] for row in rows(at, 2)} == {"REPLAY, not live"}


def test_live_data_bears_no_replay_mark(api):
    api.overview = replace(api.overview, replay=None)

    at = opened(overview)

    assert not at.warning
    assert {row["Data"] for row in rows(at, 2)} == {"live"}


def test_what_is_not_known_is_never_shown_as_zero(api):
    api.overview = replace(
        api.overview,
        services=api.overview.services[1:],
        energy={},
        conservation_residual_ratio=None,
        attributed_share=None,
        avoided=None,
        ledger=None,
        intensity={},
        routes={},
        spans=0,
    )

    at = opened(overview)

    shown = cards(at)
    unknown = [label for label, (value, _) in shown.items() if value == "not known"]
    assert len(unknown) == 8
    assert shown["Decisions and receipts"] == ("2 and 1", "ledger not known")
    assert rows(at, 0)[0]["J per request"] == "not known"


def headings(at: AppTest) -> list[str]:
    return [each.value for each in at.subheader]


@pytest.mark.feature("A2", "F1", "G1")
def test_what_no_row_tells_has_no_table_and_what_rows_tell_has_its_own(api):
    beside = {"Language models served elsewhere", "Caches", "Energy per token by calls at once"}
    without = headings(opened(overview))
    points = (TokenPoint(1, 20, 4.0), TokenPoint(8, 20, 1.0))
    api.overview = replace(
        api.overview,
        remote=(RemoteEnergy("assistant", "estimated", 2, 900.0, 300.0, 2700.0, None, 1),),
        caches=(CacheSavings("search", "candidates", 75, 20, 5, 6000.0, 0.7, 90.0, 12.0),),
        curves=(TokenCurve("llm in r", 40, points, (1.4, -0.7), 0.04),),
    )

    at = opened(overview)

    assert not beside & set(without)
    assert beside <= set(headings(at))
    shown = [row for table in at.dataframe for row in table.value.to_dict("records")]
    assert "300 J to 2.70 kJ" in [row.get("90 % range") for row in shown]
    assert cards(at)["Energy metered"][0] == "8.50 kJ"


@pytest.mark.feature("H3")
def test_a_switch_takes_the_making_of_machines_into_the_score(api):
    search = replace(api.overview.services[0], embodied_g_per_request=0.00031)
    api.overview = replace(api.overview, services=(search,))
    at = opened(overview)
    (off,) = rows(at, len(at.dataframe) - 1)

    at.toggle(key="sci_embodied").set_value(True).run()

    (on,) = rows(at, len(at.dataframe) - 1)
    assert (off["SCI per request"], on["SCI per request"]) == ("310 µg", "620 µg")


@pytest.mark.feature("K8")
def test_the_decisions_shown_are_those_of_the_api(api):
    at = opened(decisions)

    client = ControlClient(api.url)
    assert rows(at, 0) == tables.decision_rows(client.decisions())
    assert [row["Decision"] for row in rows(at, 0)] == [each.id for each in client.decisions()]
    assert rows(at, 1) == tables.comparison_rows(client.decision("d-0001").decision)


@pytest.mark.feature("C1", "C10")
def test_a_decision_shows_its_three_numbers_and_why_others_were_refused(api):
    at = opened(decisions)

    assert {label: value for label, (value, _) in cards(at).items()} == {
        "Deadline": "2021-10-08 20:00 UTC",
        "Maximum cost": "baseline + 10 %",
        "Maximum carbon": "baseline - 15 %",
    }
    assert rows(at, 2)[0] == {
        "Rule": "limit/maxCost",
        "Refused": "2",
        "Why": "over 110 %",
        "For example": "us-east-1/a",
    }
    assert rows(at, 3)[0]["On time"] == "on time"
    basis = {row["What"]: row["Value"] for row in rows(at, 4)}
    assert basis["Policy hash (SHA-256)"] == "ab" * 32
    assert basis["Forecast for SE"] == "carboncast/SE/2021-10-08T00:00Z"


def test_a_link_opens_one_decision(api):
    at = AppTest.from_function(decisions, default_timeout=20)
    at.query_params["id"] = "d-0000"

    at.run()

    assert at.selectbox[0].value == "d-0000"
    assert "stay at home" in at.subheader[0].value


def test_no_decisions_says_how_to_get_the_first(api):
    api.decisions = ()

    assert "greenops run" in opened(decisions).info[0].value


@pytest.mark.feature("K8")
def test_a_slider_asks_the_api_and_shows_its_answer(api):
    at = opened(what_if)

    at.slider(key="delay").set_value(24).run()
    at.toggle(key="moves").set_value(False).run()

    asked = api.questions[-1]
    assert (asked.workload, asked.max_delay_h, asked.max_cost_increase, asked.move_regions) == (
        "nightly-enrichment",
        24.0,
        0.10,
        False,
    )
    assert cards(at)["CO2e avoided (forecast, grade D)"][0] == "2.40 kg"
    assert cards(at)["Extra cost"][0] == "+0.04 USD"


@pytest.mark.feature("B13")
def test_the_cadences_that_the_api_gave_are_shown_as_it_gave_them(api):
    at = opened(what_if)

    table = next(each.value for each in at.dataframe if "Runs a day" in each.value.columns)

    assert table.to_dict("list") == {
        "Every": ["1 h", "24 h", "30 min"],
        "Runs a day": ["24", "1", "48"],
        "CO2e a day, fixed times": ["4.32 kg", "187 g", "runs longer than that"],
        "CO2e a day, best times": ["4.21 kg", "not known", "not known"],
        "90 % range": ["3.90 kg to 4.60 kg", "not known", "not known"],
        "Cost a day": ["6.50 USD", "not known", "not known"],
        "Longest gap, best times": ["1 h 30 min", "not known", "not known"],
    }


@pytest.mark.feature("K8")
def test_send_returns_the_receipt_of_the_answer_that_was_shown(api):
    at = opened(what_if)
    assert at.button(key="send").disabled
    at.text_input(key="actor").set_value("ops@example.org").run()
    shown = f"w-{len(api.questions)}"

    at.button(key="send").click().run()

    assert [(each.answer_id, each.actor) for each in api.orders] == [(shown, "ops@example.org")]
    assert "applied at" in at.success[0].value
    assert "ops@example" in at.success[0].value


def test_a_refused_order_is_said_in_one_line(api):
    api.refuse_send = "GO0601 the policies no longer allow it"
    at = opened(what_if)
    at.text_input(key="actor").set_value("ops@example.org").run()

    at.button(key="send").click().run()

    assert not at.success
    assert "the policies no longer allow it" in at.error[0].value


def test_what_cannot_be_sent_says_why(api):
    api.sendable = False

    at = opened(what_if)

    assert at.button(key="send").disabled
    assert "Off: the workload has no target" in [each.value for each in at.caption]


def test_a_console_that_knows_no_workload_asks_for_one(api):
    api.overview, api.decisions = replace(api.overview, services=()), ()

    at = opened(what_if)

    assert "Name a workload" in at.info[0].value
    assert not api.questions


@pytest.mark.parametrize("page", [overview, decisions, what_if])
def test_a_server_that_is_away_gives_one_line_that_says_how_to_start_it(page, monkeypatch):
    monkeypatch.setenv("GREENOPS_API", "http://127.0.0.1:9")

    at = opened(page)

    assert [("greenops serve" in each.value) for each in at.error] == [True]
