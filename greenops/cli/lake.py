"""`greenops lake pack`: the small files of finished days into one a day, now."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from greenops.cli import lake_data, lake_rollup, lake_split


def add_parser(subparsers: Any) -> None:
    """Add `lake`."""
    parser = subparsers.add_parser("lake", help="keep what was recorded fast to read")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    pack = verbs.add_parser("pack", help="one file for each day that is over")
    pack.add_argument("--state", type=Path, metavar="DIR", help="folder of the lake")
    pack.set_defaults(run=run_pack)
    lake_split.offer(verbs)
    lake_data.add_verbs(verbs)
    lake_rollup.add_verbs(verbs)


def run_pack(args: argparse.Namespace) -> int:
    """Pack, and say in one line what was packed."""
    import logging

    from greenops.adapters.clock import SystemClock
    from greenops.cli.policy_replay import lake
    from greenops.pipeline.lake_packing import pack

    logging.basicConfig(level=logging.WARNING, format="greenops: %(message)s")
    done = pack(lake(args.state), SystemClock.from_environment())
    if done.days:
        print(f"packed {done.files:,} files into {done.days:,}: {done.rows:,} rows")
    else:
        print("nothing to pack")
    return 0
