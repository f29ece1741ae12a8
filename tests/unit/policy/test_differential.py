"""Random typed expressions: row evaluator, kernels and Google's C++ runtime never disagree."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.policy.batch import Batch
from greenops.policy.evaluate import Failed, compile_node, to_cel
from greenops.policy.ir import ExpressionError
from greenops.policy.kernel_reach import compiles
from greenops.policy.parse import parse
from greenops.policy.tables import ARROW, Tables
from greenops.policy.zones import CALENDAR as PARTS

pytest.importorskip("cel_expr_python")
from cel_expr_python import cel as oracle  # type: ignore[import-untyped]
from google.protobuf import duration_pb2, timestamp_pb2

SCHEMA = {
    "job.urgency": "string",
    "job.flag": "bool",
    "job.priority": "int",
    "job.count": "int",
    "job.regions": "list(string)",
    "candidate.carbon_g": "double",
    "candidate.cost_usd": "double",
    "candidate.region": "string",
    "candidate.start": "timestamp",
    "candidate.spare": "duration",
    "baseline.carbon_g": "double",
    "baseline.start": "timestamp",
}
TEXTS = ["eu-north", "us-east", "a", "", "é", 'q"\\n']
T = oracle.Type
ORACLE = oracle.NewEnv(
    variables={k: T.Map(T.STRING, T.DYN) for k in ("job", "candidate", "baseline")}
)
START = datetime(2026, 11, 23, tzinfo=UTC)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


LITERALS = {
    "int": ["0", "1", "2", "7", "-1", "-5", "9223372036854775807"],
    "double": ["0.0", "0.9", "1.1", "-2.5", "100.0", "1e300"],
    "string": [quoted(each) for each in TEXTS],
    "bool": ["true", "false"],
    "duration": ['duration("1h30m")', 'duration("-30s")', 'duration("0.5s")'],
    "timestamp": [
        'timestamp("2026-11-23T10:00:00Z")',
        'timestamp("2026-11-24T00:00:00+02:00")',
    ],
}


LOGIC = [f"(<bool> {sign} <bool>)" for sign in ("&&", "||", "==", "!=")]
COMPARED = [
    f"(<{kind}> {sign} <{kind}>)"
    for kind in ("int", "double", "string", "timestamp", "duration")
    for sign in ("==", "!=", "<", "<=", ">", ">=")
]
PRESENT = [f"has({name})" for name in SCHEMA]
MATCHED = ['candidate.region.matches("^(eu|us)-.*$")', 'job.urgency.matches("a+")']
SEARCHED = [f"(<string>).{name}(<string>)" for name in ("startsWith", "endsWith", "contains")]
LISTED = ["(<string> in job.regions)", '(<string> in ["a", "eu-north"])']
MACROS = ["job.regions.all(r, <bool*>)", "job.regions.exists(r, <bool*>)"]
IN_ZONES = ['getHours("Europe/Paris")', 'getDate("-09:30")', 'getDayOfYear("+14:00")']
CALENDAR = [
    f"(<timestamp>).{call}" for call in (*(f"{name}()" for name in sorted(PARTS)), *IN_ZONES)
]
SHAPES: dict[str, list[list[str]]] = {
    "bool": [
        LOGIC,
        LOGIC,
        ["!(<bool>)"],
        COMPARED,
        COMPARED,
        PRESENT,
        MATCHED,
        SEARCHED,
        LISTED,
        MACROS,
    ],
    "int": [
        [f"(<int> {sign} <int>)" for sign in "+-*/%"],
        ["-(<int>)", "size(<string>)", "size(job.regions)", "(<duration>).getSeconds()"],
        CALENDAR,
    ],
    "double": [[f"(<double> {sign} <double>)" for sign in "+-*"], ["-(<double>)", "double(<int>)"]],
    "timestamp": [["(<timestamp> + <duration>)", "(<timestamp> - <duration>)"]],
    "duration": [["(<timestamp> - <timestamp>)", "(<duration> + <duration>)"]],
}
SLOT = re.compile(r"<(\w+)(\*?)>")


@st.composite
def expressions(draw, kind="bool", depth=4, local=False):
    """CEL of a type; `local` says that macro variable `r`, a string, is in reach."""
    if depth <= 0 or kind not in SHAPES or draw(st.integers(0, 6)) == 0:
        fields = [name for name, of in SCHEMA.items() if of == kind]
        if local and kind == "string":
            fields.append("r")
        return draw(st.one_of(st.sampled_from(fields), st.sampled_from(LITERALS[kind])))
    families = [each for each in SHAPES[kind] if not (local and each is MACROS)]
    families.append([f"(<bool> ? <{kind}> : <{kind}>)"])
    template = draw(st.sampled_from(draw(st.sampled_from(families))))
    return SLOT.sub(
        lambda slot: draw(expressions(slot[1], depth - 1, local or bool(slot[2]))), template
    )


VALUES = {
    "int": [0, 1, -7, 100, 2**62, -(2**63), 2**63 - 1],
    "double": [0.0, -0.0, 1.0, 90.5, float("nan"), float("inf"), -float("inf")],
    "string": TEXTS,
    "bool": [True, False],
    "list(string)": [[], ["a"], ["eu-north", "a"], ["", "é", "us-east"], ["a", "a"]],
    "timestamp": [START + timedelta(seconds=s) for s in (0, 1, 59, 3_600, 86_399, 10**6, 10**7)],
    "duration": [timedelta(seconds=s) for s in (0, 60, 5400, -30)],
}


@st.composite
def rows(draw):
    row: dict[str, dict[str, object]] = {"job": {}, "candidate": {}, "baseline": {}}
    for name, kind in SCHEMA.items():
        root, field = name.split(".")
        if draw(st.integers(0, 5)):  # else the field is absent
            row[root][field] = draw(st.sampled_from(VALUES[kind]))
    return row


def message(value):
    if isinstance(value, datetime):
        made = timestamp_pb2.Timestamp()
        made.FromDatetime(value)
        return made
    if isinstance(value, timedelta):
        made = duration_pb2.Duration()
        made.FromTimedelta(value)
        return made
    return value


def said_by_oracle(text, row):
    data = {root: {k: message(v) for k, v in fields.items()} for root, fields in row.items()}
    try:
        result = ORACLE.compile(text).eval(data=data)
    except Exception as error:  # noqa: BLE001 - the oracle raises bare errors at run time
        return f"oracle raised: {error}"
    return "error" if result.type() == T.ERROR else result.value()


def table(roots, some_rows):
    return {
        name: pa.array([row[name.split(".")[0]].get(name.split(".")[1]) for row in some_rows], to)
        for name, to in ((n, ARROW[k]) for n, k in SCHEMA.items() if n.split(".")[0] in roots)
    }


def said_by_kernels(expression, jobs, candidates, job):
    """The answer for each candidate, whose job is at the same place of `job`."""
    columns = {"job": pa.array(job, pa.int32()), **table({"candidate"}, candidates)}
    tables = Tables(pa.table(table({"job", "baseline"}, jobs)), pa.table(columns), SCHEMA)
    batch = Batch.of(tables, [expression])
    said = []
    for chunk in tables.layout.chunks():
        found = batch.over(expression, chunk)
        ok = np.broadcast_to(True if found.ok is None else found.ok, chunk.shape).ravel()
        values = np.broadcast_to(found.values, chunk.shape).ravel()
        said += [v.item() if good else "error" for v, good in zip(values, ok, strict=True)]
    return said


def compiled(text):
    """The expression; none where it is over a limit. Nothing else may refuse it."""
    try:
        return compile_node(parse(text), SCHEMA)
    except ExpressionError as error:
        if error.code != "GO0134":
            raise
        return None


@pytest.mark.slow
@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(expressions(), st.lists(rows(), min_size=3, max_size=3))
def test_the_evaluator_agrees_with_the_reference_on_random_expressions(text, some_rows):
    ours = compiled(text)
    if ours is None:
        return

    for row in some_rows:
        given_row = {root: to_cel(fields) for root, fields in row.items()}
        answer = ours(given_row)
        mine = "error" if isinstance(answer, Failed) else answer

        assert mine == said_by_oracle(text, row), (text, row, answer)
        assert mine == said_by_oracle(ours.text, row), (ours.text, row, answer)


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    expressions(),
    st.lists(rows(), min_size=2, max_size=4),
    st.lists(rows(), min_size=1, max_size=4),
    st.booleans(),
)
def test_kernels_agree_with_the_row_evaluator_on_random_tables(text, jobs, some_rows, even):
    expression = compiled(text)
    if expression is None:
        return
    assert compiles(expression.node, SCHEMA)
    job = [at for at in range(len(jobs)) for _ in some_rows]
    job = job if even else [at * 5 % len(jobs) for at in job]
    candidates = some_rows * len(jobs)
    wholes = [
        {**jobs[at], "candidate": c["candidate"]} for at, c in zip(job, candidates, strict=True)
    ]

    said = said_by_kernels(expression, jobs, candidates, job)

    answers = [expression({root: to_cel(f) for root, f in row.items()}) for row in wholes]
    assert said == ["error" if isinstance(each, Failed) else each for each in answers]
    assert said[:3] == [said_by_oracle(text, row) for row in wholes[:3]]


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(expressions())
def test_canonical_text_is_its_own_canonical_text(text):
    once = compiled(text)
    twice = compiled(once.text) if once else None

    assert twice is None or (once is not None and once.text == twice.text)
