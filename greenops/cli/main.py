"""`greenops`: reads the command line, calls a pipeline, prints; one line for every error."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from greenops import __version__
from greenops.errors import ExitCode, GreenOpsError

COMMANDS = (
    "demo",
    "serve",
    "run",
    "policy",
    "plan",
    "decisions",
    "override",
    "jobs",
    "grid",
    "collector",
    "dashboards",
    "evidence",
    "imports",
    "lake",
    "meter_server",
    "console",
    "config",
    "doctor",
)
"""One module each beside this one, with `add_parser(subparsers)`; in the order of the help."""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; modules stay light until a handler runs."""
    parser = argparse.ArgumentParser(
        prog="greenops",
        description="Joules and grams on your spans; rules, plans and proof for greener computing.",
        epilog="exit codes: 0 fine, 1 policy failed, 2 usage, 3 data missing, 4 cannot reach",
    )
    parser.add_argument("--version", action="version", version=f"greenops {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"greenops.cli.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = build_parser().parse_args(argv)
    args.whole_line = list(sys.argv[1:] if argv is None else argv)
    return carried_out(args)


def carried_out(args: argparse.Namespace) -> int:
    """Run what was parsed; an error is one line and its exit code."""
    try:
        return int(args.run(args))
    except GreenOpsError as error:
        print(f"greenops: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`); Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
