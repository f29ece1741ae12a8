"""What services drew elsewhere, summed without counting a metered server again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from greenops.domain.footprint import RemoteEnergy
from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.footprint import Footprint

NOW = datetime(2021, 9, 17, 8, tzinfo=UTC)


def row(span: str, parent: str | None = None, **given) -> SpanRow:
    facts = dict.fromkeys(SpanRow.__dataclass_fields__)
    facts |= {
        "trace_id": "t",
        "span_id": span,
        "parent_id": parent,
        "service": "shop",
        "name": "op",
    }
    facts |= {"kind": "INTERNAL", "start": NOW, "end": NOW, "time": NOW, "attributes": {}}
    return SpanRow(**{**facts, **given})


def call(span: str, parent: str | None = None, joules: object = 10.0, **given) -> SpanRow:
    said = {
        names.ENERGY_REMOTE: joules,
        names.ENERGY_REMOTE_LOW: 5.0,
        names.ENERGY_REMOTE_HIGH: 20.0,
        names.ENERGY_REMOTE_METHOD: "estimated",
        **given.pop("said", {}),
    }
    attributes = {name: json.dumps(value) for name, value in said.items()}
    return row(span, parent, kind="CLIENT", attributes=attributes, **given)


def remote_energy(rows: list[SpanRow]) -> tuple[RemoteEnergy, ...]:
    sums = Footprint()
    sums.add(rows, [])
    return sums.remote()


def test_calls_add_up_by_service_and_method_and_ends_of_ranges_apart():
    rows = [
        row("root"),
        call("a", "root"),
        call("b", "root", said={names.CARBON_REMOTE: 0.5}),
        call("c", "root", said={names.ENERGY_REMOTE_METHOD: "reported"}),
        call("d", service="other"),
    ]

    found = remote_energy(rows)

    assert [(each.service, each.method, each.calls) for each in found] == [
        ("other", "estimated", 1),
        ("shop", "estimated", 2),
        ("shop", "reported", 1),
    ]
    assert (found[1].energy_j, found[1].energy_low_j, found[1].energy_high_j) == (20.0, 10.0, 40.0)
    assert (found[1].carbon_g, found[2].carbon_g) == (0.5, None)


@pytest.mark.parametrize("between", [None, "http"])
def test_a_call_whose_server_has_energy_of_its_own_is_left_out(between):
    rows = [
        call("a"),
        call("b"),
        row("served", between or "a", kind="SERVER", energy_j=3.0, service="llm"),
    ]
    rows += [row("http", "a", kind="CLIENT")] if between else []

    (found,) = remote_energy(rows)

    assert (found.calls, found.energy_j, found.superseded) == (1, 10.0, 1)


def test_a_server_without_energy_and_a_server_of_another_trace_leave_the_call_as_it_is():
    rows = [
        call("a"),
        row("served", "a", kind="SERVER"),
        row("x", "a", kind="SERVER", energy_j=1.0, trace_id="u"),
    ]

    assert remote_energy(rows)[0].superseded == 0


def test_spans_in_a_circle_come_to_an_end():
    rows = [call("a", "b"), row("b", "a", kind="SERVER", energy_j=1.0)]

    assert remote_energy(rows)[0].superseded == 1


@pytest.mark.parametrize("joules", [-1.0, "much", True, None, 1e30, [1]])
def test_energy_that_cannot_be_is_not_counted(joules):
    assert remote_energy([call("a", joules=joules)]) == ()


def test_text_that_is_no_json_is_not_counted():
    assert remote_energy([row("a", attributes={names.ENERGY_REMOTE: "{"})]) == ()
