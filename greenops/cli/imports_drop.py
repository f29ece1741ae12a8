"""`greenops import drop`: take back what a source told of a month or a day."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from greenops.errors import DataMissing, UsageError


def add_tool(tools: Any) -> None:
    """Add `drop`."""
    parser = tools.add_parser(
        "drop",
        help="take back what a source told of a month or a day",
        description="Removes from what readers see what one source told of a month (amounts) or a day (readings), also where"
        " it was packed or sent to object storage. It can be brought in again; to keep a subject out, use `greenops lake delete`.",
    )
    parser.add_argument("source", metavar="SOURCE", help="as `greenops import list` names it")
    parser.add_argument("stretch", metavar="YYYY-MM|YYYY-MM-DD", help="month of amounts, or day of readings")  # fmt: skip
    parser.add_argument("--state", type=Path, help="state folder (default: as in the settings)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Drop, and say how many rows went."""
    from greenops.cli.imports_reported import many, state_of
    from greenops.pipeline.reported import drop

    _check(args.stretch)
    gone = drop(args.source, args.stretch, state_of(args))
    if not gone:
        raise DataMissing(
            "GO0449",
            f"nothing of `{args.source}` was imported for {args.stretch}",
            fix="`greenops import list` tells what is there; amounts lie by month, readings by day",
        )
    print(f"dropped {many(gone, 'row')} of {args.source}, {args.stretch}")
    return 0


def _check(text: str) -> None:
    from datetime import date

    try:
        date.fromisoformat(text if text.count("-") > 1 else f"{text}-01")
    except ValueError as error:
        raise UsageError(
            "GO0449", f"`{text}` is no month and no day", fix="as 2026-10 or 2026-10-31"
        ) from error
