"""`--isolated`: a command about policies that nobody vouches for, in a bounded process of its own."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.errors import one_line

if TYPE_CHECKING:
    from greenops.adapters.policy_worker import Limits

Run = Callable[[argparse.Namespace], int]
WORK = "greenops.cli.policy_isolated:answered"
LONGEST_LINE = 100_000
"""Longest line of an answer that is printed [characters]."""


def offer(parser: argparse.ArgumentParser, run: Run, *, tables: bool = False) -> None:
    """Add `--isolated` to a command.

    Args:
        parser: The command's.
        run: What carries it out.
        tables: It reads tables: more memory and time, and threads.
    """
    parser.add_argument(
        "--isolated",
        action="store_true",
        help="run in a process with limits on memory, time and output: for files you do not trust",
    )
    parser.set_defaults(run=partial(_run, run, tables))


def _run(run: Run, tables: bool, args: argparse.Namespace) -> int:
    if not args.isolated:
        return run(args)
    from greenops.adapters.policy_worker import BOUNDED, isolated

    if not BOUNDED:
        said = "only time and output are bounded: this system has no limits on memory and CPU"
        print(f"greenops: {said}", file=sys.stderr)
    request = {"argv": args.whole_line, "cwd": str(Path.cwd())}
    answer = isolated(WORK, request, _limits(tables=tables))
    _show(answer["out"], sys.stdout, json_text=args.output == "json" and answer["code"] != 2)  # noqa: PLR2004 - usage
    _show(answer["err"], sys.stderr)
    return int(answer["code"])


def _limits(*, tables: bool) -> Limits:
    from greenops.adapters.policy_worker import Limits

    if not tables:
        return Limits()
    return Limits(memory_mib=8_192, cpu_s=900, wall_s=900.0, output_mib=64, threads=True)


def _show(text: str, where: Any, *, json_text: bool = False) -> None:
    """Print an answer; what it quotes of the files can move no cursor."""
    if json_text and text:
        text = json.dumps(json.loads(text), indent=2) + "\n"
    lines = (one_line(each, LONGEST_LINE) for each in text.split("\n"))
    where.write("\n".join(lines))


def answered(request: Mapping[str, Any]) -> dict[str, object]:
    """In the process: the command's exit code and what it printed."""
    from greenops.cli.main import build_parser, carried_out

    os.chdir(request["cwd"])
    args = build_parser().parse_args(request["argv"])
    args.isolated = False
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = carried_out(args)
    return {"code": int(code), "out": out.getvalue(), "err": err.getvalue()}
