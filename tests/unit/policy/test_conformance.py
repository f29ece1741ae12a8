"""The CEL specification's own tests: what the checked subset takes, it gets right."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pytest

from greenops.policy.batch import Batch
from greenops.policy.conversions import TYPE_OF
from greenops.policy.evaluate import Failed, compile_node, to_cel
from greenops.policy.ir import (
    Const,
    ExpressionError,
    Has,
    ListOf,
    MapOf,
    Select,
    Var,
    replace_fields,
    walk,
)
from greenops.policy.parse import parse
from greenops.policy.tables import ARROW, Tables
from greenops.policy.values import TypeName, Uint

PLAIN = {"bool", "int", "double", "string", "timestamp", "duration"}
REFUSALS: Final = Path(__file__).parent / "conformance_refusals.txt"
MOST_REFUSED: Final = 82
LEAST_PASSED: Final = 790
LEAST_IN_RULES: Final = 419
"""Of those that pass, what rules may hold; messages may hold all."""
LEAST_BY_KERNELS: Final = 312
"""Of those that pass, what kernels answered; the rest went by rows in the same batch. All of these
numbers move one way: fewer refused, more passed."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAILED = object()


def value_of(coded):  # noqa: C901, PLR0911 - one case per type
    kind, value = coded["t"], coded.get("v")
    match kind:
        case "int":
            return int(value)
        case "uint":
            return Uint(value)
        case "double":
            return float(value)
        case "bytes":
            return base64.b64decode(value)
        case "timestamp":
            return EPOCH + timedelta(microseconds=int(value) // 1000)
        case "duration":
            return timedelta(microseconds=int(value) // 1000)
        case "list":
            return [value_of(each) for each in value]
        case "map":
            return {value_of(key): value_of(each) for key, each in value}
        case "type":
            return TypeName(TYPE_OF.get(value, value))
        case _:
            return value


def node_of(coded):
    """A value as a constant, as parameters of a policy are put in."""
    kind, value = coded["t"], coded.get("v")
    match kind:
        case "list":
            return ListOf(tuple(map(node_of, value)))
        case "map":
            return MapOf(tuple(node_of(each) for pair in value for each in pair))
        case _:
            return Const(kind, value_of(coded))


def same(left, right):
    if isinstance(right, dict):
        pairs = zip(left.items(), right.items(), strict=True) if len(left) == len(right) else ()
        keys = left.keys() == right.keys()
        return keys and bool(pairs or not right) and all(same(left[k], right[k]) for k in right)
    if isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(right):
        return math.isnan(left)
    return type(left) is type(right) and left == right


def in_columns(case):
    """The schema and the values that become columns, and the constants for the rest."""
    bound = {n: b.get("value", b) for n, b in (case.get("bindings") or {}).items()}
    plain = {name: coded for name, coded in bound.items() if coded["t"] in PLAIN}
    others = {name: node_of(coded) for name, coded in bound.items() if name not in plain}
    schema = {name: coded["t"] for name, coded in plain.items()}
    return schema, {name: value_of(coded) for name, coded in plain.items()}, others


def put(others, schema):
    """What stands for a field that no column holds: its constant, the longest name first."""

    def constant(node):
        if ".".join(node.path) in schema:
            return node
        for end in range(len(node.path), 0, -1):
            found = others.get(".".join(node.path[:end]))
            if found is not None:
                for name in node.path[end:]:
                    found = Select(found, name)
                return found
        return node

    return constant


def said_by_batch(expression, schema, plain):
    """The answer of the evaluator of tables, over a table of one job."""
    jobs = pa.table({"": [0], **{n: pa.array([v], ARROW[schema[n]]) for n, v in plain.items()}})
    tables = Tables(jobs, pa.table({"job": [0]}), schema)
    batch = Batch.of(tables, [expression])
    found = batch.over_jobs(expression)
    if found.ok is not None and not found.ok.ravel()[0]:
        return FAILED, batch
    value = found.values.ravel()[0]
    if batch.slow:
        return value.item() if hasattr(value, "item") else value, batch
    match expression.kind:
        case "string":
            return tables.vocabulary.words[value], batch
        case "timestamp":
            return EPOCH + timedelta(microseconds=int(value)), batch
        case "duration":
            return timedelta(microseconds=int(value)), batch
        case _:
            return value.item(), batch


def outcome(case, *, message=True):
    """What both evaluators made of a case, and whether kernels answered it."""
    try:
        schema, plain, others = in_columns(case)
        tree = parse(case["expr"])
        names_fields = any(isinstance(each, Var | Has) for each in walk(tree))
        if case.get("container") and names_fields:
            return "container", False
        tree = replace_fields(tree, put(others, schema))
        expression = compile_node(tree, schema, message=message)
    except ExpressionError as error:
        return error.code, False
    by_row = expression({name: to_cel(value) for name, value in plain.items()})
    by_batch, batch = said_by_batch(expression, schema, plain)
    return verdict(case, expression, by_row, by_batch), not batch.slow


def verdict(case, expression, by_row, by_batch):
    if "error" in case:
        return "pass" if isinstance(by_row, Failed) and by_batch is FAILED else "WRONG"
    if "value" not in case:
        wanted = case["deduced_type"].replace("null_type", "null").replace(",", ", ")
        return "pass" if expression.kind == wanted else "WRONG TYPE"
    if isinstance(by_row, Failed) or by_batch is FAILED:
        return "FAILED"
    wanted = value_of(case["value"])
    if expression.kind in {"timestamp", "duration"} and isinstance(by_batch, int):
        by_batch = value_of({"t": expression.kind, "v": by_batch * 1_000})
    return "pass" if same(by_row, wanted) and same(by_batch, wanted) else "WRONG"


def key(case):
    return f"{case['file']}/{case['section']}/{case['name']}"


def names(cases):
    """Case → its name, numbered where the file gives one name twice."""
    seen = Counter()
    for case in cases:
        seen[key(case)] += 1
        yield f"{key(case)}#{seen[key(case)]}", case


@pytest.fixture(scope="module")
def core(reference_data):
    """Name → core case; extensions are no CEL."""
    cases = json.loads((reference_data / "cel" / "conformance.json").read_text())["tests"]
    return dict(names([each for each in cases if not each.get("extension")]))


@pytest.fixture(scope="module")
def results(core):
    """Name → (outcome, by kernels, expression) of each case, checked as a message is."""
    return {name: (*outcome(case), case["expr"]) for name, case in core.items()}


def listed():
    lines = REFUSALS.read_text().splitlines()
    return dict(line.split(" ", 1)[::-1] for line in lines if line and not line.startswith("//"))


WRONG = {"WRONG", "FAILED", "WRONG TYPE"}


@pytest.mark.slow
def test_no_conformance_case_that_compiles_gives_a_wrong_value(results):
    wrong = {name: what for name, what in results.items() if what[0] in WRONG}

    assert not wrong


@pytest.mark.slow
def test_the_cases_refused_at_load_are_those_on_the_list(results):
    refused = {name: what for name, (what, *_) in results.items() if what not in {"pass", *WRONG}}

    assert refused == listed()


@pytest.mark.slow
def test_the_list_of_refusals_only_shrinks(results):
    passed = sum(what == "pass" for what, *_ in results.values())

    assert len(listed()) <= MOST_REFUSED
    assert passed >= LEAST_PASSED


@pytest.mark.slow
def test_no_case_that_a_rule_may_hold_gives_a_wrong_value(core):
    results = {name: outcome(case, message=False) for name, case in core.items()}

    assert not {name: what for name, what in results.items() if what[0] in WRONG}
    assert sum(what == "pass" for what, _ in results.values()) >= LEAST_IN_RULES


@pytest.mark.slow
def test_kernels_answer_the_cases_that_have_columns(results):
    assert (
        sum(what == "pass" and kernels for what, kernels, _ in results.values()) >= LEAST_BY_KERNELS
    )
