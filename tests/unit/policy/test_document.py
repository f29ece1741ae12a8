"""YAML as people expect it: what surprises is a text, or is refused with a place."""

from __future__ import annotations

import time

import pytest

from greenops.errors import InvalidFile
from greenops.policy.document import documents


def only(text):
    (node,) = documents("p.yaml", text)
    return node


def refusal(text):
    with pytest.raises(InvalidFile) as caught:
        list(documents("p.yaml", text))
    return caught.value


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("16:00", "16:00"),
        ("1:30:00", "1:30:00"),
        ("2026-11-23", "2026-11-23"),
        ("1_000", "1_000"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("'true'", "true"),
        ('"10"', "10"),
        (".inf", ".inf"),
        ("=", "="),
    ],
)
def test_plain_words_follow_the_core_schema_of_yaml_1_2(written, means):
    node = only(f"key: {written}")

    value = node.entries["key"][1].value

    assert value == means
    assert type(value) is type(means)


def test_norway_stays_on_the_list():
    node = only("regions: [NO, SE]")

    assert [each.value for each in node.entries["regions"][1].items] == ["NO", "SE"]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3", "GO0103", 3, 1),
        ("a: {x: 1, x: 2}", "GO0103", 1, 11),
        ("a: &here 1", "GO0105", 1, 4),
        ("a: 1\nb: *a", "GO0105", 2, 4),
        ("a: !x 1", "GO0105", 1, 4),
        ("a: !!python/name:os.system ''", "GO0105", 1, 4),
        ("a: !!str 1", "GO0105", 1, 4),
        ("[a]: 1", "GO0104", 1, 1),
        ("a: 'not closed", "GO0101", 1, 15),
        ("a: b: c", "GO0101", 1, 5),
        ("a:\n\tb: 1", "GO0101", 2, 1),
        ("a: 99999999999999999999", "GO0107", 1, 4),
        ("a: 1e999", "GO0107", 1, 4),
        ("a: [1.0, -1e309]", "GO0107", 1, 10),
        ("a: 1\nb: \x00", "GO0101", 2, 4),
        ("a: 1\n# x\u2028b: 2", "GO0101", 2, 4),
        ("a: 1\n# x\u2029b: 2", "GO0101", 2, 4),
        ("a: 1\n# x\u0085b: 2", "GO0101", 2, 4),
        ("a: 1\n# x\rb: 2", "GO0101", 2, 4),
        ("a: '\u2028'", "GO0101", 1, 5),
        ('a: "\\ud800"', "GO0101", 1, 4),
        ('"\\udfff": 1', "GO0101", 1, 1),
        ("a: " + "[" * 1500, "GO0106", 1, 0),
        ("a: " + "{b: " * 1500, "GO0106", 1, 96),
    ],
)
def test_what_surprises_is_refused_with_its_place(text, code, line, column):
    error = refusal(text)

    assert (error.code, error.at.line, error.at.column) == (code, line, column)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "x" * (256 * 1024 + 1),
        "é" * (128 * 1024 + 1),
        "a: \x00",
        "&a " * 1000 + "x",
    ],
)
def test_a_hostile_file_is_refused_in_half_a_second(text):
    begun = time.thread_time()

    refusal(text)

    assert time.thread_time() - begun < 0.5


@pytest.mark.parametrize("text", ["a: 1\r\nb: 2\r\n", "\ufeffa: 1", 'a: "\\u2028"', "a: 🌱"])
def test_line_ends_of_windows_a_mark_at_the_start_and_escapes_are_read(text):
    assert only(text).entries


def test_every_refusal_says_what_to_do():
    for text in ("a: \x00", "# x\u2028", 'a: "\\ud800"', "a: b: c"):
        assert refusal(text).fix


def test_several_documents_stand_in_one_file_and_empty_ones_do_not_count():
    found = list(documents("p.yaml", "a: 1\n---\n---\nb: 2\n"))

    assert [list(each.entries or {}) for each in found] == [["a"], ["b"]]
    assert found[1].at.line == 4


@pytest.mark.parametrize(
    ("text", "needle", "line", "column"),
    [
        ("e: job.x == 1", "job", 1, 4),
        ("e: a && job.x", "job", 1, 9),
        ("e: 'it''s job'", "job", 1, 11),
        ('e: "a \\"b\\" job"', "job", 1, 13),
        ('e: "\\u0041\\x41\\U00000041 job"', "job", 1, 26),
        ('e: "\\u00e9 == 1\\n job"', "job", 1, 19),
        ("e: |\n  a &&\n  job.x", "job", 3, 3),
        ("e: |\n    a\n    && job.x", "job", 3, 8),
        ("e: >\n  a &&\n  job.x", "job", 1, 4),
        ("e: a &&\n   job.x", "job", 1, 4),
    ],
)
def test_a_place_inside_a_text_is_a_place_in_the_file(text, needle, line, column):
    node = only(text).entries["e"][1]

    at = node.place(node.text.index(needle))

    assert (at.line, at.column) == (line, column)
