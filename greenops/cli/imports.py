"""`greenops import TOOL FILE …`: what other tools and providers accounted for, into the lake; `list`, `reconcile` and `drop`."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from greenops.domain.spans import SpanRow

TOOLS = {
    "codecarbon": "CodeCarbon's emissions.csv",
    "eco2ai": "Eco2AI's emission.csv",
    "experiment-impact-tracker": "experiment-impact-tracker's impacttracker/data.json",
    "ml-impact": "the paragraph that the ML CO2 Impact calculator gives",
}


def add_parser(subparsers: Any) -> None:
    """Add `import` and its tools."""
    from greenops.cli import imports_drop, imports_reconcile, imports_reported

    parser = subparsers.add_parser("import", help="bring in what other tools accounted for")
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    for tool, what in TOOLS.items():
        each = tools.add_parser(tool, help=what)
        each.add_argument("files", nargs="+", type=Path, metavar="FILE")
        each.add_argument("--state", type=Path, help="state folder (default: as in the settings)")
        each.add_argument(
            "--timezone", default="UTC", help="zone of the file's local times (default: UTC)"
        )
        each.add_argument("-o", "--output", choices=("table", "json"), default="table")
        each.set_defaults(run=run)
    imports_reported.add_tools(tools)
    imports_reconcile.add_tool(tools)
    imports_drop.add_tool(tools)


def run(args: argparse.Namespace) -> int:
    """Bring in each file and print what came."""
    from greenops.config import load_settings
    from greenops.pipeline.imports import bring

    zone, state = _zone(args.timezone), args.state or load_settings().state
    found = [_summary(path, bring(args.tool, path, zone, state)) for path in args.files]
    if args.output == "json":
        print(json.dumps(found, indent=2))
        return 0
    for each in found:
        print(
            f"{each['file']}: {each['runs']} runs, {each['energy_j']:.6g} J, "
            f"{each['carbon_g']:.6g} gCO2e ({each['method']})"
        )
    return 0


def _summary(path: Path, rows: Sequence[SpanRow]) -> dict[str, Any]:
    return {
        "file": str(path),
        "runs": len(rows),
        "energy_j": math.fsum(row.energy_j for row in rows if row.energy_j is not None),
        "carbon_g": math.fsum(row.carbon_g for row in rows if row.carbon_g is not None),
        "method": ", ".join(sorted({row.method for row in rows if row.method})) or "none",
    }


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    from greenops.errors import UsageError

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(
            "GO0444", f"unknown time zone `{name}`", fix="take one such as `Europe/Berlin`"
        ) from error
