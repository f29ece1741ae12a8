"""`greenops run`: hold any command until its planned start.

Messages go to stderr, one line each; stdout belongs to the command.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

EPILOG = """\
The command starts at most once per key, at its planned start and never after its latest safe
start. Without a server, policies, grid data, disk or settings that can be used it runs at once.
Ctrl-C or SIGTERM before the start call it off, and go to the command after it; a terminal that
closes changes nothing.

exit code: the command's own (128 + signal), also if the key has run already; 0 if it is running;
2 if the workload file cannot be used; 3 if the key was started and nobody saw it end; 127 if there
is no such command
"""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add `run` to the command line's subparsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "run",
        help="hold a command until its planned start",
        usage="greenops run --workload FILE[#NAME] [--key KEY] [--server URL] -- COMMAND …",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workload", required=True, metavar="FILE[#NAME]", help="file that declares the workload"
    )
    parser.add_argument("--key", help="idempotency key of the run; default `<workload>/<date>`")
    parser.add_argument(
        "--server",
        metavar="URL",
        default=os.environ.get("GREENOPS_SERVER"),
        help="control loop to ask first; default: `GREENOPS_SERVER`, else decide here",
    )
    parser.add_argument(
        "--policies", metavar="PATH", help="folder or bundle of policies to decide by"
    )
    parser.add_argument("--state", metavar="DIR", help="folder of the control state")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Carry out `greenops run`; its exit code.

    Raises:
        UsageError: No command, or an unusable key.
        InvalidFile: The workload file cannot be used.
    """
    from greenops.adapters.command import in_own_session
    from greenops.adapters.control_client import ControlClient
    from greenops.adapters.local_process import RunFolder
    from greenops.errors import UsageError
    from greenops.pipeline import run as pipeline
    from greenops.pipeline.decide_here import LocalDecider

    command = tuple(args.argv[1:] if args.argv[:1] == ["--"] else args.argv)
    if not command:
        raise UsageError("GO0625", "no command to run", fix="add `-- COMMAND …` at the end")
    settings, clock, broken = pipeline.surroundings(
        {"policies": args.policies, "state": args.state}
    )
    path, _, name = args.workload.partition("#")
    workload = pipeline.read_workload(Path(path), name or None)
    local = LocalDecider(settings, clock)
    held = pipeline.HeldRun(
        workload=workload,
        run_key=args.key or pipeline.default_key(workload, clock.now()),
        command=command,
        decide=local,
        server=ControlClient(args.server) if args.server else None,
        broken=broken,
        again=local.again,
    )
    RunFolder(settings.state, held.run_key)  # An unusable key is told before anything starts.
    ended = in_own_session()
    return pipeline.run_held(held, settings, clock) if ended is None else ended
