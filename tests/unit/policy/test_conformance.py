"""The CEL specification's own tests: what the checked subset takes, it gets right."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from greenops.policy.evaluate import Failed, compile_node, to_cel
from greenops.policy.ir import ExpressionError
from greenops.policy.parse import parse

PLAIN = {"bool", "int", "double", "string", "timestamp", "duration"}
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
    if isinstance(left, float) and isinstance(right, float) and math.isnan(right):
        return math.isnan(left)
    return type(left) is type(right) and left == right


def outcome(case):
    bindings = case.get("bindings") or {}
    try:
        schema = schema_of(bindings)
        expression = compile_node(parse(case["expr"]), schema, message=True)
    except OutsideSubsetError:
        return "bindings"
    except ExpressionError:
        return "refused"
    row = {n: to_cel(value_of(b.get("value", b))) for n, b in bindings.items()}
    given = expression(row)
    if "error" in case:
        return "pass" if isinstance(given, Failed) else "WRONG"
    if "value" not in case:
        return "check only"
    if isinstance(given, Failed):
        return "FAILED"
    if not isinstance(given, bool | int | float | str):
        return "other type"
    return "pass" if same(given, value_of(case["value"])) else "WRONG"


@pytest.mark.slow
def test_no_conformance_case_that_compiles_gives_a_wrong_value(reference_data):
    cases = json.loads((reference_data / "cel" / "conformance.json").read_text())["tests"]
    # Policies have no containers, so a name never resolves by one.
    core = [e for e in cases if not e.get("extension") and not e.get("container")]

    found = {f"{c['file']}/{c['section']}/{c['name']}: {c['expr']}": outcome(c) for c in core}

    counts = Counter(found.values())
    wrong = {name: what for name, what in found.items() if what in {"WRONG", "FAILED"}}
    assert not wrong
    assert counts["pass"] >= 290, counts
