"""Energy per token against concurrency, compared with counting by hand and with servers whose law is known."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.footprint import TokenCurve
from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.carried_spans import Carried
from greenops.pipeline.concurrency import Call, Calls, concurrency
from greenops.pipeline.span_columns import SpanColumns

NOW = datetime(2021, 9, 17, 8, tzinfo=UTC)


def call(start: float, end: float, joules: float = 1.0, tokens: int = 10, **given) -> SpanRow:
    facts = dict.fromkeys(SpanRow.__dataclass_fields__)
    facts |= {"trace_id": "t", "span_id": f"{start}", "service": "llm", "instance": "llm-1"}
    facts |= {"name": "chat", "kind": "SERVER", "time": NOW, "energy_j": joules}
    facts |= {"start": NOW + timedelta(seconds=start), "end": NOW + timedelta(seconds=end)}
    facts |= {"attributes": {"gen_ai.usage.output_tokens": json.dumps(tokens)}, "region": "r"}
    return SpanRow(**{**facts, **given})


def token_curves(rows: list[SpanRow]) -> tuple[TokenCurve, ...]:
    calls = Calls()
    take(calls, rows)
    return calls.curves()


def take(calls: Calls, rows: list[SpanRow]) -> None:
    for each in Carried(SpanColumns.of_rows(rows)).calls():
        calls.add(*each)


def by_hand(calls: list[Call]) -> list[float]:
    def overlap(one: Call, other: Call) -> float:
        return max(0.0, min(one.end, other.end) - max(one.start, other.start))

    return [sum(overlap(one, other) for other in calls) / (one.end - one.start) for one in calls]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 50)), min_size=1, max_size=40))
def test_concurrency_is_what_counting_every_pair_gives(spans):
    calls = [Call(start, start + length, 1.0, 1) for start, length in spans]

    assert concurrency(calls) == pytest.approx(by_hand(calls), rel=1e-6)


def server(law, seed: int) -> list[SpanRow]:
    """Batches of equal calls; what a token takes follows `law`, with noise of each call."""
    draw, rows, now = random.Random(seed), [], 0.0
    for _ in range(400):
        n = draw.choice([1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
        length = draw.uniform(1, 5)
        for _ in range(n):
            tokens = draw.randint(50, 400)
            joules = law(n) * tokens * draw.lognormvariate(0, 0.15)
            rows.append(call(now, now + length, joules, tokens))
        now += length + 0.5
    return rows


LAWS = {
    "idle power shared": lambda n: 4.0 / n + 0.3,
    "log-linear": lambda n: exp(1.0 - 0.917 * log(n) + 0.046 * log(n) ** 2),
    "full above sixteen": lambda n: 3.0 / min(n, 16) + 0.1,
}


@pytest.mark.feature("G1")
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_within_ten_percent_at_calls_that_it_has_not_seen(law, seed):
    (found,) = token_curves(server(LAWS[law], seed))

    unseen = [found.at(n) / LAWS[law](n) - 1 for n in (1, 2, 4, 8, 16, 32)]
    assert found.error <= 0.10
    assert sum(map(abs, unseen)) / len(unseen) <= 0.10
    assert found.points[0].concurrency == 1


def test_a_curve_that_does_not_fit_says_how_far_it_is_off():
    (found,) = token_curves(server(lambda n: 5.0 if n % 3 else 0.5, 1))

    assert found.error > 0.3


def test_pools_are_told_apart_and_processes_do_not_run_beside_each_other():
    rows = [call(n, n + 1 + n % 2) for n in range(40)]
    other = [replace(each, instance="llm-2") for each in rows]
    elsewhere = [replace(each, region="s", service="chat") for each in rows]

    found = token_curves([*rows, *other, *elsewhere])

    assert [(each.pool, each.calls) for each in found] == [("chat in s", 40), ("llm in r", 80)]
    assert found[0].points[-1].concurrency == found[1].points[-1].concurrency


@pytest.mark.parametrize(
    "given",
    [
        {"energy_j": None},
        {"attributes": {}},
        {"attributes": {"gen_ai.usage.output_tokens": "-3"}},
        {"attributes": {"gen_ai.usage.output_tokens": "9", names.ENERGY_REMOTE: "5.0"}},
        {
            "attributes": {
                "gen_ai.usage.output_tokens": "9",
                "gen_ai.operation.name": '"invoke_agent"',
            }
        },
    ],
)
def test_what_is_no_call_of_an_own_server_makes_no_curve(given):
    rows = [replace(call(n, n + 1 + n % 2), **given) for n in range(60)]

    assert token_curves(rows) == ()


def test_few_calls_and_one_concurrency_alone_make_no_curve():
    assert token_curves([call(n, n + 1 + n % 2) for n in range(15)]) == ()
    assert token_curves([call(2 * n, 2 * n + 1) for n in range(60)]) == ()


def test_the_newest_calls_of_the_newest_processes_are_kept():
    calls = Calls()
    for process in range(300):
        take(calls, [call(0, 1, instance=str(process))])
    take(calls, [call(n, n + 1, instance="busy") for n in range(6000)])

    assert len(calls._calls) == 200
    assert max(len(each) for each in calls._calls.values()) == 5000
