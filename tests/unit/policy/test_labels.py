"""Labels have any name, also one that CEL keeps for itself; every engine reads them alike."""

from __future__ import annotations

import pytest

from greenops.policy.evaluate import compile_node, to_cel
from greenops.policy.ir import ExpressionError
from greenops.policy.parse import parse
from greenops.policy.schema import with_labels

LABELS = {"true": "a", "in": "a", "null": "a", "for": "a", "cost-center": "a", "a.b": "a"}
SCHEMA = with_labels([*LABELS, "gone", "not-there"])


def compiled(text):
    return compile_node(parse(text), SCHEMA)


@pytest.mark.parametrize(
    ("text", "canonical", "means"),
    [
        ('job.labels["true"] == "a"', '(job.labels["true"] == "a")', True),
        ('job.labels.in == "a"', '(job.labels["in"] == "a")', True),
        ('job.labels["null"] == "b"', '(job.labels["null"] == "b")', False),
        ('job.labels["for"] == "a"', '(job.labels.for == "a")', True),
        ('job.labels["a.b"] == "a"', '(job.labels["a.b"] == "a")', True),
        ('has(job.labels["a.b"])', '("a.b" in job.labels)', True),
        ('has(job.labels["true"])', '("true" in job.labels)', True),
        ('"cost-center" in job.labels', '("cost-center" in job.labels)', True),
        ('"not-there" in job.labels', '("not-there" in job.labels)', False),
        ('"for" in job.labels', "has(job.labels.for)", True),
        ("has(job.labels.gone)", "has(job.labels.gone)", False),
        ('job.labels.`a.b` == "a"', '(job.labels["a.b"] == "a")', True),
        ("has(job.labels.`cost-center`)", '("cost-center" in job.labels)', True),
    ],
)
def test_a_label_of_any_name_is_read_as_the_reference_reads_it(text, canonical, means):
    oracle = pytest.importorskip("cel_expr_python.cel")
    kinds = oracle.Type
    reference = oracle.NewEnv(variables={"job": kinds.Map(kinds.STRING, kinds.DYN)})
    made = compiled(text)

    assert made.text == canonical
    assert compiled(canonical).text == canonical
    assert made({"job": to_cel({"labels": LABELS})}) is means
    assert reference.compile(canonical).eval(data={"job": {"labels": LABELS}}).value() is means


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ('job.labels.a.b == "x"', "GO0131", 'write `job.labels["a.b"]`'),
        ("has(job.labels.a.b)", "GO0131", 'write `job.labels["a.b"]`'),
        ("has(now)", "GO0130", "has(job.team)"),
        ('"x" in job.labels', "GO0131", "unknown field `job.labels.x`"),
        ('job.labels.true == "a"', "GO0130", "near"),
    ],
)
def test_a_path_that_can_never_be_there_is_refused(text, code, hint):
    with pytest.raises(ExpressionError) as caught:
        compiled(text)

    assert caught.value.code == code
    assert hint in f"{caught.value.message} {caught.value.fix}"
