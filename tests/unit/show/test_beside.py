"""What stands beside metered energy: its own tables, ranges, and nothing where nothing is known."""

# Hand-made records: plain numbers stand for grams and joules.
# mypy: disable-error-code="arg-type,dict-item"
from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from greenops.domain.console import Overview, ServiceFootprint
from greenops.domain.footprint import CacheSavings, Fleet, RemoteEnergy, TokenCurve, TokenPoint
from greenops.domain.record import plain, restore
from greenops.show import beside, tables

DAY = datetime(2021, 10, 8, tzinfo=UTC)
SERVICE = ServiceFootprint(
    "s", None, (), 10, 30, 1000.0, 800.0, 1200.0, 0.5, None, 100.0, 0.05, "measured"
)
CALLS = RemoteEnergy("s", "estimated", 12, 9600.0, 3200.0, 28800.0, 1.5, 0, 12, 3000, 3.2)
CACHE = CacheSavings("s", "embeddings", 75, 20, 5, 6000.0, 0.7, 90.0, 12.0)
CURVE = TokenCurve(
    "llm in r", 40, (TokenPoint(1, 20, 4.0), TokenPoint(8, 20, 1.0)), (1.3863, -0.6667), 0.04
)
OVERVIEW = Overview(
    DAY, None, (SERVICE,), 30, 30, 0, {"attributed": 1000.0, "overhead": 2.0}, 0.0, 1.0, {}, {}, 0,
    0, None, None, {"attributed": 0.5, "overhead": 0.001}, (CALLS,), Fleet(10, None, 1e3, None),
    (CACHE,), (CURVE,), 0.0021,
)  # fmt: skip


def test_the_overview_goes_to_json_and_back_with_all_of_it():
    assert restore(Overview, json.loads(json.dumps(plain(OVERVIEW)))) == OVERVIEW


@pytest.mark.feature("A2")
def test_calls_to_elsewhere_show_their_method_and_both_ends_of_their_range():
    (row,) = beside.remote_rows([CALLS])

    assert (row["Method"], row["Calls"]) == ("estimated", "12")
    assert (row["Energy elsewhere"], row["90 % range"]) == ("9.60 kJ", "3.20 kJ to 28.8 kJ")
    assert row["CO2e (location-based)"] == "1.50 g"


def test_calls_that_count_where_they_were_served_are_told_and_are_not_zero():
    none_left = replace(CALLS, calls=0, energy_j=0.0, carbon_g=None, superseded=3)

    (row,) = beside.remote_rows([none_left])

    assert row["Energy elsewhere"] == row["90 % range"] == "not known"
    assert row["Left out (server metered)"] == "3"
    assert "3 calls are left out" in beside.remote_line([none_left])
    assert "left out" not in beside.remote_line([CALLS])


def test_grams_of_some_calls_alone_say_so():
    (row,) = beside.remote_rows([replace(CALLS, calls_with_carbon=4)])

    assert row["CO2e (location-based)"] == "1.50 g of 4 calls; the others not known"


@pytest.mark.feature("H3", "I1")
def test_embodied_and_network_have_columns_of_their_own_and_the_network_no_middle():
    carried = replace(SERVICE, embodied_g=0.25, network_low_j=2.0, network_high_j=120.0)

    (row,) = beside.part_rows([carried, replace(SERVICE, service="bare")])

    assert row == {
        "Service": "s",
        "Embodied CO2e": "250 mg",
        "Network, low to high": "2.00 J to 120 J",
    }
    (service,) = tables.service_rows([carried])
    assert service == tables.service_rows([SERVICE])[0]


@pytest.mark.feature("J6")
def test_energy_per_item_and_per_token_are_shown():
    (row,) = beside.part_rows(
        [replace(SERVICE, energy_j_per_item=0.158, energy_j_per_output_token=0.741)]
    )

    assert (row["J per item"], row["J per output token"]) == ("158 mJ", "741 mJ")
    assert beside.remote_rows([CALLS])[0]["J per output token"] == "3.20 J"


@pytest.mark.feature("H3", "J5")
def test_the_making_of_machines_is_in_the_score_only_where_it_is_switched_on():
    made = replace(SERVICE, embodied_g=0.25, embodied_g_per_request=0.025)

    off, on = (beside.sci_rows([made], embodied=each)[0] for each in (False, True))

    assert (off["SCI per request"], off["Embodied, M"]) == ("50.0 mg", "left out")
    assert (on["SCI per request"], on["Embodied, M"]) == ("75.0 mg", "25.0 mg")
    (unknown,) = beside.sci_rows([SERVICE], embodied=True)
    assert (unknown["SCI per request"], unknown["Embodied, M"]) == ("not known", "not known")


@pytest.mark.feature("J7")
def test_the_fleet_is_scaled_from_what_was_seen_and_never_filled_in():
    requests, users = beside.fleet_rows(Fleet(10, None, 3.6e3, 0.5))
    nothing = beside.fleet_rows(Fleet(0, None, None, None))

    assert (requests["Energy metered"], requests["CO2e (location-based)"]) == ("100 kWh", "50.0 kg")
    assert set(users.values()) == {"1 million users", "not known"}
    assert {value for row in nothing for value in list(row.values())[1:]} == {"not known"}
    assert beside.fleet_rows(None) == []


@pytest.mark.feature("F1")
def test_a_cache_shows_hits_what_it_avoided_and_what_it_took():
    (row,) = beside.cache_rows([CACHE])

    assert (row["Hits"], row["Hit rate"]) == ("75", "75.0 %")
    assert (row["Avoided"], row["CO2e avoided"]) == ("6.00 kJ", "700 mg")
    assert (row["Making, per miss"], row["The cache itself"]) == ("90.0 J", "12.0 J")
    (costly,) = beside.cache_rows([replace(CACHE, energy_j=-3.0, carbon_g=None)])
    assert (costly["Avoided"], costly["CO2e avoided"]) == ("-3.00 J", "not known")


@pytest.mark.feature("G1")
def test_the_curve_shows_a_token_alone_and_in_company_and_how_far_it_is_off():
    (row,) = beside.curve_rows([CURVE])

    assert row["Fewest at once"] == "1: 4.00 J per token"
    assert row["Most at once"] == "8: 1.00 J per token"
    assert row["Error at calls left out"] == "4.0 %"
    assert "8: 1.00 J per token" in beside.curve_alt([CURVE])
    values = beside.curve_spec([CURVE])["layer"][0]["data"]["values"]
    assert [each["J"] for each in values] == [4.0, 1.0]


@pytest.mark.feature("O2")
def test_what_greenops_took_itself_stands_beside_what_it_avoided():
    assert beside.own_line(OVERVIEW) == ("1.00 mg", "2.00 J; 0.21 % of the avoided")
    assert beside.own_line(replace(OVERVIEW, own_share=None))[1] == "2.00 J; no saving yet"
    assert beside.own_line(replace(OVERVIEW, energy={}, carbon={}))[0] == "not known"


@pytest.mark.feature("G5")
def test_idle_joules_and_grams_are_a_line_of_their_own():
    seen = replace(OVERVIEW, energy={"attributed": 60.0, "idle": 40.0}, carbon={"idle": 0.004})

    lines = {row["Category"]: row for row in tables.energy_rows(seen)}

    assert lines["idle"] == {
        "Category": "idle",
        "Energy": "40.0 J",
        "Share": "40.0 %",
        "CO2e": "4.00 mg",
    }
    assert lines["attributed to spans"]["CO2e"] == "not known"
