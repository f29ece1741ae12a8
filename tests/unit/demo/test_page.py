"""The page that ends a demo says what the object says."""

from __future__ import annotations

import pytest

from greenops.demo.page import counted, page

FOUND = {
    "services": [],
    "spans": 0,
    "spans_with_energy": 0,
    "conservation_residual_ratio": None,
    "attributed_share": None,
    "decisions": [],
    "actions": [
        {
            "target": "local-process",
            "kind": "start_job",
            "outcome": "applied",
            "started_at": "2021-09-17T16:00:00Z",
            "on_time": True,
            "detail": "`nightly-enrichment/2021-09-17` started; exit code 0",
        }
    ],
    "avoided_g": None,
    "ledger": {
        "entries": 1,
        "checkpoints": 2,
        "recomputed": 0,
        "unsigned": 0,
        "verified": True,
        "problems": [],
    },
    "replay": "…",
}


def test_a_detail_is_said_to_its_end():
    assert "nightly-enrichment/2021-09-17 started; exit code 0" in page(FOUND)


def test_what_is_not_known_is_not_a_number():
    text = page(FOUND)

    assert "residual not known" in text
    assert "nothing yet" in text


@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        ({}, "1 entry, 2 signed checkpoints, 0 numbers recomputed: verified"),
        ({"unsigned": 1}, "the last 1 entry not signed yet"),
        ({"problems": ["line 2 is odd"]}, "NOT VERIFIED: line 2 is odd"),
    ],
)
def test_the_ledger_is_said_as_it_was_found(ledger, said):
    assert said in page({**FOUND, "ledger": {**FOUND["ledger"], **ledger}})


def test_one_thing_is_not_many():
    assert [counted(n, "number") for n in (0, 1, 2)] == ["0 numbers", "1 number", "2 numbers"]


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"low": 8.0, "high": 12.0}, "10.0 g avoided (90 %: 8.00 g to 12.0 g, grade B)"),
        ({"low": None, "high": None}, "10.0 g avoided (range not known, grade B)"),
    ],
)
def test_a_saving_is_told_with_its_range_or_with_none(ends, said):
    text = page({**FOUND, "avoided_g": {"estimate": 10.0, "grade": "B", **ends}})

    assert said in " ".join(text.split())
