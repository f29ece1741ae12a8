"""Expressions: what is allowed, what is refused and where, and what each costs."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from greenops.policy.evaluate import Failed, compile_node, to_cel
from greenops.policy.ir import ExpressionError
from greenops.policy.parse import parse
from greenops.policy.schema import FIELDS


def compiled(text, **options):
    return compile_node(parse(text), FIELDS, **options)


def refusal(text, **options):
    with pytest.raises(ExpressionError) as caught:
        compiled(text, **options)
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "at", "hint"),
    [
        ("job.urgncy == 'x'", "GO0131", 0, "job.urgency"),
        ("true && candidate.cost > 1.0", "GO0131", 8, "candidate.cost_usd"),
        ("jb.name == 'x'", "GO0131", 0, "declare it"),
        ("job.urgncy.startsWith('x')", "GO0131", 0, "job.urgency"),
        ("has(job.urgncy)", "GO0131", 0, "job.urgency"),
        ("job.name.startWith('x')", "GO0133", 0, "startsWith"),
        ("job.name ==", "GO0130", 9, "operators"),
        ("job.name = 'x'", "GO0130", 9, "operators"),
        ('job.name == "x', "GO0130", 12, "add"),
        (r'job.name == "\q"', "GO0130", 13, "write"),
        (r'job.name == "\ud800"', "GO0130", 13, "write"),
        ('job.name == b"x"', "GO0133", 12, "string"),
        ("job.name == 1", "GO0132", 0, ""),
        ("candidate.cost_usd == job.name", "GO0132", 0, ""),
        ("size(job.name) <= candidate.cost_usd", "GO0132", 0, "double("),
        ("job.name && true", "GO0132", 0, "true or false"),
        ("true + true == 2", "GO0132", 0, ""),
        ("candidate.cost_usd / 2.0 > 1.0", "GO0133", 0, "ratio"),
        ("job.team == null", "GO0133", 12, "has("),
        ("{'a': 1} == 1", "GO0132", 0, "map(string, int)"),
        ("{'a': 1, 'b': 'x'}.a == 1", "GO0132", 0, "one plain type"),
        ("{1.5: 1}[1.5] == 1", "GO0132", 0, "texts as keys"),
        ("job.allowed_regions[0] == 1", "GO0132", 0, "string and int"),
        ("job.allowed_regions['a'] == 'x'", "GO0132", 0, "from 0"),
        ("job.allowed_regions.map(r, r) == 1", "GO0132", 0, "list(string)"),
        ("job.allowed_regions == ['a']", "GO0132", 0, "`in`, `all` or `exists`"),
        ("size(job.allowed_regions + ['a']) == 2", "GO0133", 5, "messageExpression"),
        ("job.allowed_regions.filter(r, size(r)) == 1", "GO0132", 0, "true or false"),
        ("dyn(job.name) == 1", "GO0133", 0, "messageExpression"),
        ("type(job.name) == string", "GO0133", 0, "messageExpression"),
        ("job.name.x == 1", "GO0131", 0, "job.name"),
        ("job.`name` == 1", "GO0132", 0, "string and int"),
        ("`job`.name == 1", "GO0130", 0, "after a dot"),
        ("now > timestamp('2026-11-23T20:00:00.0000001Z')", "GO0132", 16, "six digits"),
        ("job.allowed_regions.all(r, r) ", "GO0132", 0, "true or false"),
        ("job.allowed_regions.all(r) ", "GO0130", 0, "a rule"),
        ("job.allowed_regions.all(job, true)", "GO0130", 24, "another name"),
        ("job.name.all(r, true)", "GO0132", 0, "list"),
        ("'a' in job.name", "GO0132", 0, "list"),
        ("1 in ['a']", "GO0132", 0, "list"),
        ("candidate.cost_usd in [size(job.name)]", "GO0132", 0, "list"),
        ("candidate.cost_usd in [1, size(job.name)]", "GO0132", 0, "list"),
        ("[1, 'a'] == 1", "GO0132", 0, "one plain type"),
        ("[] == 1", "GO0132", 0, "one plain type"),
        ("job.allowed_regions < job.allowed_regions", "GO0132", 0, ""),
        ("now > timestamp('now')", "GO0132", 16, "2026"),
        ("now > timestamp(job.name)", "GO0133", 6, "constant"),
        ("now - now > duration('1d')", "GO0132", 21, "90m"),
        ("now.getHours('Mars/Base') == 1", "GO0132", 13, "Europe/Paris"),
        ("now.getHours(job.name) == 1", "GO0133", 0, "constant"),
        ("job.name.getHours() == 1", "GO0132", 0, ""),
        ("job.name.matches('(')", "GO0132", 17, "RE2"),
        ("job.name.matches(job.team)", "GO0133", 0, "constant"),
        ("job.name + 'x' == 'ax'", "GO0133", 0, "messageExpression"),
        ("string(1) == '1'", "GO0133", 0, "messageExpression"),
        ("1u == 1u", "GO0133", 0, "int or double"),
        (".job.name == 'x'", "GO0133", 0, "dot"),
        ("job{name: 'x'}", "GO0133", 0, "messages"),
        ("size(job.name).x == 1", "GO0133", 0, "members"),
        ("has(1)", "GO0130", 0, "has(job.team)"),
        ("(1 ? true : false)", "GO0132", 1, "before"),
        ("true ? 1 : 'a'", "GO0132", 0, "one type"),
        ("ratio(1) == 1.0", "GO0132", 0, "ratio(a, b)"),
        ("-job.name == 'x'", "GO0132", 0, ""),
        ("-(-9223372036854775807 - 1) == 1 && 99999999999999999999 == 1", "GO0132", 36, "64"),
        ("", "GO0130", 0, ""),
    ],
)
def test_a_refused_expression_says_where_and_what_to_do(text, code, at, hint):
    error = refusal(text)

    assert (error.code, error.at) == (code, at)
    assert hint in f"{error.message} {error.fix}"


@pytest.mark.parametrize(
    "text",
    [
        'duration("' + "a" * 900 + '!") < duration("1s")',
        'size("%300000000s" % 1) == 1',
        "[1,2].all(a, [1,2].all(b, [1,2].all(c, [1,2].all(d, true))))",
        "job.allowed_regions.all(a, job.allowed_regions.all(b, a == b))",
        "(" * 100 + "true" + ")" * 100,
        "true" + "||true" * 160,
        "1" + "+1" * 300 + " == 1",
        "!" * 990 + "true",
        "-" * 990 + "1 == 1",
        "true ? " * 120 + "true" + " : true" * 20,
        '"' + r"\n" * 490,
        '"""' + r"\n" * 490,
        "'" * 999,
        '"x" == "' + "\\" * 900,
        "x" * 1_000_000,
        "[" + "1," * 498 + "1]",
        'job.name.matches("' + "(a*)*" * 60 + '")',
        'job.name.matches("(((a{100}){100}){100}){100}")',
        "9" * 999 + " == 1",
        "1e" + "9" * 900 + " == 1.0",
        "job" + ".a" * 490,
        "a" * 990 + "(1)",
        "job.name." + "startsWith(job.name)." * 40 + "size()",
        "\x00" * 500,
        "// " + "x" * 900,
        "{" * 500,
    ],
    ids=range(26),
)
def test_a_hostile_expression_is_refused_in_half_a_second(text):
    compiled("true")  # the grammar is built once, at the first use
    begun = time.thread_time()

    refusal(text)

    assert time.thread_time() - begun < 0.5


def test_the_recursion_limit_of_the_process_stays_as_it_was():
    before = sys.getrecursionlimit()

    compiled("job.name == 'a'")

    assert sys.getrecursionlimit() == before == 1000


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("candidate.cost_usd<=1", "(candidate.cost_usd <= 1.0)"),
        ("1 + 0.5 == 1.5", "((1.0 + 0.5) == 1.5)"),
        ("candidate.cost_usd in [1, 2.5]", "(candidate.cost_usd in [1.0, 2.5])"),
        ("candidate.cost_usd in [1, 2]", "(candidate.cost_usd in [1.0, 2.0])"),
        ("1 in [1.5]", "(1.0 in [1.5])"),
        ("true ? 1 > 0.5 : false", "(true ? (1.0 > 0.5) : false)"),
        ("(true ? 1 : 0.5) > 1", "((true ? 1.0 : 0.5) > 1.0)"),
        (r"""job.name == 'a"\x41\101\u0041\n'""", r'(job.name == "a\"AAA\n")'),
        (r"""job.name == r'\d'""", r'(job.name == "\\d")'),
        ("job.name == '''a\nb'''", r'(job.name == "a\nb")'),
        ("job.name == 'a' // why\n && true", '((job.name == "a") && true)'),
        ("now - now < duration('1h30m')", '((now - now) < duration("5400s"))'),
        ("now - now < duration('1.5ms')", '((now - now) < duration("1500us"))'),
        (
            "now < timestamp('2026-11-23T21:00:00+01:00')",
            '(now < timestamp("2026-11-23T20:00:00Z"))',
        ),
        ("-(2) < 0x10", "(-2 < 16)"),
        ("!has(job.team)", "!(has(job.team))"),
        ("ratio(1, 2) < 1", "(ratio(1.0, 2.0) < 1.0)"),
    ],
)
def test_one_canonical_text_stands_for_every_spelling(text, canonical):
    first = compiled(text)

    assert first.text == canonical
    assert compiled(canonical).text == canonical


ROW = {
    "job": to_cel({"name": "etl", "allowed_regions": ["a", "b"], "interruptible": True}),
    "candidate": to_cel({"cost_usd": 3.0, "region": "a", "carbon_g": 0.0}),
    "baseline": to_cel({"cost_usd": 0.0}),
    "limits": to_cel({}),
    "now": to_cel(datetime(2026, 11, 22, 23, 30, tzinfo=UTC)),
}


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("candidate.cost_usd > 2", True),
        ("candidate.region in job.allowed_regions", True),
        ("job.allowed_regions.exists(r, r == candidate.region)", True),
        ("job.allowed_regions.all(r, r == 'a')", False),
        ("job.team == 'x' || true", True),
        ("true || job.team == 'x'", True),
        ("job.team == 'x' && false", False),
        ("has(job.team) ? job.team == 'x' : true", True),
        ("now.getHours() == 23", True),
        ("now.getHours('Europe/Paris') == 0 && now.getDayOfWeek('Europe/Paris') == 1", True),
        ("(now - timestamp('2026-11-22T23:00:00Z')).getSeconds() == 1800", True),
        ("-7 / 2 == -3 && -7 % 2 == -1 && 7 % -2 == 1", True),
        ("job.interruptible == true", True),
        ('duration("2000000000.5s") > duration("2000000000s")', True),
        ('duration("315575999999.999999s") > duration("87000000h")', True),
        ("size('ÿ') == 1 && size(job.allowed_regions) == 2", True),
    ],
)
def test_an_expression_means_what_the_language_says(text, means):
    assert compiled(text)(ROW) is means


@pytest.mark.parametrize(
    "text",
    [
        "job.team == 'x'",
        "job.team == 'x' && true",
        "!(job.team == 'x')",
        "job.team == 'x' ? true : true",
        "ratio(candidate.cost_usd, baseline.cost_usd) > 0.5",
        "1 / size('') == 1",
        "9223372036854775807 + 1 > 0",
        "(-9223372036854775807 - 1) % -1 == 0",
        "(-9223372036854775807 - 1) / -1 == 0",
        "timestamp('9999-12-31T23:59:59Z') + duration('24h') > now",
        "candidate.carbon_low_g <= candidate.cost_usd",
    ],
)
def test_what_cannot_be_told_is_an_error_and_never_a_yes(text):
    assert isinstance(compiled(text)(ROW), Failed)


def test_an_absent_figure_is_named():
    assert compiled("candidate.p95_ms > 1.0")(ROW) == Failed("`p95_ms` is absent")


def test_messages_may_join_texts_and_write_numbers():
    text = '"from " + string(candidate.cost_usd) + " to " + string(1.5) + string(true) + string(2)'

    made = compiled(text, message=True)

    assert made(ROW) == "from 3 to 1.5true2"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("[1, 2,][1]", 2),
        ("{'a': 1,}.a", 1),
        ("{true: 'b', 1: 'i'}[true]", "b"),
        ("type(now) == google.protobuf.Timestamp", True),
        ("string(now) + ' ' + string(duration('-1.5s'))", "2026-11-22T23:30:00Z -1.5s"),
        ("string(1000000.0) + string(-0.0) + string(1e16) + string(0.1)", "1000000-01e+160.1"),
        ("[1, 'a', null].filter(x, type(x) == int).map(x, x + 1)", [2]),
        ("job.allowed_regions.map(r, ['x'].map(s, r + s))", [["ax"], ["bx"]]),
        ("dyn(1) == 1.0 && dyn(1) < 1.5 && dyn('1') != 1", True),
        ("[1, 2].map(x, x > 1, x * 10)", [20]),
        ("{'a-b': 1}.`a-b`", 1),
        ("has({'a': null}.a) && !has({'a': null}.b)", True),
        ("now - duration('90m')", datetime(2026, 11, 22, 22, 0, tzinfo=UTC)),
        (r"'for' + r'\n'", r"for\n"),
    ],
)
def test_a_message_may_use_all_of_the_language(text, means):
    assert compiled(text, message=True)(ROW) == means


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("string(job.urgncy)", "GO0131", "job.urgency"),
        ("string(job.name + 1)", "GO0132", "string and int"),
        ("string(job.allowed_regions[0] == 1)", "GO0132", "string and int"),
        ("string(job.name == null)", "GO0132", "`has(field)`"),
        ("string(candidate.cost_usd / 2.0)", "GO0133", "ratio"),
        ("string([1].all(a, [1].all(b, [1].all(c, true))))", "GO0134", "macros inside"),
        ("string(f(1))", "GO0133", "not allowed"),
        ("string(timestamp('2026-11-22T23:30:00.1234567Z'))", "GO0132", "microsecond"),
    ],
)
def test_what_is_known_of_a_message_is_checked_before_it_is_written(text, code, hint):
    error = refusal(text, message=True)

    assert error.code == code
    assert hint in f"{error.message} {error.fix}"


def test_a_message_that_cannot_be_written_says_why():
    assert compiled("string(dyn(1) + dyn('a'))", message=True)(ROW) == Failed(
        "no such overload: int + string"
    )


def test_a_deep_expression_that_is_allowed_can_be_evaluated():
    text = "(" * 25 + "true" + ")" * 25 + " && true" * 25

    assert compiled(text)(ROW) is True


def test_a_row_holds_no_duration_that_no_expression_could_make():
    with pytest.raises(OverflowError, match="out of range"):
        to_cel({"waited": timedelta(days=300 * 366)})
