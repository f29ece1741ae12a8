"""`greenops override run-now|list|lift`: a person's word against a plan, recorded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenops.domain.override import Override, OverrideOrder

R = TypeVar("R")

EPILOG = """\
The run that is held starts within one tick of the control loop (0.5 s); where none is held, the next
one of the workload that is held before the time is over starts at once. Who, why and until when go
into the ledger. Where `greenops serve` does not answer, the order goes through the state folder.
"""


class Desk(Protocol):
    """Who takes overrides: a control loop, or this machine's state folder."""

    def override(self, order: OverrideOrder) -> Override:
        """Order a run to start now."""

    def overrides(self) -> Sequence[Override]:
        """Every override, newest first."""

    def lift(self, override_id: str, who: str) -> Override:
        """Take one back."""


def add_parser(subparsers: Any) -> None:
    """Add `override`."""
    parser = subparsers.add_parser("override", help="start a held run now, whatever the plan says")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    now = commands.add_parser(
        "run-now",
        help="start the held run, or the next one, at once",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    now.add_argument("workload", help="name of the workload")
    now.add_argument(
        "run_key", nargs="?", metavar="run", help="key of the run; needed where several are held"
    )
    now.add_argument("--why", required=True, metavar="TEXT", help="reason; it is recorded")
    now.add_argument(
        "--for",
        dest="life",
        default="2h",
        metavar="TIME",
        help="how long it counts, `90m`; default 2h",
    )
    now.set_defaults(run=run_now)
    listing = commands.add_parser("list", help="every override, newest first")
    listing.set_defaults(run=run_list)
    lift = commands.add_parser("lift", help="take one back before its run starts")
    lift.add_argument("id")
    lift.set_defaults(run=run_lift)
    for each in (now, lift):
        each.add_argument("--who", metavar="NAME", help="who says so; default: the login")
    for each in (now, listing, lift):
        each.add_argument("--server", metavar="URL", help="`greenops serve`, and no other way")
        each.add_argument(
            "--state", metavar="DIR", help="folder of the control state, where no server answers"
        )
        each.add_argument("-o", "--output", choices=("table", "json"), default="table")


def run_now(args: argparse.Namespace) -> int:
    """Give an override."""
    import uuid

    from greenops.domain.override import OverrideOrder

    order = OverrideOrder(
        workload=args.workload,
        who=_who(args),
        why=args.why,
        for_s=_seconds(args.life),
        run_key=args.run_key,
        # Named here: where the server takes it and its answer gets lost, it still is one.
        id=f"o-{uuid.uuid4().hex[:12]}",
    )
    _show(_asked(args, lambda desk: desk.override(order)), args)
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Print the overrides."""
    import json

    from greenops.domain.record import plain

    found = _asked(args, lambda desk: desk.overrides())
    if args.output == "json":
        print(json.dumps([plain(each) for each in found], indent=2))
        return 0
    for each in found:
        print(_line(each))
    return 0


def run_lift(args: argparse.Namespace) -> int:
    """Take an override back."""
    who = _who(args)
    _show(_asked(args, lambda desk: desk.lift(args.id, who)), args)
    return 0


def _asked(args: argparse.Namespace, ask: Callable[[Desk], R]) -> R:
    """The control loop's answer; the state folder's where none answers and none was named."""
    from greenops.adapters.clock import SystemClock
    from greenops.adapters.control_client import ControlClient
    from greenops.config import load_settings
    from greenops.errors import AdapterUnavailable

    settings = load_settings(flags={"state": args.state})
    own = f"http://{settings.host}:{settings.api_port}"
    url = args.server or os.environ.get("GREENOPS_SERVER") or own
    try:
        with ControlClient(url) as client:
            return ask(client)
    except AdapterUnavailable as error:
        if args.server or error.code != "GO0610":
            raise
    from greenops.pipeline.overrides_here import overrides_here

    print(
        f"greenops: `{url}` does not answer; asking the state folder `{settings.state}`, "
        "from which `greenops serve` takes it into the ledger",
        file=sys.stderr,
    )
    return ask(Here(overrides_here(settings, SystemClock.from_environment())))


class Here:
    """The state folder's overrides as a desk."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def override(self, order: OverrideOrder) -> Override:
        """Order a run that is held here."""
        given: Override = self._found.give(order)
        return given

    def overrides(self) -> Sequence[Override]:
        """Those of the state folder."""
        every: Sequence[Override] = self._found.all()
        return every

    def lift(self, override_id: str, who: str) -> Override:
        """Take one of them back."""
        lifted: Override = self._found.lift(override_id, who)
        return lifted


def _who(args: argparse.Namespace) -> str:
    """The name that was given, else the login; empty where the system knows none."""
    if args.who is not None:
        return str(args.who)
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _seconds(text: str) -> float:
    from greenops.errors import UsageError
    from greenops.policy.quantity import duration

    found = duration(text, "d h m s")
    if found is None:
        raise UsageError("GO0661", f"`--for {text}` is no time", fix="write it as `2h` or `90m`")
    return found.total_seconds()


def _show(override: Override, args: argparse.Namespace) -> None:
    import json

    from greenops.domain.record import plain

    print(json.dumps(plain(override), indent=2) if args.output == "json" else _line(override))


def _line(override: Override) -> str:
    from greenops.errors import one_line

    until = f"{override.until:%Y-%m-%d %H:%M} UTC"
    what = override.run_key or f"the next run of {override.workload}"
    planned = (
        f", planned for {override.overrode.start_at:%Y-%m-%d %H:%M} UTC"
        if override.overrode
        else ""
    )
    by = f" by {override.ended_by}" if override.ended_by else ""
    said = f"{override.who}: {override.why}"
    return one_line(f"{override.id}  {override.state}{by}  {what}{planned}  until {until}  {said}")
