"""Region and start together, with what moving data costs and emits: all ways by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.places import MovableJobs, Placed, Places, best_places
from greenops.plan.slot_table import SlotTable

STEP = 3600
SLOTS = 6
values = st.one_of(st.integers(0, 5).map(lambda n: n * 100.0), st.just(np.nan))


def places(**more: object) -> Places:
    given_places: dict[str, object] = {
        "zone": np.array([0, 1, 2]),
        "pue": np.array([1.0, 1.1, 1.0]),
        "usd_per_hour": np.array([1.0, 1.25, 0.5]),
        "usd_per_gb": np.array([0.0625, 0.125, 0.25]),
    }
    return Places(**{**given_places, **more})  # type: ignore[arg-type]


def jobs(count: int = 1, **more: object) -> MovableJobs:
    each: dict[str, object] = {
        "home": 0,
        "earliest_s": 0,
        "deadline_s": SLOTS * STEP,
        "duration_s": 2 * STEP,
        "energy_kwh": 10.0,
        "transfer_gb": 0.0,
        "most_usd": np.inf,
    }
    columns = {name: np.full(count, more.pop(name, value)) for name, value in each.items()}
    allowed = more.pop("allowed", np.ones((count, 3), bool))
    return MovableJobs(**columns, allowed=allowed, **more)  # type: ignore[arg-type]


@given(
    st.lists(st.lists(values, min_size=SLOTS, max_size=SLOTS), min_size=3, max_size=3),
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.lists(st.booleans(), min_size=3, max_size=3),
            st.integers(0, SLOTS - 1),
            st.integers(1, SLOTS),
            st.sampled_from([0.0, 8.0, 64.0]),
            st.sampled_from([np.inf, 6.0, 3.0, 1.0]),
        ),
        min_size=1,
        max_size=5,
    ),
)
@settings(deadline=None, derandomize=True)
def test_the_way_with_the_least_emissions_within_its_cost_is_chosen(grid, drawn):
    grid, table = np.array(grid), SlotTable.of(grid, STEP)
    home, may, earliest, hours, moved, most = (np.array(each) for each in zip(*drawn, strict=True))
    asked = jobs(
        len(drawn),
        home=home,
        earliest_s=earliest * STEP,
        duration_s=hours * STEP,
        transfer_gb=moved,
        most_usd=most,
        allowed=may,
        network_kwh_per_gb=0.25,
    )
    regions = places()

    found = best_places(table, regions, asked)

    for at in range(len(drawn)):
        ways = []
        for region in np.flatnonzero(may[at]):
            away = region != home[at]
            network = moved[at] * 0.25 / 2 if away else 0.0
            cost = (
                regions.usd_per_hour[region] * hours[at]
                + away * moved[at] * (regions.usd_per_gb[home[at]])
            )
            for start in range(earliest[at], SLOTS - hours[at] + 1):
                own = grid[region, start : start + hours[at]].mean()
                far = grid[home[at], start : start + hours[at]].mean() if network else 0.0
                grams = own * (10.0 * regions.pue[region] + network) + far * network
                if not np.isnan(grams) and cost <= most[at]:
                    ways.append((round(grams, 6), away, start * STEP, region, cost))
        if not ways:
            assert (found.region[at], found.start_s[at]) == (-1, -1)
            assert np.isnan(found.carbon_g[at])
            continue
        best = min(ways)
        assert found.carbon_g[at] == pytest.approx(best[0], abs=2e-6)
        assert (found.region[at], found.start_s[at]) == (best[3], best[2])
        assert found.cost_usd[at] == pytest.approx(best[4])


def only(found: Placed) -> tuple[int, int]:
    return int(found.region[0]), int(found.start_s[0])


def test_home_wins_what_ties_even_where_another_region_could_start_earlier():
    table = SlotTable.of([[9, 5, 5], [5, 5, 5], [9, 9, 9.0]], STEP)
    regions = places(pue=np.ones(3))

    assert only(best_places(table, regions, jobs())) == (0, STEP)


def test_moving_data_may_emit_more_than_the_cleaner_grid_saves():
    table = SlotTable.of([[300.0] * 3, [250.0] * 3, [900.0] * 3], STEP)
    regions = places(pue=np.ones(3))
    light, heavy = (jobs(transfer_gb=gb, network_kwh_per_gb=0.01) for gb in (1.0, 1000.0))

    assert only(best_places(table, regions, light)) == (1, 0)
    assert only(best_places(table, regions, heavy)) == (0, 0)


def test_an_unknown_price_is_no_way_within_a_bound_and_one_without():
    table = SlotTable.of([[300.0] * 3, [100.0] * 3, [900.0] * 3], STEP)
    regions = places(usd_per_hour=np.array([1.0, np.nan, 1.0]))

    free = best_places(table, regions, jobs())
    bounded = best_places(table, regions, jobs(most_usd=50.0))

    assert only(free) == (1, 0)
    assert np.isnan(free.cost_usd[0])
    assert only(bounded) == (0, 0)


def test_a_job_of_unknown_energy_or_unknown_data_is_not_moved():
    table = SlotTable.of([[300.0] * 3, [100.0] * 3, [900.0] * 3], STEP)

    assert only(best_places(table, places(), jobs(energy_kwh=np.nan))) == (-1, -1)
    assert only(best_places(table, places(), jobs(transfer_gb=np.nan))) == (0, 0)
