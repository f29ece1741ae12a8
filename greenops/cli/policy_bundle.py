"""`greenops policy bundle|verify`: policies in one signed file, and proof that nobody touched it."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli.policy_counts import counted
from greenops.cli.policy_explain import policy_folder, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenops.pipeline.policy_bundle import Bundle
    from greenops.prove.checkpoint import PublicKey


def add_parser(verbs: Any) -> None:
    """Add `policy bundle` and `policy verify`."""
    bundle = verbs.add_parser(
        "bundle", help="put policies that pass their tests in one signed file"
    )
    bundle.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="folder or file; default: the setting"
    )
    bundle.add_argument("--out", type=Path, required=True, metavar="FILE", help="bundle to write")
    bundle.add_argument(
        "--expires", type=_day, metavar="DATE", help="first day, UTC, on which it is refused"
    )
    bundle.add_argument("--state", type=Path, metavar="DIR", help="folder with the signing key")
    bundle.set_defaults(run=run_bundle)
    verify = verbs.add_parser(
        "verify",
        help="take a bundle only as it was signed",
        description="Exit 0: as it was signed. 1: expired, or this version decides otherwise."
        " 3: damaged, altered, or signed by another key.",
    )
    verify.add_argument("bundle", type=Path, metavar="BUNDLE")
    verify.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="public key you pinned; default: the setting, then the state folder's",
    )
    verify.add_argument(
        "--against", type=Path, metavar="PATH", help="say what differs there: policies or a bundle"
    )
    verify.add_argument("--out", type=Path, metavar="DIR", help="new folder to write its files to")
    verify.add_argument("--state", type=Path, metavar="DIR", help="folder with the public key")
    verify.add_argument("-o", "--output", choices=("table", "json"), default="table")
    verify.set_defaults(run=run_verify)


def _day(text: str) -> datetime:
    from datetime import date

    try:
        return datetime.combine(date.fromisoformat(text), time(0), UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no date such as 2027-01-31") from None


def _state(given: Path | None) -> Path:
    from greenops.config import load_settings

    return given if given is not None else load_settings().state


def run_bundle(args: argparse.Namespace) -> int:
    """Write the bundle.

    Raises:
        UsageError: It would be written over policies, or is refused on the day it is made.
    """
    from greenops.adapters.clock import SystemClock
    from greenops.errors import UsageError
    from greenops.pipeline.policy_bundle import make_bundle, must_differ

    folder, state = policy_folder(args.path), _state(args.state)
    must_differ(folder, args.out)
    if args.expires is not None and args.expires <= SystemClock.from_environment().wall():
        said = f"a bundle that expires on {args.expires:%Y-%m-%d} is refused already"
        raise UsageError("GO0167", said, fix="give `--expires` a day that is to come")
    made = make_bundle(folder, args.out, state, args.expires)
    print(made.hash)
    until = f", until {args.expires:%Y-%m-%d}" if args.expires else ""
    print(
        f"{args.out}: {len(made.documents)} policies and workloads of {counted(len(made.files), 'file')},"
        f" {_held(made.tests)}{until}; who takes it needs {state / 'keys' / 'policies.pub'}",
        file=sys.stderr,
    )
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Verify a bundle; say what it holds, and what differs from something else."""
    from greenops.adapters.clock import SystemClock
    from greenops.adapters.policy_bundle import write_folder
    from greenops.pipeline.policy_bundle import changed, open_bundle

    key = _keys(args)
    now = SystemClock.from_environment().wall()
    bundle = open_bundle(args.bundle, key, now)
    differ = changed(bundle, args.against, key, now) if args.against else None
    if args.out is not None:
        write_folder(args.out, bundle.files)
    if args.output == "json":
        print_json(_record(bundle, differ))
    else:
        print(_line(bundle, differ, args.against))
    return 0


def _keys(args: argparse.Namespace) -> Sequence[PublicKey]:
    """The key that is named, else those that loading trusts too."""
    from greenops.config import load_settings
    from greenops.pipeline.evidence import load_key
    from greenops.pipeline.policy_bundle import trusted_keys

    if args.key is not None:
        return [load_key(args.key)]
    return trusted_keys(load_settings(flags={"state": args.state}))


def _record(bundle: Bundle, differ: str | None) -> dict[str, Any]:
    from greenops.domain.record import plain

    made: dict[str, Any] = {"verified": True, "signer": bundle.signer, **plain(bundle.manifest)}
    return made if differ is None else {**made, "changes": differ.split()}


def _held(tests: int) -> str:
    return f"{counted(tests, 'test')} {'holds' if tests == 1 else 'hold'}"


def _line(bundle: Bundle, differ: str | None, against: Path | None) -> str:
    of = bundle.manifest
    until = f", until {of.expires:%Y-%m-%d}" if of.expires else ""
    line = f"verified: {len(of.documents)} policies and workloads, {_held(of.tests)},"
    line += f" signed by {bundle.signer}{until}"
    if differ is None:
        return line
    return f"{line}; {against} " + (f"differs: {differ}" if differ else "means the same")
