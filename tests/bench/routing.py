"""Routing under round trips and capacity against published results; `--json` for machines.

Data are those of the reference folder (`GREENOPS_REFERENCE_DATA`). The peer, the published greedy rule, is
computed beside ours in the same run. `--only` runs some of published, traffic, speed.
"""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.common.figures import Figure, told
from tests.bench.routing_parts import published, speed, traffic
from tests.conftest import REFERENCE

PARTS = {"published": published, "traffic": traffic, "speed": speed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    if not REFERENCE.is_dir():
        print(f"no reference data in {REFERENCE}; set GREENOPS_REFERENCE_DATA", file=sys.stderr)
        return 1
    figures: list[Figure] = []
    notes: dict[str, object] = {}
    for name in asked.only:
        found, beside = PARTS[name].figures()
        figures += found
        notes |= beside
    told(figures, notes, as_json=asked.json)
    return 0 if all(each.holds(each.must) for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
