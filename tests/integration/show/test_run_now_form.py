"""The decisions page orders a held run to start now, and says why it cannot where it cannot."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from greenops.domain.override import Held

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.feature("C4"),
]
KEY = "nightly-enrichment/2021-10-08"


def decisions() -> None:
    import os

    from greenops.adapters.control_client import ControlClient
    from greenops.show import decisions_page

    decisions_page.page(ControlClient(os.environ["GREENOPS_API"]))


@pytest.fixture
def held(api):
    start = api.decisions[0].chosen.start
    api.held = (Held(KEY, "nightly-enrichment", "d-0001", start),)
    return api


def opened() -> AppTest:
    at = AppTest.from_function(decisions, default_timeout=20).run()
    assert not at.exception
    return at


def said(at: AppTest) -> list[str]:
    return [each.value for each in at.caption]


def test_a_run_that_nobody_holds_cannot_be_released_and_the_page_says_so(api):
    at = opened()

    assert at.button(key="run_now").disabled
    assert at.text_input(key="override_who").disabled
    assert any(
        "Off: nothing holds this run: it has started" in each.replace("\\", "") for each in said(at)
    )


def test_name_and_reason_are_asked_for_before_the_button_works(held):
    at = opened()
    assert at.button(key="run_now").disabled
    assert any("give your name" in each for each in said(at))

    at.text_input(key="override_who").input("jo").run()

    assert at.button(key="run_now").disabled
    assert any("say why" in each for each in said(at))


def test_the_button_orders_the_run_on_the_screen_and_shows_who_and_why(held):
    at = opened()
    at.text_input(key="override_who").input("jo").run()
    at.text_input(key="override_why").input("the customer waits").run()

    at.button(key="run_now").click().run()

    assert not at.exception
    (order,) = held.overriding
    assert (order.workload, order.run_key) == ("nightly-enrichment", KEY)
    assert (order.who, order.why) == ("jo", "the customer waits")
    assert "ordered" in at.success[0].value
    assert at.button(key="run_now").disabled
    (row,) = at.dataframe[2].value.to_dict("records")
    assert (row["Who"], row["Why"], row["State"]) == ("jo", "the customer waits", "open: ordered")


def test_a_refusal_is_shown_in_its_own_words(held):
    held.refuse_override = f"GO0664 run `{KEY}` has started already; there is nothing to release"
    at = opened()
    at.text_input(key="override_who").input("jo").run()
    at.text_input(key="override_why").input("the customer waits").run()

    at.button(key="run_now").click().run()

    assert "GO0664" in at.error[0].value
    assert "has started already" in at.error[0].value
