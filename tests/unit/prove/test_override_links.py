"""What the ledger says of an override must agree with the decision that it put aside."""

from __future__ import annotations

import pytest

from greenops.domain.evidence import EntryKind
from greenops.prove.links import Links

pytestmark = pytest.mark.feature("C4")

PLACE = {"id": "a", "region": "us-west-1", "start": "2021-10-08T10:00:00Z"}
DECISION = {
    "id": "dec-1",
    "record": {
        "decision": {
            "id": "dec-1",
            "job_id": "night/1",
            "workload": "night",
            "mode": "enforce",
            "replay": False,
            "chosen": PLACE,
            "baseline": PLACE,
            "latest_safe_start": "2021-10-08T18:00:00Z",
        }
    },
}
OVERRIDE = {
    "id": "o-0123456789ab",
    "state": "ordered",
    "workload": "night",
    "run_key": "night/1",
    "who": "jo",
    "why": "the customer waits",
    "at": "2021-10-08T08:00:00Z",
    "until": "2021-10-08T10:00:00Z",
    "overrode": {
        "decision_id": "dec-1",
        "start_at": "2021-10-08T10:00:00Z",
        "latest_safe_start": "2021-10-08T18:00:00Z",
        "reason": "cleaner then",
    },
}


def faults(**changed):
    links = Links()
    assert links.take(EntryKind.DECISION, DECISION) == []
    return links.faults(EntryKind.OVERRIDE, {**OVERRIDE, **changed})


def test_an_override_of_a_known_decision_has_no_fault():
    assert faults() == []


def test_one_that_waits_for_its_run_needs_no_decision():
    waiting = {name: each for name, each in OVERRIDE.items() if name not in ("overrode", "run_key")}

    assert Links().faults(EntryKind.OVERRIDE, waiting) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"who": " "}, "does not say `who`"),
        ({"why": ""}, "does not say `why`"),
        ({"until": OVERRIDE["at"]}, "was over before it began"),
        ({"run_key": "night/2"}, "says `run_key` is `night/2`, its decision `night/1`"),
        ({"workload": "day"}, "says `workload` is `day`"),
        ({"overrode": {**OVERRIDE["overrode"], "decision_id": "dec-2"}}, "no earlier line holds"),
        (
            {"overrode": {**OVERRIDE["overrode"], "latest_safe_start": "2021-10-09T18:00:00Z"}},
            "put a latest safe start of 2021-10-09T18:00:00Z aside",
        ),
        ({"why": None}, "lacks what others refer to"),
    ],
)
def test_what_does_not_agree_is_told(changed, says):
    (fault,) = faults(**changed)

    assert says in fault
