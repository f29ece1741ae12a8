"""`greenops policy prove`: what holds of every run and candidate, not only of those that were tried."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli.policy_explain import policy_folder, print_json

if TYPE_CHECKING:
    from greenops.pipeline.policy_prove import Proof

LONGEST = 600.0
"""Most that one question may be given [s]."""


def add_parser(verbs: Any) -> None:
    """Add `policy prove`."""
    parser = verbs.add_parser(
        "prove",
        help="conflicts, rules that never decide, invariants, and equal refactorings",
        description="Exit 0: everything holds. 1: something fails or is not known. Rules that never"
        " decide are told, and are no failure.",
    )
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="folder, file or bundle; default: the setting",
    )
    parser.add_argument(
        "--equal", type=Path, metavar="PATH", help="prove that these policies decide alike"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="S", help="most for one question (10)"
    )
    parser.add_argument(
        "--tests", action="store_true", help="print every row found as `tests:` of the policies"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run_prove)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"`{text}` is no time above 0 and up to {LONGEST:g} s")
    return value


def run_prove(args: argparse.Namespace) -> int:
    """Print every answer; exit 1 where something fails or is not known.

    Raises:
        Unreachable: The solver is not installed.
        InvalidFile: A file is wrong, or there is none.
    """
    from greenops.pipeline.policy_prove import Task, need_solver, prove

    need_solver()
    sources = _sources(policy_folder(args.path))
    other = None if args.equal is None else _sources(args.equal)
    show = _shown_last if args.output == "json" or args.tests else _shown_at_once
    proofs = show(args, prove(Task(sources, other, args.seconds)))
    if not proofs:
        print("no policy, so nothing was proved", file=sys.stderr)
        return 0
    counts = [sum(each.answer == word for each in proofs) for word in ("holds", "fails", "unknown")]
    print("{} hold, {} fail, {} not known".format(*counts), file=sys.stderr)
    return 1 if any(each.amiss for each in proofs) else 0


def _sources(path: Path) -> list[tuple[str, str]]:
    from greenops.errors import InvalidFile, Location
    from greenops.pipeline.policies import policy_sources

    sources = policy_sources(path)
    if not sources:
        fix = "name a folder or file of policies, or set `policies` in `greenops.yaml`"
        raise InvalidFile("GO0108", "no policy file to prove", at=Location(str(path)), fix=fix)
    return sources


def _shown_last(args: argparse.Namespace, proofs: Iterable[Proof]) -> list[Proof]:
    found = list(proofs)
    if args.output == "json":
        print_json([asdict(each) for each in found])
        return found
    for policy in dict.fromkeys(each.policy for each in found):
        tests = [each.test for each in found if each.policy == policy and each.test]
        if tests:
            print(f"# {policy}\ntests:")
            print("".join(tests), end="")
    return found


def _shown_at_once(_: argparse.Namespace, proofs: Iterable[Proof]) -> list[Proof]:
    """Pairs of policies that go together are counted, not shown: there are many."""
    found: list[Proof] = []
    quiet, last = 0, ""
    for each in proofs:
        found.append(each)
        if each.id == "together" and each.answer == "holds":
            quiet += 1
            continue
        if last != each.policy:
            print(each.policy)
        last = each.policy
        _show(each)
    if quiet:
        print(f"{quiet} pairs of policies go together, or meet no run together")
    return found


def _show(proof: Proof) -> None:
    word = proof.answer if proof.answer != "fails" or proof.amiss else "idle"
    says = proof.says
    if proof.because:
        says += f"; ruled out by {', '.join(proof.because)}"
    if proof.caveat:
        says += f" ({proof.caveat})"
    if proof.answer == "holds" and proof.untold and proof.id != "together":
        says += f" (only of rows that no test gives: {proof.untold})"
    print(f"  {word:<8} {proof.id:<32} {says}", flush=True)
    if proof.answer != "fails":
        return
    if proof.test is not None:
        print("           this row shows it; to keep it, put it under `tests:`")
        print("".join(f"           {line}\n" for line in proof.test.splitlines()), end="")
    elif proof.row is not None:
        print(f"           this row shows it; no test can give it: {proof.untold}")
        print(
            "".join(f"             {name} = {value}\n" for name, value in proof.row.items()), end=""
        )
