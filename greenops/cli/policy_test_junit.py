"""Test results as JUnit XML, one suite a policy, as CI servers read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as Xml

if TYPE_CHECKING:
    from greenops.pipeline.policy_tests import TestResult
    from greenops.policy.coverage import Coverage

REFUSED: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold. Source: W3C, Extensible Markup Language 1.0, production 2."""


def junit(
    results: Sequence[TestResult], covered: Sequence[Coverage] | None, least: float | None
) -> str:
    """The whole document.

    Args:
        results: In file order.
        covered: What the tests show of each policy; none: not asked.
        least: Least coverage [%]; where it is not reached a test of that name fails.
    """
    suites: dict[str, list[TestResult]] = {}
    for each in results:
        suites.setdefault(each.test.policy, []).append(each)
    root = Xml.Element("testsuites", name="greenops policy test")
    for name, inside in suites.items():
        root.append(_suite(name, inside, covered or ()))
    if covered is not None and least is not None:
        root.append(_least(covered, least))
    for key in ("tests", "failures"):
        root.set(key, str(sum(int(each.get(key, "0")) for each in root)))
    root.set("errors", "0")
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=False)


def _suite(name: str, results: Sequence[TestResult], covered: Sequence[Coverage]) -> Xml.Element:
    failures = sum(not each.passed for each in results)
    suite = _sums(name, len(results), failures)
    for each in covered:
        if each.policy == name:
            inside = Xml.SubElement(suite, "properties")
            shown = f"{each.count} of {len(each.wanted)}"
            Xml.SubElement(inside, "property", name="outcomes shown", value=shown)
    for result in results:
        case = Xml.SubElement(
            suite, "testcase", classname=_text(name), name=_text(result.test.name)
        )
        if (at := result.test.source) is not None:
            case.set("file", at.file)
            case.set("line", str(at.line))
        if not result.passed:
            message = _text("; ".join(result.failures))
            failure = Xml.SubElement(case, "failure", type="expectation", message=message)
            failure.text = _text("\n".join(f"{at}: {each}" for each in result.failures))
    return suite


def _least(covered: Sequence[Coverage], least: float) -> Xml.Element:
    from greenops.policy.coverage import percent

    share = percent(covered)
    suite = _sums("coverage", 1, int(share < least))
    name = f"at least {least:g} % of outcomes are shown"
    case = Xml.SubElement(suite, "testcase", classname="coverage", name=name)
    if share < least:
        message = f"{share:.1f} % are shown"
        failure = Xml.SubElement(case, "failure", type="coverage", message=message)
        missed = [e for each in covered for e in each.missed]
        failure.text = _text("\n".join(f"{each.at}: {each}" for each in missed))
    return suite


def _sums(name: str, tests: int, failures: int) -> Xml.Element:
    suite = Xml.Element("testsuite", name=_text(name))
    for key, value in (("tests", tests), ("failures", failures), ("errors", 0), ("skipped", 0)):
        suite.set(key, str(value))
    return suite


def _text(text: str) -> str:
    return REFUSED.sub("\ufffd", text)
