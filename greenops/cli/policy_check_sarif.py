"""Findings as SARIF 2.1.0, which code scanning reads. Source: OASIS, SARIF version 2.1.0, section 3."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from greenops import __version__

if TYPE_CHECKING:
    from greenops.errors import Location
    from greenops.policy.lint_report import Finding

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
ABOUT: Final = {
    "GO0122": ("ExpiredException", "An exception has run out and is still in the file."),
    "GO0150": ("UnreachableRule", "A match, objective, exception or branch that nothing reaches."),
    "GO0151": ("ShadowedRule", "A constraint that a stricter one makes idle."),
    "GO0152": ("ConflictingRules", "Constraints that no candidate can keep together."),
    "GO0153": ("DeadThreshold", "A comparison or rule that always comes out the same."),
    "GO0154": ("BareDivision", "A division whose divisor may be 0."),
    "GO0155": ("UnquotedExpression", "An expression without quotes that YAML cuts or folds."),
    "GO0156": ("UntestedPolicy", "A policy without a test."),
}
"""Code → name and sentence of the rules that ask about files which compile."""
REFUSED: Final = ("RefusedFile", "A policy or workload file that is refused when it is read.")


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """One run with its rules and results."""
    codes = sorted({*ABOUT, *(each.code for each in findings)})
    seen: Counter[str] = Counter()
    results = []
    for each in findings:
        print_of = _fingerprint(each)
        seen[print_of] += 1
        results.append(_result(each, codes, f"{print_of}:{seen[print_of]}"))
    driver = {
        "name": "greenops",
        "semanticVersion": __version__,
        "rules": [_rule(each) for each in codes],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    name, sentence = ABOUT.get(code, REFUSED)
    return {
        "id": code,
        "name": name,
        "shortDescription": {"text": sentence},
        "help": {"text": f"See the section {code} of docs/reference/errors.md."},
        "defaultConfiguration": {"level": "warning" if code in ABOUT else "error"},
    }


def _result(found: Finding, codes: Sequence[str], print_of: str) -> dict[str, Any]:
    text = found.message + (f"; {found.fix}" if found.fix else "")
    result: dict[str, Any] = {
        "ruleId": found.code,
        "ruleIndex": codes.index(found.code),
        "level": found.severity.value,
        "message": {"text": text},
        "partialFingerprints": {"greenopsFinding/v1": print_of},
    }
    if found.at.file:
        result["locations"] = [{"physicalLocation": _place(found.at)}]
    return result


def _place(at: Location) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": uri_of(at.file)}}
    if at.line:
        column = {"startColumn": at.column} if at.column else {}
        place["region"] = {"startLine": at.line, **column}
    return place


def uri_of(file: str) -> str:
    """A file below the working folder relative to it, as code scanning wants it; else absolute."""
    path = Path(file)
    if path.is_absolute():
        here = Path.cwd()
        if not path.is_relative_to(here):
            return path.as_uri()
        path = path.relative_to(here)
    return quote(path.as_posix())


def _fingerprint(found: Finding) -> str:
    """The same finding after lines were put in above it."""
    text = "\0".join((found.code, uri_of(found.at.file), found.message))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
