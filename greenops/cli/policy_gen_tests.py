"""`greenops policy gen-tests`: tests near each edge of a policy, out of what was recorded."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli.policy_replay import add_period, lake

if TYPE_CHECKING:
    from greenops.pipeline.policy_gen_tests import Generated
    from greenops.policy import PolicySet


def add_parser(verbs: Any) -> None:
    """Add `policy gen-tests`."""
    parser = verbs.add_parser(
        "gen-tests",
        help="tests near each edge of a policy, out of recorded candidates",
        description="Prints the file with the new tests in it. They expect what the engine does"
        " now: read them before you keep them.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the policy's file")
    parser.add_argument("--policy", metavar="NAME", help="which, where the file holds several")
    parser.add_argument("--only", action="store_true", help="print the new tests alone")
    add_period(parser)
    parser.set_defaults(run=run_gen_tests)


def run_gen_tests(args: argparse.Namespace) -> int:
    """Print the tests.

    Raises:
        UsageError: The file holds no such policy, or several.
        InvalidFile: The file is wrong, or is none.
        DataMissing: Nothing is recorded.
    """
    from greenops.errors import InvalidFile, Location
    from greenops.pipeline.policies import policy_sources
    from greenops.pipeline.policy_bundle import refuse_bundle
    from greenops.pipeline.policy_gen_tests import Period, generate, put_in
    from greenops.policy import compile_policies
    from greenops.policy.example_text import test_text

    if not args.file.is_file():
        at, fix = Location(str(args.file)), "name the file of one policy"
        raise InvalidFile("GO0108", "no such file", at=at, fix=fix)
    refuse_bundle(args.file)
    sources = policy_sources(args.file)
    policies = compile_policies(sources)
    name = _wanted(policies, args.policy)
    found = generate(policies, name, Period(lake(args.state), args.since, args.until))
    if args.only:
        print("".join(test_text(each) for each in found.tests), end="")
    else:
        print(put_in(sources, name, found.tests) if found.tests else sources[0][1], end="")
    _tell(found)
    return 0


def _wanted(policies: PolicySet, given: str | None) -> str:
    from greenops.errors import UsageError, nearest

    names = [each.name for each in policies.policies]
    if given in names:
        return given
    if given is None and len(names) == 1:
        return names[0]
    near = nearest(given or "", names)
    fix = f"did you mean `{near}`?" if near else f"name one with `--policy`: {', '.join(names)}"
    said = (
        f"the file holds no policy `{given}`" if given else f"the file holds {len(names)} policies"
    )
    raise UsageError("GO0119", said, fix=fix if names else "name the file of a policy")


def _tell(found: Generated) -> None:
    if not found.edges:
        print("the policy compares no figures, so it has no edges", file=sys.stderr)
        return
    print(f"tests made: {len(found.tests)}; comparisons: {found.edges}", file=sys.stderr)
    for each in found.unseen:
        print(f"no recorded row: {each}", file=sys.stderr)
    for each in found.untold:
        print(f"left out: {each}", file=sys.stderr)
