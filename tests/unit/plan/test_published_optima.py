"""What papers printed, computed anew from their data: all rows of one, single figures of two others."""

from __future__ import annotations

import pytest

from tests.bench.scheduling_parts import anchors, data


@pytest.fixture(autouse=True)
def _with_reference_data(reference_data):
    """Skip where the data are not there."""


def test_every_optimum_of_the_limitations_paper_is_found():
    mismatches, rows = anchors.limitations()

    assert (mismatches, rows) == (0, 78_678)


def test_two_policies_of_gaia_come_out_as_printed_and_pieces_beat_all_that_it_printed():
    worst, found = anchors.gaia_1k()

    assert worst <= 1e-6
    assert found["gaia_ours"] == pytest.approx(0.5461962, abs=1e-7)
    assert found["gaia_ours"] < min(0.607509, 0.639105, found["Lowest-Window"])


@pytest.mark.parametrize("quirks", [True, False])
def test_lets_wait_awhile_saves_what_it_printed_with_its_quirks_and_a_little_else_without(quirks):
    true, jobs = data.germany_2020(), anchors.project_jobs()
    column = {True: "lwa_semantics_measured_pct", False: "clean_measured_pct"}[quirks]

    rows = [r for r in data.anchors()["lwa_ml"]["rows"] if r["forecast_error_sd"] == 0]

    for row in rows:
        saved = anchors.project(true, jobs, row, quirks=quirks)
        assert saved == pytest.approx(row[column], abs=0.001)
