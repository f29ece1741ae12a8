"""Puts tests into the text of a policy file, and leaves the rest of it as it is."""

from __future__ import annotations

from collections.abc import Sequence

from greenops.errors import InvalidFile, Location
from greenops.policy.document import Node, documents


def with_tests(file: str, text: str, policy: str, tests: Sequence[str]) -> str:
    """The file's text with some more tests of one of its policies.

    Args:
        file: Its name, for errors.
        text: What it holds.
        policy: Name of the policy.
        tests: Entries as `test_text` writes them.

    Raises:
        InvalidFile: The tests that are there are written in brackets.
    """
    root = next(each for each in documents(file, text) if _name(each) == policy)
    lines = text.splitlines(keepends=True)
    keys = {name: at.line for name, (at, _) in (root.entries or {}).items()}
    head, indent = ("", 0) if "tests" in keys else ("tests:\n", 0)
    if "tests" in keys:
        indent = _indent(file, (root.entries or {})["tests"][1], lines)
    after = [line for line in keys.values() if line > keys.get("tests", max(keys.values()))]
    end = min(after) - 1 if after else _end(lines, max(keys.values()))
    while end > 0 and not lines[end - 1].strip():
        end -= 1
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    body = "".join(tests).splitlines(keepends=True)
    return "".join([*lines[:end], head, *(" " * indent + each for each in body), *lines[end:]])


def _name(root: Node) -> str | None:
    metadata = (root.entries or {}).get("metadata")
    found = (metadata[1].entries or {}).get("name") if metadata else None
    kind = (root.entries or {}).get("kind")
    return found[1].text if found and kind and kind[1].text == "PlacementPolicy" else None


def _indent(file: str, tests: Node, lines: Sequence[str]) -> int:
    """Columns before the dash of an entry."""
    first = (tests.items or (tests,))[0].at
    before = lines[first.line - 1][: first.column - 1]
    if not tests.items or before.strip() != "-":
        raise InvalidFile(
            "GO0169",
            "its `tests` are written in brackets, so none can be put after them",
            at=Location(file, tests.at.line, tests.at.column),
            fix="write each after a dash, or take the entries alone with `--only`",
        )
    return before.index("-")


def _end(lines: Sequence[str], line: int) -> int:
    """Line after which the document that holds a line ends."""
    for at in range(line, len(lines)):
        if lines[at].startswith(("---", "...")):
            return at
    return len(lines)
