"""`greenops demo`: a shop's day in a minute, on real input, offline."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `demo`."""
    parser = subparsers.add_parser("demo", help="play a shop's day: measure, decide, act, prove")
    parser.add_argument("--once", action="store_true", help="end by itself, without the console")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play it and print what it came to."""
    import json

    from greenops.config import load_settings
    from greenops.demo import shop

    def tell(line: str) -> None:
        # A terminal that is gone is no reason to leave a process behind.
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)

    def show(found: dict[str, Any]) -> None:
        if args.output == "json":
            print(json.dumps(found, indent=2), flush=True)
        else:
            from greenops.demo.page import page

            print(page(found), flush=True)

    shop.run(load_settings(), once=args.once, tell=tell, show=show)
    return 0
