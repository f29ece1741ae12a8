"""What the solver is told of an expression is what the row evaluator gives, for random ones and their rows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.policy.evaluate import Failed, compile_node, to_cel
from greenops.policy.ir import Const, ExpressionError
from greenops.policy.kernel_numbers import COMPARE, microseconds
from greenops.policy.parse import parse

z3 = pytest.importorskip("z3")
from greenops.policy.prove_encode import Encoder  # noqa: E402
from greenops.policy.prove_numbers import Exact, Rounded, Unsettled  # noqa: E402
from greenops.policy.prove_pattern import regex  # noqa: E402
from greenops.policy.prove_terms import Cannot, Items  # noqa: E402

pytestmark = pytest.mark.timeout(150)  # a solver's time depends on the machine

START = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
FIELDS = {
    "job.team": ("string", ["etl", "é", "", "a-1"]),
    "job.flag": ("bool", [True, False]),
    "job.count": ("int", [0, 1, -7, 2**62, -(2**63)]),
    "job.regions": ("list(string)", [(), ("etl",), ("a-1", "é"), ("etl", "etl", "b")]),
    "candidate.cost": ("double", [0.0, -0.0, 0.1, 90.5, -2.5, 1e300]),
    "baseline.cost": ("double", [0.0, 0.3, 100.0]),
    "candidate.start": ("timestamp", [START, START + timedelta(days=130, microseconds=7)]),
    "candidate.spare": ("duration", [timedelta(0), timedelta(seconds=-5400), timedelta(days=9)]),
}
SCHEMA = {name: kind for name, (kind, _) in FIELDS.items()}
LITERALS = {
    "string": ['"etl"', '"é"', '""'],
    "bool": ["true", "false"],
    "int": ["0", "2", "-7", "9223372036854775807"],
    "double": ["0.0", "0.1", "-2.5", "1e300"],
    "timestamp": ['timestamp("2026-11-24T00:00:00+01:00")'],
    "duration": ['duration("1h30m")', 'duration("-5s")'],
}
SHAPES = {
    "bool": [
        *(f"(<bool> {sign} <bool>)" for sign in ("&&", "||", "==", "<")),
        *(f"(<{kind}> {sign} <{kind}>)" for kind in LITERALS if kind != "bool" for sign in COMPARE),
        *(f"has({name})" for name in SCHEMA),
        *(f"(<string>).{name}(<string>)" for name in ("startsWith", "endsWith", "contains")),
        *("!(<bool>)", "(<string> in job.regions)", '(<string> in ["é", "a-1"])'),
        *("(<double> in [0.0, 0.1])", "(<bool> ? <bool> : <bool>)"),
        *(f"job.regions.{name}(r, <bool*>)" for name in ("all", "exists", "exists_one")),
        *('["b", job.team].exists(r, <bool*>)', '(<string>).matches("^[a-e]t|-[0-9]$")'),
    ],
    "string": ["(<bool> ? <string> : <string>)", "job.regions[<int>]"],
    "int": [
        *(f"(<int> {sign} <int>)" for sign in "+-*/%"),
        *("-(<int>)", "size(<string>)", "size(job.regions)", "int(<double>)", "int(<timestamp>)"),
        *("(<duration>).getHours()", "(<duration>).getMilliseconds()"),
        *('(<timestamp>).getHours("Europe/Paris")', '(<timestamp>).getMinutes("+05:30")'),
        *("(<timestamp>).getDayOfWeek()", "(<timestamp>).getMonth()"),
    ],
    "double": [
        *(f"(<double> {sign} <double>)" for sign in "+-*"),
        "-(<double>)",
        "double(<int>)",
        "ratio(<double>, <double>)",
    ],
    "timestamp": ["(<timestamp> + <duration>)", "(<timestamp> - <duration>)"],
    "duration": ["(<timestamp> - <timestamp>)", "(<duration> + <duration>)"],
}
SLOT = re.compile(r"<(\w+)(\*?)>")


@st.composite
def expressions(draw, kind="bool", depth=3, local=False):
    if depth <= 0 or draw(st.integers(0, 6)) == 0:
        fields = [name for name, of in SCHEMA.items() if of == kind]
        fields += ["r"] if local and kind == "string" else []
        return draw(st.sampled_from(fields + LITERALS[kind]))
    shapes = [each for each in SHAPES[kind] if not (local and "(r, " in each)]
    shape = draw(st.sampled_from(shapes))
    return SLOT.sub(lambda s: draw(expressions(s[1], depth - 1, local or bool(s[2]))), shape)


@st.composite
def rows(draw):
    return {
        name: draw(st.one_of(st.none(), st.sampled_from(values), st.sampled_from(values)))
        for name, (_, values) in FIELDS.items()
    }


def nested(row):
    made = {"job": {}, "candidate": {}, "baseline": {}}
    for name, value in row.items():
        root, field = name.split(".")
        if value is not None:
            made[root][field] = value
    return {root: to_cel(fields) for root, fields in made.items()}


def is_that(encoder, name, value):
    field = encoder.field(name)
    if value is None:
        return z3.Not(field.ok)
    if isinstance(field, Items):
        same = [
            each.value == text(encoder, said)
            for each, said in zip(field.items, value, strict=False)
        ]
        return z3.And(field.ok, z3.Int(f"length of {name}") == len(value), *same)
    if isinstance(value, bool):
        return z3.And(field.ok, field.value == z3.BoolVal(value))
    if isinstance(value, float):
        return z3.And(field.ok, field.value == encoder.numbers.constant(value))
    if isinstance(value, str):
        return z3.And(field.ok, field.value == text(encoder, value))
    return z3.And(
        field.ok, field.value == (value if isinstance(value, int) else microseconds(value))
    )


def text(encoder, value):
    return encoder.term(Const("string", value)).value


def told(numbers, source, row):
    """The encoder, a solver in which the fields are those of the row, and the claim of what came out."""
    made = compile_node(parse(source), SCHEMA)
    encoder = Encoder(numbers, SCHEMA, 3)
    term = encoder.term(made.node)
    actual = made(nested(row))
    solver = z3.Solver()
    solver.set("timeout", 5_000)
    solver.add([is_that(encoder, name, row[name]) for name in list(encoder.fields)])
    if isinstance(actual, Failed):
        return encoder, solver, z3.Not(term.ok)
    return encoder, solver, z3.And(term.ok, term.value == z3.BoolVal(actual))


FUZZ = settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("numbers", [Exact, Rounded, Unsettled])
def test_the_solver_can_choose_whatever_the_row_evaluator_gives(numbers):
    @FUZZ
    @given(expressions(), rows())
    def law(source, row):
        try:
            encoder, solver, same = told(numbers(), source, row)
        except ExpressionError:
            return
        if numbers is Exact and encoder.sums.calculates:
            return
        assert solver.check(same) != z3.unsat, (source, row)

    law()


@pytest.mark.parametrize("numbers", [Exact, Rounded])
def test_the_solver_can_choose_nothing_else_where_all_is_told(numbers):
    @FUZZ
    @given(expressions(), rows())
    def law(source, row):
        try:
            encoder, solver, same = told(numbers(), source, row)
        except ExpressionError:
            return
        if encoder.free or (numbers is Exact and encoder.sums.calculates):
            return
        assert solver.check(z3.Not(same)) != z3.sat, (source, row)

    law()


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("a+b", ["aab", "xaby"], ["b", ""]),
        ("^a.c$", ["abc", "aéc"], ["a\nc", "abcd", "xabc"]),
        ("^(eu|us)-[a-z]{2,3}[0-9]?$", ["eu-ab", "us-abc7"], ["eu-a", "ap-ab", "eu-abcd"]),
        (r"^\d{2,}\.\w*[^x-z]$", ["12.a", "123.a_b"], ["1.a", "12.z", "12a"]),
        (r"a|^b$", ["ca", "b"], ["cb", ""]),
        (r"[\]\-a]x", ["]x", "-x", "ax"], ["bx"]),
        (r"\x41(?:b)*\S", ["A1", "Abb2"], ["A ", "b"]),
    ],
)
def test_a_pattern_is_the_same_to_the_solver_and_to_re2(pattern, found, missed):
    import re2  # type: ignore[import-untyped]

    solver = z3.Solver()
    encoder = Encoder(Exact(), SCHEMA, 1)
    for each in [*found, *missed]:
        here = re2.search(pattern, each) is not None

        assert here is (each in found)
        assert solver.check(z3.InRe(text(encoder, each), regex(pattern)) != here) == z3.unsat


@pytest.mark.parametrize("pattern", [r"\bword\b", "(?i)a", "a{0}", "a{300}", "[[:alpha:]]", "(^a)"])
def test_a_pattern_that_is_not_told_says_so(pattern):
    with pytest.raises(Cannot, match="not told to the solver"):
        regex(pattern)
