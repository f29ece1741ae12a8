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
        description="Exit 0: verified, every entry signed. 1: not verified, each problem a line. "
        "3: nothing to check.",
    )
    verify.add_argument("--state", type=Path, help="state folder (default: as in the settings)")
    verify.add_argument("--key", type=Path, help="public key you pinned (default: the folder's)")
    verify.add_argument(
        "--mirror",
        "--checkpoints",
        type=Path,
        help="folder of checkpoints kept elsewhere (default: as in the settings)",
    )
    verify.add_argument(
        "--allow-unsigned-tail",
        action="store_true",
        help="exit 0 also where the last entries are not signed yet, as after a crash",
    )
    verify.add_argument("-o", "--output", choices=("table", "json"), default="table")
    verify.set_defaults(run=run_verify)


def run_verify(args: argparse.Namespace) -> int:
    """Verify and print; gives the exit code."""
    from greenops.config import load_settings
    from greenops.pipeline.evidence import verify

    try:
        settings = load_settings()
        state = args.state or settings.state
        # The mirror of the settings is that of their own ledger.
        own = settings.checkpoint_mirror if state.resolve() == settings.state.resolve() else None
        found = verify(state, args.key, args.mirror or own)
    except GreenOpsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(_as_json(found) if args.output == "json" else _as_table(found, pinned=args.key))
    tolerated = args.allow_unsigned_tail and not found.problems
    return ExitCode.OK if found.verified or tolerated else ExitCode.POLICY


def _as_json(found: Verification) -> str:
    from greenops.domain.record import plain

    whole = {"verified": found.verified, **plain(found), "unsigned": found.unsigned}
    return json.dumps(whole, indent=2)


def _verdict(found: Verification) -> str:
    if found.verified:
        return "verified"
    if found.problems:
        return "NOT VERIFIED"
    last = "1 is" if found.unsigned == 1 else f"{found.unsigned} are"
    return f"NOT WHOLLY VERIFIED: {found.signed} of {found.entries}, the last {last} not signed yet"


def _as_table(found: Verification, *, pinned: Path | None) -> str:
    key = f"pinned, {pinned}" if pinned else "the folder's own; pin one with --key"
    rows = [
        ("ledger", _verdict(found)),
        ("entries", f"{found.entries}, of which {found.signed} signed"),
        ("checkpoints", str(found.checkpoints)),
        ("recomputed", str(found.recomputed)),
        ("key", key),
        *(("problem", problem) for problem in found.problems),
    ]
    return "\n".join(f"{name:<12} {value}" for name, value in rows)
