"""All that `policy check` has to say of files, problems and doubts, in the order of the files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from greenops.policy.compile import looked_at
from greenops.policy.document import documents
from greenops.policy.expiry import warnings
from greenops.policy.lint_pairs import between_policies
from greenops.policy.lint_report import Finding, Severity
from greenops.policy.lint_rules import of_policy
from greenops.policy.lint_source import written
from greenops.policy.lint_text import divisors, unquoted, untested
from greenops.policy.policy_set import PolicySet


def findings(
    sources: Sequence[tuple[str, str]], now: datetime
) -> tuple[list[Finding], PolicySet | None]:
    """What is wrong with some files, and what they compile to.

    Args:
        sources: (file name, text) of each file.
        now: Instant that tells which exceptions ran out.

    Returns:
        Findings in file order; none for the policies where the files do not compile.
    """
    policies, problems = looked_at(sources, now)
    if problems:
        return [Finding.of(each, Severity.ERROR) for each in problems], None
    found = [Finding.of(each, Severity.WARNING) for each in warnings(policies, now)]
    places = written(sources, policies)
    for each in places:
        found += [*of_policy(each), *divisors(each), *untested(each, policies)]
    found += between_policies(places)
    for file, text in sources:
        found += unquoted(text, list(documents(file, text)))
    order = {file: at for at, (file, _) in enumerate(sources)}
    return sorted(dict.fromkeys(found), key=lambda e: _place(e, order)), policies


def _place(found: Finding, order: dict[str, int]) -> tuple[int, int, int, str]:
    at = found.at
    return (order.get(at.file, len(order)), at.line, at.column, found.code)
