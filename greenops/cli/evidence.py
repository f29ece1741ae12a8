"""`greenops evidence verify`: does the ledger hold, and do its numbers follow from their inputs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from greenops.errors import ExitCode, GreenOpsError

if TYPE_CHECKING:
    from greenops.domain.evidence import Verification


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `evidence` and its commands."""
    evidence = subparsers.add_parser("evidence", help="check what the ledger proves")
    commands = evidence.add_subparsers(dest="evidence_command", required=True, metavar="COMMAND")
    verify = commands.add_parser(
        "verify",
        help="check chain, signatures and checkpoints, and compute every number again",
        description="Exit 0: verified. 1: not verified, each problem a line. 3: nothing to check.",
    )
    verify.add_argument("--state", type=Path, help="state folder (default: as in the settings)")
    verify.add_argument("--key", type=Path, help="public key you pinned (default: the folder's)")
    verify.add_argument("--checkpoints", type=Path, help="folder of checkpoints kept elsewhere")
    verify.add_argument("-o", "--output", choices=("table", "json"), default="table")
    verify.set_defaults(run=run_verify)


def run_verify(args: argparse.Namespace) -> int:
    """Verify and print; gives the exit code."""
    from greenops.config import load_settings
    from greenops.pipeline.evidence import verify

    try:
        state = args.state or load_settings().state
        found = verify(state, args.key, args.checkpoints)
    except GreenOpsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(_as_json(found) if args.output == "json" else _as_table(found, pinned=args.key))
    return ExitCode.OK if found.verified else ExitCode.POLICY


def _as_json(found: Verification) -> str:
    from greenops.domain.record import plain

    return json.dumps({"verified": found.verified, **plain(found)}, indent=2)


def _as_table(found: Verification, *, pinned: Path | None) -> str:
    key = f"pinned, {pinned}" if pinned else "the folder's own; pin one with --key"
    rows = [
        ("ledger", "verified" if found.verified else "NOT VERIFIED"),
        ("entries", f"{found.entries}, of which {found.signed} signed"),
        ("checkpoints", str(found.checkpoints)),
        ("recomputed", str(found.recomputed)),
        ("key", key),
        *(("problem", problem) for problem in found.problems),
    ]
    return "\n".join(f"{name:<12} {value}" for name, value in rows)
