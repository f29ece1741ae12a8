"""What is hot and what is around, told from spans: what proves it, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.spans import SpanRow
from greenops.domain.workload import Urgency, Workload, WorkloadKind
from greenops.pipeline.hot_path import look
from greenops.pipeline.hot_path_proposal import names, proposal
from greenops.pipeline.hot_path_split import Part, Why, split

START = datetime(2021, 10, 8, tzinfo=UTC)


def span(trace, own, above, name, begins, ends, **said):
    """A span by its milliseconds after a start."""
    facts = {
        "service": "shop",
        "instance": None,
        "workload": None,
        "kind": "INTERNAL",
        "energy_j": 1.0,
        "region": "eu-central-1",
        "attributes": {},
        "at": START,
    } | said
    at = facts.pop("at")
    end = at + timedelta(milliseconds=ends)
    return SpanRow(
        trace_id=str(trace),
        span_id=own,
        parent_id=above,
        name=name,
        start=at + timedelta(milliseconds=begins),
        end=end,
        time=end,
        energy_low_j=None,
        energy_high_j=None,
        carbon_g=None,
        cost_usd=None,
        method=None,
        unknown=None,
        grid_zone=None,
        decision_id=None,
        **facts,
    )


def requests(count, *below, **root):
    """Traces of a request of 100 ms, each with spans below it: (id, above, name, begins, ends, facts)."""
    rows = []
    for trace in range(count):
        rows.append(span(trace, "r", None, "GET /", 0, 100, **{"kind": "SERVER"} | root))
        rows += [span(trace, *each[:5], **(each[5] if len(each) > 5 else {})) for each in below]
    return rows


def whys(rows, declared=None):
    return {each.operation: each.why for each in split(look(rows, declared)).operations}


def test_an_end_within_a_millisecond_of_the_answers_proves_nothing():
    rows = requests(10, ("a", "r", "log", 50, 101), ("b", "r", "warm cache", 50, 102))

    assert whys(rows) == {"GET /": Why.AWAITED, "log": Why.AWAITED, "warm cache": Why.AFTER}


@pytest.mark.parametrize(("late", "why"), [(1, Why.AWAITED), (4, Why.AWAITED), (5, Why.AFTER)])
def test_callers_that_gave_up_make_nothing_around(late, why):
    rows = requests(100 - late, ("a", "r", "query", 10, 50))
    for trace in range(late):
        rows += [
            span(f"late{trace}", "r", None, "GET /", 0, 100, kind="SERVER"),
            span(f"late{trace}", "a", "r", "query", 10, 500),
        ]

    assert whys(rows)["query"] is why


def test_one_late_run_alone_may_be_an_accident():
    assert whys(requests(1, ("a", "r", "warm cache", 50, 900)))["warm cache"] is Why.AWAITED


def test_clocks_of_two_hosts_may_differ_and_those_of_one_do_not():
    other = {"service": "stock", "kind": "SERVER"}
    rows = requests(
        10,
        ("a", "r", "GET /stock", 10, 900, other),
        ("b", "a", "read", 20, 890, {"service": "stock"}),
        ("c", "a", "count views", 20, 950, {"service": "stock"}),
        ("d", "r", "POST /audit", 10, 1200, {"service": "audit", "kind": "SERVER"}),
    )

    found = whys(rows)

    assert (found["GET /stock"], found["read"]) == (Why.AWAITED, Why.AWAITED)
    assert (found["count views"], found["POST /audit"]) == (Why.AFTER, Why.AFTER)


def test_what_lies_below_work_that_is_around_is_part_of_it_and_the_same_code_elsewhere_is_not():
    rows = requests(
        10,
        ("a", "r", "refresh", 50, 300),
        ("b", "a", "embed", 60, 90),
        ("c", "b", "tokenize", 60, 70),
        ("d", "r", "rank", 10, 40),
        ("e", "d", "score", 10, 30),
    )

    found = whys(rows)

    assert (found["refresh"], found["embed"], found["tokenize"]) == (
        Why.AFTER,
        Why.UNDER,
        Why.UNDER,
    )
    assert (found["rank"], found["score"]) == (Why.AWAITED, Why.AWAITED)


def test_an_operation_that_is_also_awaited_stays_hot():
    rows = requests(
        10, ("a", "r", "refresh", 50, 300), ("b", "a", "embed", 60, 90), ("c", "r", "embed", 10, 20)
    )

    assert whys(rows)["embed"] is Why.AWAITED


def test_one_that_calls_itself_is_where_its_first_call_is():
    below = [("a", "r", "walk", 50, 300)]
    below += [(f"a{n}", "a" if n == 0 else f"a{n - 1}", "walk", 60, 90) for n in range(6)]
    rows = requests(
        10,
        ("w", "r", "work", 40, 400),
        *[(*e[:1], "w", *e[2:]) if e[0] == "a" else e for e in below],
    )

    found = whys(rows)

    assert found["work"] is Why.AFTER
    assert found["walk"] is Why.UNDER


def test_a_browser_that_sends_no_span_of_its_own_leaves_the_request_its_entrance():
    rows = [span(n, "r", "browser", "GET /", 0, 100, kind="SERVER") for n in range(3)]
    rows += [span(n, "a", "r", "query", 0, 50) for n in range(3)]
    rows += [span("lost", "x", "gone", "step", 0, 50)]

    found = split(look(rows))

    assert {each.operation: each.part for each in found.operations} == {
        "GET /": Part.HOT,
        "query": Part.HOT,
    }
    assert (found.traces, found.incomplete) == (3, 1)


def test_a_caller_whose_span_is_above_an_entrance_may_be_waited_for_and_a_poll_is_not():
    page = [
        span("p", "r", None, "checkout click", 0, 100, kind="CLIENT", service="page"),
        span("p", "a", "r", "POST /checkout", 10, 90, kind="SERVER"),
    ]
    poll = [span("q", "r", None, "SELECT", 0, 5, kind="CLIENT", service="worker")]

    found = whys(page + poll)

    assert found["checkout click"] is found["POST /checkout"] is Why.AWAITED
    assert found["SELECT"] is Why.ALONE


@pytest.mark.parametrize(
    "attribute", ["cicd.pipeline.name", "cicd.pipeline.run.id", "k8s.job.name", "k8s.cronjob.name"]
)
def test_a_run_of_a_job_is_one_though_its_span_looks_like_an_answer(attribute):
    rows = [
        span("j", "r", None, "run nightly", 0, 9000, kind="SERVER", attributes={attribute: '"x"'})
    ]

    assert whys(rows) == {"run nightly": Why.JOB}


def test_what_is_declared_as_batch_is_a_job_whatever_its_spans_say():
    declared = {
        "etl": Workload("etl", WorkloadKind.BATCH, Urgency.DEFERRABLE, home_region="eu-central-1")
    }
    rows = [span("j", "r", None, "load", 0, 9000, kind="SERVER", workload="etl")]

    assert whys(rows) == {"load": Why.AWAITED}
    assert whys(rows, declared) == {"load": Why.JOB}


def test_a_start_is_one_only_before_the_first_request_of_its_own_process():
    asked = {"instance": "shop-1"}
    rows = [span("s", "r", None, "load model", 0, 50, **asked)]
    rows += [span("q", "r", None, "GET /", 60, 100, kind="SERVER", **asked)]
    again = [span("t", "r", None, "load model", 200, 250, **asked)]
    worker = [span("w", "r", None, "load model", 0, 50, service="worker", instance="worker-1")]

    assert whys(rows)["load model"] is Why.START_UP
    assert whys(rows + again)["load model"] is Why.ALONE
    assert whys(worker)["load model"] is Why.ALONE


def test_energy_that_is_not_told_is_not_known_and_never_zero():
    rows = requests(3, ("a", "r", "query", 10, 50, {"energy_j": None}), energy_j=None)

    found = split(look(rows))

    assert found.hot_share is found.around_share is None
    assert {each.energy_j for each in found.operations} == {None}
    assert found.untold == 6


def nights(*starts, minutes=30, **said):
    attributes = {"cicd.pipeline.name": '"x"'}
    return [
        span(number, "r", None, "run x", 0, 60_000 * minutes, at=at, attributes=attributes, **said)
        for number, at in enumerate(starts)
    ]


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("starts", "at"),
    [
        ([START + n * DAY for n in range(3)], timedelta(0)),
        # Some minutes around midnight are one time of day.
        (
            [START + n * DAY + timedelta(minutes=(-5, 5, 0)[n]) for n in range(3)],
            timedelta(hours=23, minutes=55),
        ),
        ([START + n * DAY for n in range(2)], None),
        ([START + n * DAY / 2 for n in range(6)], None),
        ([START + n * DAY + n * timedelta(minutes=20) for n in range(3)], None),
    ],
)
def test_a_schedule_is_told_where_runs_of_some_days_begin_alike(starts, at):
    (found,) = split(look(nights(*starts))).movable

    assert found.starts_at == at


def document(rows):
    found = split(look(rows))
    (first, *_) = yaml.safe_load_all(proposal(found))
    return first["spec"]


def test_a_deadline_is_guessed_as_half_the_time_to_the_next_run_and_holds_the_longest():
    every_day = document(nights(*[START + n * DAY for n in range(3)]))
    often = document(nights(*[START + n * timedelta(hours=4) for n in range(3)]))
    once = document(nights(START))
    rarely = document(nights(*[START + n * 14 * DAY for n in range(3)]))
    long = document(nights(*[START + n * timedelta(hours=4) for n in range(3)], minutes=180))

    assert [each["deadline"]["within"] for each in (every_day, often, once, rarely)] == [
        "12h",
        "2h",
        "12h",
        "48h",
    ]
    # 180 minutes and a quarter, and an hour to choose from.
    assert long["deadline"]["within"] == "285m"
    assert (long["duration"], long["durationP95"]) == ("3h", "225m")


def test_a_region_that_no_span_tells_is_asked_for_and_not_made_up():
    text = proposal(split(look(nights(START, region=None))))

    assert "homeRegion: unknown  # its spans do not say where they run" in text
    assert "allowedRegions" not in text


def test_jobs_of_one_name_get_names_of_their_own():
    told = {"attributes": {"cicd.pipeline.name": '"x"'}}
    rows = [span(of, "r", None, "run x", 0, 9e6, service=of, **told) for of in ("a", "b")]

    found = split(look(rows))

    assert sorted(names(found.movable, {"x"})) == ["x-2", "x-3"]


def test_what_is_short_is_told_to_be_gathered_but_a_job_however_short_is_planned():
    job = nights(START, minutes=0.2)
    poll = [span(f"p{n}", "r", None, "poll", 0, 40, service="worker") for n in range(3)]

    text = proposal(split(look(job + poll)))

    assert "# `poll` of worker runs with no request above it: 3 runs of 0.04 s, 1 J each." in text
    workloads = [each for each in yaml.safe_load_all(text) if each["kind"] == "Workload"]
    assert [each["metadata"]["name"] for each in workloads] == ["x"]
    assert workloads[0]["spec"]["duration"] == "12s"


def test_a_name_that_its_sender_made_up_breaks_no_comment_and_no_name():
    rows = nights(START)
    evil = "run \n---\nkind: {Evil}\u2028 \x00"
    rows = [span("e", "r", None, evil, 0, 9e6, attributes=rows[0].attributes, service="a\nb")]

    documents = list(yaml.safe_load_all(proposal(split(look(rows)))))

    assert [each["kind"] for each in documents] == ["Workload", "PlacementPolicy"]
    assert documents[0]["metadata"]["name"] == "kind-evil"


@pytest.mark.untraced
@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from("abcde"),
            st.one_of(st.none(), st.sampled_from("abcdefg")),
            st.sampled_from(["x", "y"]),
            st.integers(0, 100),
            st.sampled_from(["SERVER", "CLIENT", "INTERNAL", "CONSUMER", "PRODUCER", "ODD"]),
        ),
        max_size=25,
        unique_by=lambda each: each[:2],
    )
)
def test_whatever_is_sent_every_span_is_counted_once_or_told_as_left_out(given_spans):
    rows = [
        span(trace, own, above, name, 0, ends, kind=kind)
        for trace, own, above, name, ends, kind in given_spans
    ]

    found = split(look(rows))

    assert found.spans + found.incomplete == len(rows)
    if found.spans:
        assert found.hot_share + found.around_share == pytest.approx(1)
    roots = {(e.service, e.operation) for e in found.operations if e.operation == e.root}
    assert all(("shop", each.root) in roots for each in found.operations)
