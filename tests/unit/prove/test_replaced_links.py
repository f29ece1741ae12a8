"""What a verification holds a decision to that takes the place of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenops.domain.evidence import EntryKind
from greenops.domain.record import plain
from greenops.prove.evidence import decision_body, decision_id
from greenops.prove.links import Links
from tests.unit.prove.test_verify import a_decision


def body(number, supersedes):
    record = a_decision(number)
    made = replace(record.decision, supersedes=supersedes)
    return decision_body(
        replace(record, decision=replace(made, id=decision_id(plain(replace(made, id="")))))
    )


def test_a_decision_may_take_the_place_of_an_earlier_one_on_its_run():
    links = Links()
    links.take(EntryKind.DECISION, body(1, None))

    assert links.take(EntryKind.DECISION, body(1, body(1, None)["id"])) == []


@pytest.mark.parametrize(
    ("number", "said"), [(7, "which no earlier line holds"), (2, "which is of another run")]
)
def test_one_that_is_unknown_or_of_another_run_is_found(number, said):
    links = Links()
    links.take(EntryKind.DECISION, body(2, None))

    [fault] = links.faults(EntryKind.DECISION, body(1, body(number, None)["id"]))

    assert said in fault
