"""Two policies that some job meets together, and whose hard constraints no candidate can keep together.

That they meet is shown by a job, made up and asked of both; where none is found, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, islice
from typing import Any, Final

import numpy as np

from greenops.domain.workload import Urgency, WorkloadKind
from greenops.policy.evaluate import Row, to_cel
from greenops.policy.ir import Node, Var
from greenops.policy.kernel_numbers import EPOCH
from greenops.policy.lint_ranges import WORDS
from greenops.policy.lint_report import Finding, Severity
from greenops.policy.lint_source import Written, WrittenPolicy, is_hard
from greenops.policy.lint_terms import ABSENT, OTHER
from greenops.policy.lint_truth import Space
from greenops.policy.schema import FIELDS, NUMBER, TEXT, TIME

MOST_TRIES: Final = 64
"""Jobs that are made up for two policies; each costs some milliseconds."""
MOST_POLICIES: Final = 200
MOST_PAIRS: Final = 20_000
"""Pairs of hard constraints that are compared, in all; each costs about 0.1 ms."""
MOST_OF_A_FILE: Final = 3_000
"""Pairs that are compared for each file."""
MOST_FOUND: Final = 50
"""Conflicts between policies that are told."""
SAME: Final = (("job.home_region", "baseline.region"), ("job.submitted", "now"))
"""Pairs of which one is made like the other, where only one is asked for."""
PERSONAL: Final = "personal"
"""The data class that means personal data."""
ROOTS: Final = ("job", "baseline", "now")
SOME: Final[Mapping[str, Any]] = {
    TEXT: "some-other-text",
    NUMBER: 1.0,
    TIME: datetime(2026, 11, 23, 20, tzinfo=UTC),
    "bool": True,
    "list(string)": ["some-other-text"],
}
"""A value of each type for fields that no match asks for by value."""


def between_policies(policies: Sequence[WrittenPolicy]) -> Iterator[Finding]:
    """Conflicts between any two."""
    return islice(_conflicts(policies), MOST_FOUND)


def _conflicts(policies: Sequence[WrittenPolicy]) -> Iterator[Finding]:
    hard = [_hard(each) for each in policies[:MOST_POLICIES]]
    files = len({each.policy.source.file for each in policies})
    pairs = iter(range(min(MOST_PAIRS, MOST_OF_A_FILE * files)))
    for (one, mine), (other, theirs) in combinations(zip(policies, hard, strict=False), 2):
        near = ((a, b) for a, x in mine for b, y in theirs if x & y)
        clash = next((pair for pair, _ in zip(near, pairs, strict=False) if _never(*pair)), None)
        if clash is None or not meet(one, other):
            continue
        first, second = clash
        message = (
            f"`{second.name}` of `{other.policy.name}` and `{first.name}` of `{one.policy.name}` "
            "conflict: no candidate can keep both, and a job can meet both policies"
        )
        fix = f"narrow a `match`, or loosen one; the other: {first.start}"
        yield Finding("GO0152", Severity.ERROR, message, second.start, fix)


def _hard(policy: WrittenPolicy) -> list[tuple[Written, frozenset[str]]]:
    rules = [e for e in (*policy.constraints, *policy.bounds) if is_hard(e)]
    found = []
    for each in rules:
        space = Space([each.node])
        if space.decided and space.truth(each.node).true.any():
            found.append((each, frozenset(space.axes)))
    return found


def _never(one: Written, other: Written) -> bool:
    space = Space([one.node, other.node])
    if not space.decided:
        return False
    return not (space.truth(one.node).true & space.truth(other.node).true).any()


def meet(one: WrittenPolicy, other: WrittenPolicy) -> bool:
    """Is there a job that both policies match for certain?"""
    rules = [*one.policy.match, *other.policy.match]
    space = Space([each.node for each in rules])
    if not space.decided:
        return False
    both = np.ones((), np.bool_)
    for each in rules:
        both = both & space.truth(each.node).true
    both = np.broadcast_to(both, tuple(map(len, space.axes.values())))
    tried = islice(np.argwhere(both), MOST_TRIES)
    rows = (job_row(space, [int(place) for place in each]) for each in tried)
    return any(row is not None and all(rule(row) is True for rule in rules) for row in rows)


def job_row(space: Space, places: Sequence[int]) -> Row | None:
    """A job that lies in one combination of cells, as far as its fields tell; none could there be."""
    plain = {
        path: WORDS[path][0] if path in WORDS else SOME[kind]
        for path, kind in FIELDS.items()
        if path.split(".")[0] in ROOTS
    }
    plain["job.urgency"], asked = Urgency.DEFERRABLE.value, set()
    for (key, cells), place in zip(space.axes.items(), places, strict=True):
        term = space.terms.get(key)
        if isinstance(term, Var):
            path = ".".join(term.path)
            asked.add(path)
            plain[path] = _value(cells[place], term, plain.get(path))
    if not _could_be(plain, asked):
        return None
    row: dict[str, Any] = {"limits": {}, "job": {"labels": {}}}
    for path, value in plain.items():
        _put(row, path.split("."), value)
    return {name: to_cel(value) for name, value in row.items()}


def _could_be(plain: dict[str, Any], asked: set[str]) -> bool:
    """Do the fields go together, as those of a declared workload and its baseline do?

    What no rule asks for is made to fit.
    """
    for one, other in SAME:
        if one in asked and other not in asked:
            plain[other] = plain[one]
        elif one not in asked:
            plain[one] = plain[other]
    if "job.id" not in asked:
        plain["job.id"] = f"{plain['job.name']}/2026-11-23"
    if "job.contains_personal_data" not in asked:
        plain["job.contains_personal_data"] = plain["job.data_class"] == PERSONAL
    waits = (
        plain["job.kind"] == WorkloadKind.BATCH.value
    )  # it has a deadline, so it is not interactive
    return (
        plain["job.home_region"] == plain["baseline.region"]
        and plain["job.id"].startswith(plain["job.name"])
        and not (waits and plain["job.urgency"] == Urgency.INTERACTIVE.value)
        and (plain["job.data_class"] != PERSONAL or plain["job.contains_personal_data"] is True)
        and plain["job.submitted"] <= plain["now"]
    )


def _value(cell: Any, term: Node, usual: Any) -> Any:
    if cell is ABSENT:
        return None
    if cell is OTHER:
        return SOME[TEXT] if usual is None else usual
    path = ".".join(term.path) if isinstance(term, Var) else ""
    if FIELDS.get(path) == TIME:
        return EPOCH + timedelta(microseconds=int(cell))
    return cell


def _put(row: dict[str, Any], path: Sequence[str], value: Any) -> None:
    if path[:2] == ["job", "labels"]:
        row["job"]["labels"][".".join(path[2:])] = value
    elif len(path) == 1:
        row[path[0]] = value
    else:
        row.setdefault(path[0], {})[path[1]] = value
