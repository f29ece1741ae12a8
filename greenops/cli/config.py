"""`greenops config show --origin`: the settings in force and where each came from."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `config show`."""
    parser = subparsers.add_parser("config", help="show the settings in force")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="each setting with its value")
    show.add_argument("--origin", action="store_true", help="say where each value came from")
    show.add_argument("-o", "--output", choices=("table", "json"), default="table")
    show.set_defaults(run=run_show)


def run_show(args: argparse.Namespace) -> int:
    """Print the settings."""
    import json

    from greenops.config import load_origins

    found = sorted(load_origins(), key=lambda each: each.name)
    if args.output == "json":
        values = {each.name: {"value": str(each.value), "origin": each.origin} for each in found}
        print(json.dumps(values, indent=2))
        return 0
    for each in found:
        origin = f"  ({each.origin})" if args.origin else ""
        print(f"{each.name:<22} {each.value}{origin}")
    return 0
