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

from greenops.policy.batch import Batch, agree
from greenops.policy.evaluate import Failed, compile_node, to_cel
from greenops.policy.ir import ExpressionError
from greenops.policy.kernel_plan import compiles
from greenops.policy.parse import parse
from greenops.policy.tables import ARROW, Tables

PLAIN = {"bool", "int", "double", "string", "timestamp", "duration"}
REFUSALS: Final = Path(__file__).parent / "conformance_refusals.txt"
MOST_REFUSED: Final = 552
LEAST_PASSED: Final = 320
"""Both numbers move one way: fewer refused, more passed."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OutsideSubsetError(Exception):
    """The case binds a value of a type that policies do not have."""


def value_of(coded):
    kind, value = coded["t"], coded.get("v")
    match kind:
        case "int":
            return int(value)
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
        case _:
            return value


def schema_of(bindings):
    schema = {}
    for name, bound in bindings.items():
        coded = bound.get("value", bound)
        if coded["t"] == "list" and coded["v"] and len({e["t"] for e in coded["v"]}) == 1:
            schema[name] = f"list({coded['v'][0]['t']})"
        elif coded["t"] in PLAIN:
            schema[name] = coded["t"]
        else:
            raise OutsideSubsetError
    return schema


def same(left, right):
    if isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(right):
        return math.isnan(left)
    return type(left) is type(right) and left == right


def kernels_agree(expression, schema, plain, given):
    """Do the kernels, where the expression compiles, give what the row evaluator gives?"""
    if expression.kind not in PLAIN or not compiles(expression.node, schema):
        return True
    jobs = pa.table({"": [0], **{n: pa.array([v], ARROW[schema[n]]) for n, v in plain.items()}})
    tables = Tables(jobs, pa.table({"job": [0]}), schema)
    found = Batch.of(tables, [expression]).over_jobs(expression)
    return agree(given, found, 0, tables.vocabulary.words)


def outcome(case):
    if case.get("container"):
        return "container"
    bindings = case.get("bindings") or {}
    try:
        schema = schema_of(bindings)
        expression = compile_node(parse(case["expr"]), schema, message=True)
    except OutsideSubsetError:
        return "bindings"
    except ExpressionError as error:
        return error.code
    plain = {n: value_of(b.get("value", b)) for n, b in bindings.items()}
    given = expression({name: to_cel(value) for name, value in plain.items()})
    if not kernels_agree(expression, schema, plain, given):
        return "WRONG"
    if "error" in case:
        return "pass" if isinstance(given, Failed) else "WRONG"
    if "value" not in case:
        return "check only"
    if isinstance(given, Failed):
        return "FAILED"
    return "pass" if same(given, value_of(case["value"])) else "WRONG"


def key(case):
    return f"{case['file']}/{case['section']}/{case['name']}"


def names(cases):
    """Case → its name, numbered where the file gives one name twice."""
    seen = Counter()
    for case in cases:
        seen[key(case)] += 1
        yield f"{key(case)}#{seen[key(case)]}", case


@pytest.fixture(scope="module")
def results(reference_data):
    """Name → (outcome, expression) of each core case; extensions are no part of the language."""
    cases = json.loads((reference_data / "cel" / "conformance.json").read_text())["tests"]
    core = [each for each in cases if not each.get("extension")]
    return {name: (outcome(case), case["expr"]) for name, case in names(core)}


def listed():
    lines = REFUSALS.read_text().splitlines()
    return dict(line.split(" ", 1)[::-1] for line in lines if line and not line.startswith("//"))


@pytest.mark.slow
def test_no_conformance_case_that_compiles_gives_a_wrong_value(results):
    wrong = {name: what for name, what in results.items() if what[0] in {"WRONG", "FAILED"}}

    assert not wrong


@pytest.mark.slow
def test_the_cases_refused_at_load_are_those_on_the_list(results):
    refused = {n: what for n, (what, _) in results.items() if what not in {"pass", "check only"}}

    assert refused == listed()


@pytest.mark.slow
def test_the_list_of_refusals_only_shrinks(results):
    passed = sum(what == "pass" for what, _ in results.values())

    assert len(listed()) <= MOST_REFUSED
    assert passed >= LEAST_PASSED
