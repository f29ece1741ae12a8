"""`greenops lake send|delete`: finished days to object storage, rows of a subject out of the lake."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.errors import UsageError

if TYPE_CHECKING:
    from greenops.adapters.lake_deletion import Deleted

ROWS = {
    "spans": ("spans", "days"),
    "accounts": ("readings of energy accounts", "days"),
    "reported": ("imported amounts", "months"),
    "readings": ("imported readings", "days"),
}
"""What rows of a table are called, and what they are counted by."""
IMPORTED = ("reported", "readings")
"""Tables of which is told only where they held rows of the subject."""


def add_verbs(verbs: Any) -> None:
    """Add what moves and removes rows to `lake`."""
    send = verbs.add_parser("send", help="finished days to object storage, now")
    send.add_argument("--state", type=Path, metavar="DIR", help="folder of the lake")
    send.add_argument("--url", help="object storage; default: the setting `lake_url`")
    send.set_defaults(run=run_send)
    delete = verbs.add_parser(
        "delete",
        help="remove the rows of a subject for good",
        description="removes spans, energy accounts and what was imported of a subject, here and in object"
        " storage, and keeps out what comes late or again; rows of a later time than now are kept",
    )
    delete.add_argument("--state", type=Path, metavar="DIR", help="folder of the lake")
    subject = delete.add_mutually_exclusive_group(required=True)
    subject.add_argument("--where", metavar="COLUMN=VALUE", help="by a column, as `service=shop`")
    subject.add_argument(
        "--attribute",
        metavar="KEY=VALUE",
        help="by an attribute of spans, or a label of what was imported, as `enduser.id=alice`",
    )
    delete.set_defaults(run=run_delete)


def run_send(args: argparse.Namespace) -> int:
    """Pack and send, and say in one line what was sent."""
    from dataclasses import replace

    from greenops.adapters.clock import SystemClock
    from greenops.adapters.lake_shipping import Shipper
    from greenops.adapters.lake_store import store_of
    from greenops.adapters.parquet_lake import TABLES
    from greenops.config import load_settings
    from greenops.pipeline.lake_packing import MARGIN, pack
    from greenops.pipeline.lake_upkeep import upkeep_of

    settings = load_settings(flags={"state": args.state, "lake_url": args.url})
    clock = SystemClock.from_environment()
    lake = settings.state / "lake"
    if not lake.is_dir():
        raise UsageError("GO0424", f"there is no lake in `{settings.state}`")
    upkeep_of(replace(settings, lake_retention_days=""), clock)
    store = store_of(lake)
    if store is None:
        raise UsageError(
            "GO0421", "no object storage is named", fix="set `lake_url`, or give `--url`"
        )
    pack(lake, clock)
    sent = Shipper(lake, store, TABLES, clock.wall).ship((clock.now() - MARGIN).date())
    if sent.files:
        print(f"sent {sent.files:,} files, {sent.bytes:,} bytes, to {store.url}")
    else:
        print("nothing to send")
    return 0


def run_delete(args: argparse.Namespace) -> int:
    """Delete, and say what was removed."""
    from greenops.adapters.clock import SystemClock
    from greenops.cli.policy_replay import lake
    from greenops.pipeline.lake_upkeep import delete_subject

    given = args.where or args.attribute
    name, sign, value = given.partition("=")
    if not (name and sign and value):
        raise UsageError(
            "GO0424",
            f"`{given}` names no value",
            fix="write it as `service=shop` or `enduser.id=alice`",
        )
    name = name if args.where else f"attributes.{name}"
    print(_told(delete_subject(lake(args.state), SystemClock.from_environment(), name, value)))
    return 0


def _told(done: Deleted) -> str:
    parts = [
        f"{count:,} {ROWS[table][0]} of {done.days[table]:,} {ROWS[table][1]}"
        for table, count in done.rows.items()
        if count or table not in IMPORTED
    ]
    rows = " and ".join([", ".join(parts[:-1]), parts[-1]])
    return f"deleted {rows}; {done.files:,} files were written anew; what comes late stays out"
