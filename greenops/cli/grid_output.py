"""What the commands of `greenops grid` share: the grid as it is set, instants, and tables."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from greenops.pipeline.grid import GridContext
    from greenops.ports import Clock

UNIT: Final = "gCO2e/kWh"


def opened() -> tuple[GridContext, Clock]:
    """The grid as the settings name it, and the time.

    Raises:
        GreenOpsError: A setting or a file is wrong; one line says which.
    """
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.pipeline.grid import load_grid

    clock = SystemClock.from_environment()
    return load_grid(load_settings(), clock, patient=True), clock


def instant(text: str) -> datetime:
    """What `--at` says, in UTC.

    Raises:
        UsageError: It is no instant with its offset.
    """
    from datetime import UTC, datetime

    from greenops.errors import UsageError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(
            "GO0312",
            f"`--at {text}` is not an instant with its offset",
            fix="for example 2021-10-08T08:00:00Z",
        )
    return found.astimezone(UTC)


def iso(at: datetime) -> str:
    """An instant as RFC 3339 in UTC, to the second."""
    from datetime import UTC

    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show(
    args: argparse.Namespace, whole: object, rows: Sequence[dict[str, Any]], head: str
) -> None:
    """Print `whole` as JSON, or `head` with a table of `rows`."""
    if args.output == "json":
        import json

        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    print(head)
    names = list(rows[0]) if rows else []
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        print("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    match value:
        case None | []:
            return "-"
        case float():
            return f"{value:.4g}"
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)
