"""What collecting spans costs, from the Collector to a question over the lake; `--json` for machines.

`--only` runs some of collector, receiver, lake, rollups: what is not run then is not told, and not asked for. `--full` takes
the long ones whole: ten minutes of load, a hundred kills, fifty million spans.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.common.figures import Figure, told

PARTS = ("collector", "receiver", "lake", "rollups")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--full", action="store_true", help="the long ones whole")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    figures: list[Figure] = []
    notes: dict[str, object] = {}
    for name in asked.only:
        part = importlib.import_module(f"tests.bench.collect_parts.{name}")
        found, beside = part.figures(full=asked.full)
        figures += found
        notes |= beside
    told(figures, notes, as_json=asked.json)
    return 0 if all(each.holds(each.must) for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
