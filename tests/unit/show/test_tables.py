"""What the pages show, made from records; absent is said, never 0."""

# Hand-made records: plain numbers stand for grams and dollars.
# mypy: disable-error-code="arg-type,dict-item"
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import DecisionRecord, Overview, ServiceFootprint
from greenops.domain.decision import Candidate, Decision, Mode, Verdict
from greenops.domain.workload import ClockTime, Limits
from greenops.show import tables
from greenops.show.decisions_page import flags

DAY = datetime(2021, 10, 8, tzinfo=UTC)
DECISION = Decision(
    "d", "j/1", "w", DAY, Candidate("a"), Candidate("b"), None, {}, {}, "why", Mode.SHADOW, (),
    "00", None, Limits(), None, None, {}, replay=False,
)  # fmt: skip
OVERVIEW = Overview(DAY, None, (), 0, 0, 0, {}, None, None, {}, {}, 0, 0, None, None)
SERVICE = ServiceFootprint(
    "s", None, (), 10, 30, 1000.0, 800.0, 1200.0, 0.5, None, 100.0, 0.05, "measured"
)


def numbers(**limits) -> list[str]:
    return list(tables.three_numbers(replace(DECISION, limits=Limits(**limits))).values())


@pytest.mark.feature("C1")
def test_a_number_that_nobody_gave_is_not_set():
    assert numbers() == ["not set", "not set", "not set"]


@pytest.mark.feature("C1")
def test_each_way_to_give_a_number_is_said():
    assert numbers(deadline_within=timedelta(hours=12))[0] == "12 h after submission"
    clock = ClockTime(time(6, 30), "Europe/Berlin")
    assert numbers(deadline_at=clock)[0] == "06:30 Europe/Berlin"
    assert numbers(max_cost_usd=2.5, max_cost_increase=0.1)[1] == "2.50 USD and baseline + 10 %"
    assert numbers(max_carbon_reduction=0.15)[2] == "baseline - 15 %"
    assert numbers(max_intensity=300.0)[2] == "300 g/kWh"


def test_energy_and_carbon_per_request_have_the_same_relative_range():
    row = tables.service_rows([SERVICE])[0]

    assert row["J, 90 % range"] == "80.0 J to 120 J"
    assert row["g, 90 % range"] == "40.0 mg to 60.0 mg"
    assert row["Workload"] == row["Region"] == row["Cost"] == "not known"
    assert row["Method"] == "measured"


def test_a_service_without_requests_has_no_figure_per_request():
    bare = replace(SERVICE, requests=0, energy_j_per_request=None, carbon_g_per_request=None)

    row = tables.service_rows([bare])[0]

    assert row["J, 90 % range"] == row["g, 90 % range"] == "not known"


def test_a_sum_leaves_out_what_is_not_known_and_counts_it():
    assert tables.known_sum([1.0, None, 2.0]) == (3.0, 1)
    assert tables.known_sum([None]) == (None, 1)
    assert tables.known_sum([]) == (None, 0)


def test_a_replay_that_cannot_be_read_is_a_replay_all_the_same():
    line = tables.replay_line(replace(OVERVIEW, replay="yes"))

    assert line is not None
    assert line.startswith("REPLAY: recorded grid data is played back;")


def test_candidates_without_figures_say_so():
    row = tables.decision_rows([DECISION])[0]

    assert {row["To"], row["Start"], row["CO2e"], row["Against baseline"]} == {"not known"}
    assert row["Data"] == "live"


def test_newest_decisions_come_first():
    later = replace(DECISION, id="later", decided_at=DAY + timedelta(hours=1))

    assert [row["Decision"] for row in tables.decision_rows([DECISION, later])] == ["later", "d"]


@pytest.mark.feature("C10")
def test_rules_that_refuse_most_come_first_with_their_authors_words():
    rejected = {"x": ("price",), "y": ("price", "law"), "z": ("broken",)}
    verdicts = (
        Verdict("x", False, ("price",), messages={"price": "too dear"}),
        Verdict("z", False, ("broken",), errors={"broken": "no such field"}),
    )

    rows = tables.rejection_rows(
        DecisionRecord(replace(DECISION, rejected=rejected), (), verdicts, {})
    )

    assert [(row["Rule"], row["Refused"], row["Why"]) for row in rows] == [
        ("price", "2", "too dear"),
        ("broken", "1", "no such field"),
        ("law", "1", "the rule has no message"),
    ]


@pytest.mark.parametrize(
    ("on_time", "said"), [(True, "on time"), (False, "LATE"), (None, "does not matter")]
)
def test_a_receipt_says_whether_it_was_on_time(on_time, said):
    receipt = Receipt("a", "d", "t", "start_job", Outcome.FAILED, "gone", on_time=on_time)

    assert tables.receipt_rows([receipt])[0]["On time"] == said
    assert tables.receipt_line(receipt) == "Receipt: t start_job: failed. gone"


def test_a_turned_table_has_the_same_cells():
    rows = [{"": "a", "x": "1", "y": "2"}, {"": "b", "x": "3", "y": "4"}]

    assert tables.turned(rows) == [{"": "x", "a": "1", "b": "3"}, {"": "y", "a": "2", "b": "4"}]


def test_what_must_not_be_overlooked_is_said():
    loud = replace(
        DECISION, replay=True, held_out=True, noncompliant_baseline=True, exception="EX-1"
    )

    assert flags(DECISION) == []
    assert len(flags(loud)) == 4


def test_workloads_with_a_deadline_come_first():
    overview = replace(OVERVIEW, services=(replace(SERVICE, workload="assistant"), SERVICE))
    dated = replace(DECISION, workload="nightly", deadline=DAY)

    assert tables.workload_names(overview, [DECISION, dated]) == ["nightly", "assistant", "w"]


def test_a_shared_route_is_said_whole_where_there_is_room_and_by_its_most_where_there_is_none():
    shared = replace(DECISION.chosen, id="eu-central-1=10,eu-north-1=90")

    assert tables.place(shared) == "eu-central-1 10 %, eu-north-1 90 %"
    assert tables.main_place(shared) == "eu-north-1 90 %"
    assert tables.main_place(DECISION.chosen) == tables.place(DECISION.chosen)
