"""Random expressions from all of CEL: rows, tables and Google's C++ runtime never disagree.

What rules may not write (maps, bytes, `dyn`, nested macros) is tried as messages may write it.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.policy.batch import Batch
from greenops.policy.evaluate import Failed, compile_node, to_cel
from greenops.policy.ir import ExpressionError
from greenops.policy.parse import parse
from greenops.policy.tables import ARROW, Tables
from greenops.policy.values import Uint

pytest.importorskip("cel_expr_python")
from cel_expr_python import cel as oracle  # type: ignore[import-untyped]

SCHEMA = {
    "job.count": "int",
    "job.share": "double",
    "job.name": "string",
    "job.flag": "bool",
}
VALUES = {
    "int": [0, 1, -7, 2**62, -(2**63), 2**63 - 1],
    "double": [0.0, -0.0, 1.0, 2.5, 2.0**63, float("nan"), float("inf")],
    "string": ["a", "", "1", "-2", "1.5", "é", "true"],
    "bool": [True, False],
}
LITERALS = {
    "bool": ["true", "false"],
    "int": ["0", "1", "2", "-3", "9223372036854775807"],
    "uint": ["0u", "1u", "2u", "18446744073709551615u"],
    "double": ["0.0", "1.0", "2.5", "-3.0", "9223372036854775807.0", "1e300"],
    "string": ['"a"', '"b"', '""', '"1"', '"-2"', '"1.5"', '"é"', '"true"', r'"\x41\n\""'],
    "bytes": ['b"a"', 'b""', r'b"\xff\303"', "b'é'"],
    "timestamp": ['timestamp("2026-11-23T10:00:00Z")', 'timestamp("1999-12-31T23:59:59.5Z")'],
    "duration": ['duration("90m")', 'duration("-1.5s")', 'duration("100000000s")'],
    "list": ["[]", "[0]", "[1, 2, 3]", "[3, 1, 1]"],
    "map": ["{}", '{"a": 1}', '{"a": 1, "b": 2}', '{"b": 0, "": 7}'],
    "dyn": [
        "dyn(null)",
        'dyn([1, 2u, "a", b"a", 1.0, null, true])',
        'dyn({2: "a", "a": 1u, true: [0]})',
        "dyn(1)",
    ],
}
KINDS = [*LITERALS]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SAME = [f"(<{kind}> {sign} <{kind}>)" for kind in KINDS for sign in ("==", "!=")]
ORDERED = [
    f"(<{kind}> {sign} <{kind}>)"
    for kind in LITERALS
    if kind not in {"list", "map"}
    for sign in ("<", "<=", ">", ">=")
]
MEMBER = ["(<int> in <list>)", "(<dyn> in <list>)", "(<string> in <map>)", "(<dyn> in <map>)"]
MEMBER += ["has(<map>.a)", "has(<map>.b)", "(<dyn> in <dyn>)", 'has({"c": <dyn>}.c)']
MACROS = [f"<list>.{macro}(x, <bool*>)" for macro in ("all", "exists", "exists_one")]
MACROS += ["<map>.all(k, k == <string>)", "[<dyn>, <int>].exists(y, y == <dyn>)"]
SHAPES: dict[str, list[list[str]]] = {
    "bool": [
        ["(<bool> && <bool>)", "(<bool> || <bool>)", "!(<bool>)"],
        SAME,
        ORDERED,
        MEMBER,
        MACROS,
        [
            "(type(<dyn>) == type(<dyn>))",
            "(type(<dyn>) == google.protobuf.Duration)",
            "bool(<string>)",
        ],
        ["(dyn(<int>) == <double>)", "(dyn(<uint>) < <double>)", "(dyn(<int>) >= <uint>)"],
        ["(dyn(<bool>) && <bool>)", "(<dyn> == true || <bool>)"],
    ],
    "int": [
        [f"(<int> {sign} <int>)" for sign in "+-*/%"],
        [f"size(<{kind}>)" for kind in ("string", "bytes", "list", "map", "dyn")],
        [f"int(<{kind}>)" for kind in ("uint", "double", "string", "int")],
        ["(<timestamp>).getHours()", "(<timestamp>).getSeconds('+05:30')", "int(<timestamp>)"],
        ["(<duration>).getHours()", "(<duration>).getMilliseconds()", "(<duration>).getSeconds()"],
        ["<list>[<int>]", '<map>["a"]', "<map>.b", "-(<int>)", "<map>[<string>]"],
    ],
    "uint": [[f"(<uint> {sign} <uint>)" for sign in "+-*/%"], ["uint(<int>)", "uint(<double>)"]],
    "double": [
        [f"(<double> {sign} <double>)" for sign in "+-*"],
        ["double(<int>)", "double(<uint>)", "double(<string>)", "-(<double>)"],
    ],
    "string": [
        ["(<string> + <string>)", "string(<bytes>)"],
        ["string(<int>)", "string(<uint>)", "string(<bool>)"],
    ],
    "bytes": [["(<bytes> + <bytes>)", "bytes(<string>)"]],
    "timestamp": [
        ["(<timestamp> + <duration>)", "(<timestamp> - <duration>)", "timestamp(<int>)"],
        ["timestamp(<timestamp>)", "timestamp(string(<timestamp>))"],
    ],
    "duration": [
        ["(<timestamp> - <timestamp>)", "(<duration> + <duration>)", "duration(<duration>)"],
    ],
    "list": [
        ["[<int>, <int>]", "(<list> + <list>)"],
        ["<list>.map(x, <int*>)", "<list>.filter(x, <bool*>)", "<list>.map(x, <bool*>, <int*>)"],
    ],
    "map": [['{"a": <int>}', "{<string>: <int>, (<string> + 'z'): <int>}"]],
    "dyn": [
        [f"dyn(<{kind}>)" for kind in KINDS if kind != "dyn"],
        ["[<dyn>, <int>][<int>]", '{"a": <dyn>, 1: <int>}.a', "{<int>: <dyn>}[<dyn>]"],
        ["(<dyn> + <dyn>)", "-(<dyn>)", "(<dyn> * <dyn>)", "<dyn>[<int>]", "<dyn>.a"],
        ["dyn([<int>, <string>].map(y, y))", "dyn([<dyn>].filter(y, y == <dyn>))"],
    ],
}
SLOT = re.compile(r"<(\w+)(\*?)>")


@st.composite
def expressions(draw, kind="bool", depth=4, local=False):
    """CEL of a type; `local` says that a macro's variable `x`, an int, is in reach."""
    if depth <= 0 or draw(st.integers(0, 6)) == 0:
        names = [name for name, of in SCHEMA.items() if of == kind]
        names += ["x"] if local and kind == "int" else []
        return draw(st.sampled_from([*names, *LITERALS[kind]]))
    families = [*SHAPES[kind], [f"(<bool> ? <{kind}> : <{kind}>)"]]
    template = draw(st.sampled_from(draw(st.sampled_from(families))))
    return SLOT.sub(
        lambda slot: draw(expressions(slot[1], depth - 1, local or bool(slot[2]))), template
    )


T = oracle.Type
ORACLE = oracle.NewEnv(
    variables={
        name: {"int": T.INT, "double": T.DOUBLE, "string": T.STRING, "bool": T.BOOL}[kind]
        for name, kind in SCHEMA.items()
    }
)


def told(value):
    """The reference's value as ours."""
    kind, plain = str(value.type()).split("<")[0], value.value()
    match kind:
        case "LIST":
            return [told(each) for each in plain]
        case "MAP":
            return {key: told(each) for key, each in plain.items()}
        case "UINT":
            return Uint(plain)
        case "BYTES":
            return bytes(plain)
        case "ERROR":
            return "error"
        case _:
            return plain


def said_by_oracle(text, row):
    data = {f"job.{name}": value for name, value in row.items()}
    try:
        return told(ORACLE.compile(text).eval(data=data))
    except RuntimeError as error:
        if "duplicate key" in str(error):  # raised where the map is constant
            return "error"
        raise


def said_by_tables(expression, row):
    columns = {name: pa.array([row.get(name[4:])], ARROW[kind]) for name, kind in SCHEMA.items()}
    tables = Tables(pa.table(columns), pa.table({"job": [0]}), SCHEMA)
    batch = Batch.of(tables, [expression])
    found = batch.over_jobs(expression)
    if found.ok is not None and not found.ok.ravel()[0]:
        return "error"
    value = found.values.ravel()[0]
    if expression.kind == "string" and not batch.slow:
        return tables.vocabulary.words[value]
    if expression.kind in {"timestamp", "duration"}:
        span = timedelta(microseconds=int(value))
        return span if expression.kind == "duration" else EPOCH + span
    return value.item() if hasattr(value, "item") else value


def alike(left, right):
    """Are they one value of one type? Unlike CEL, NaN is itself here."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[k], right[k]) for k in left)
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and left == right


def rows():
    return st.fixed_dictionaries(
        {}, optional={name[4:]: st.sampled_from(VALUES[kind]) for name, kind in SCHEMA.items()}
    )


def compiled(text):
    """The expression; none where it is over a limit. Nothing else may refuse it."""
    try:
        return compile_node(parse(text), SCHEMA, message=True)
    except ExpressionError as error:
        if error.code != "GO0134":
            raise
        return None


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(st.sampled_from(KINDS).flatmap(expressions), rows())
def test_rows_tables_and_the_reference_agree_on_all_of_the_language(text, row):
    ours = compiled(text)
    if ours is None:
        return

    answer = ours({"job": to_cel(row)})

    mine = "error" if isinstance(answer, Failed) else answer
    reference = said_by_oracle(text, row)
    assert alike(mine, reference), (text, row, answer, reference)
    assert alike(said_by_tables(ours, row), reference), (text, row, reference)
    again = said_by_oracle(ours.text, row)
    assert alike(again, reference), (ours.text, row, again, reference)
    assert compile_node(parse(ours.text), SCHEMA, message=True).text == ours.text
