"""A test written as a policy file has it, one that reads back as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job
from greenops.errors import InvalidFile
from greenops.policy.document import REFUSED, documents
from greenops.policy.example import read_test
from greenops.policy.fields import Fields
from greenops.policy.model import PolicyTest
from greenops.policy.report import Report
from greenops.policy.schema import JOB, PLACE

KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


def test_text(test: PolicyTest) -> str:
    """One entry of `tests:`, without indent; ends in a newline."""
    lines = [
        f"- name: {_value(test.name)}",
        f"  now: {_value(test.now)}",
        f"  job: {_map(_job(test.job))}",
        f"  baseline: {_map(_place(test.baseline))}",
    ]
    if test.candidates:
        lines.append("  candidates:")
        lines += [f"  - {_map(_place(each))}" for each in test.candidates]
    expect: dict[str, Any] = {"choose": test.choose}
    for name in ("rejected", "warned"):
        if given := {key: list(each) for key, each in getattr(test, name).items() if each}:
            expect[name] = given
    if test.exception is not None:
        expect["exception"] = test.exception
    if not test.matches:
        expect["matches"] = False
    lines.append(f"  expect: {_map(expect)}")
    return "\n".join(lines) + "\n"


test_text.__test__ = False  # type: ignore[attr-defined]  # a test runner takes its name for a test


def unwritable(test: PolicyTest) -> str | None:
    """Why a test file cannot say this; none where it can, and reads back as the same test."""
    report = Report()
    try:
        found = list(documents("witness", test_text(test)))
    except InvalidFile as error:
        return error.message
    entry = (found[0].items or ())[0]
    back = read_test(test.policy, Fields(entry, "tests", report), {})
    if report.problems or back is None:
        return report.problems[0].message if report.problems else "it does not read back"
    same = replace(back, source=None) == replace(test, source=None)
    return None if same else "a test's job has no limits, deadline or schedule of its own"


def _job(job: Job) -> dict[str, Any]:
    of = job.workload
    plain: dict[str, Any] = {name: getattr(of, name, None) for name in JOB}
    plain |= {"id": job.id, "submitted": job.submitted, "allowed_regions": list(of.allowed_regions)}
    given = {name: each for name, each in plain.items() if each is not None and each != []}
    return {**given, "labels": dict(of.labels)} if of.labels else given


def _place(place: Candidate) -> dict[str, Any]:
    return {name: each for name in PLACE if (each := getattr(place, name)) is not None}


def _map(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{_key(name)}: {_value(each)}" for name, each in values.items()) + "}"


def _key(name: str) -> str:
    return name if KEY.fullmatch(name) and name.lower() not in WORDS else _value(name)


def _value(value: Any) -> str:
    match value:
        case datetime():
            return json.dumps(value.isoformat().replace("+00:00", "Z"))
        case Enum():
            return str(value.value)
        case Mapping():
            return _map(value)
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            return REFUSED.sub(_escape, json.dumps(value, ensure_ascii=False))
        case _:
            return json.dumps(value)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - four digits
