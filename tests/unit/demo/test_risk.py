from __future__ import annotations

import numpy as np
import pytest

from greenops.demo.catalogue import products
from greenops.demo.page import page
from greenops.demo.risk import area_under_curve, train


def test_the_risk_model_learns_what_it_never_saw():
    assert train().auc > 0.8


def test_training_is_the_same_every_time():
    assert np.array_equal(train(rows=2000, epochs=1).w1, train(rows=2000, epochs=1).w1)


@pytest.mark.parametrize(
    ("score", "expected"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 3, 2, 4], 0.75)]
)
def test_the_area_under_the_curve_is_the_share_of_right_pairs(score, expected):
    truth = np.array([0.0, 0.0, 1.0, 1.0])

    assert area_under_curve(np.array(score, dtype=float), truth) == expected


def test_the_catalogue_has_distinct_products():
    found = products()

    assert len({each.id for each in found}) == len(found) == 280
    assert all(each.price_usd > 0 and each.text for each in found)


def test_a_page_shows_what_is_not_known_as_such():
    place = dict.fromkeys(("region", "pool", "start", "end", "carbon_g", "cost_usd"))
    found = {
        "replay": None,
        "services": [
            {
                "service": "s",
                "regions": [],
                "requests": 0,
                "energy_j_per_request": None,
                "carbon_g_per_request": None,
                "low": None,
                "high": None,
                "method": None,
            }
        ],
        "spans": 0,
        "spans_with_energy": 0,
        "conservation_residual_ratio": None,
        "attributed_share": None,
        "decisions": [
            {"workload": "w", "reason": "r", "baseline": place, "chosen": place, "rejected": {}}
        ],
        "actions": [],
        "avoided_g": None,
        "ledger": {
            "entries": 1,
            "checkpoints": 0,
            "recomputed": 0,
            "verified": False,
            "problems": ["line 1 is wrong"],
        },
    }

    text = page(found)

    assert "not known" in text
    assert "NOT VERIFIED: line 1 is wrong" in text
    assert "nothing yet" in text
    assert " 0 J" not in text
