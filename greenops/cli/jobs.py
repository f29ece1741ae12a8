"""`greenops jobs list|release`: suspended Jobs of a Kubernetes cluster, also without `greenops serve`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta

    from greenops.adapters.kubernetes_job import Job
    from greenops.adapters.kubernetes_jobs import KubernetesJobs
    from greenops.ports import Clock

EPILOG = """\
For a CronJob of the cluster, so that a Job also runs where `greenops serve` is away for long. It releases what
is past the latest safe start that the plan wrote on the Job, and what waits too long without any plan. What
it did stands on the Job; `greenops serve` takes it into the ledger from there.
"""


def add_parser(subparsers: Any) -> None:
    """Add `jobs`."""
    parser = subparsers.add_parser("jobs", help="suspended Jobs of a Kubernetes cluster")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="Jobs that wait, and until when")
    listing.set_defaults(run=run_list)
    release = commands.add_parser(
        "release",
        help="let Jobs run that nobody released in time",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    release.add_argument(
        "--overdue",
        action="store_true",
        required=True,
        help="those past their latest safe start (there is no other choice)",
    )
    release.add_argument(
        "--without-plan-after",
        default="1h",
        metavar="TIME",
        help="also those that wait this long and have no plan; default 1h",
    )
    release.add_argument("--dry-run", action="store_true", help="say what would be released")
    release.set_defaults(run=run_release)
    for each in (listing, release):
        each.add_argument("--namespaces", metavar="NAMES", help="commas between")
        each.add_argument("--kubeconfig", metavar="FILE", help="default: the account of the pod")


def run_list(args: argparse.Namespace) -> int:
    """Print the Jobs that wait."""
    target, _ = _target(args)
    for job in target.jobs():
        if job.suspended:
            print(_line(job))
    return 0


def run_release(args: argparse.Namespace) -> int:
    """Release what is overdue."""
    from greenops.domain.action import Outcome
    from greenops.errors import ExitCode
    from greenops.pipeline.overdue_jobs import let_go, overdue

    after = _time(args.without_plan_after)
    target, clock = _target(args)
    left = 0
    for found in list(overdue(target, clock, after)):
        why = "latest safe start was" if found.planned else "no plan since"
        line = f"{found.job.run_key}  {why} {found.since:%Y-%m-%d %H:%M:%S} UTC"
        if args.dry_run:
            print(f"{line}  would be released")
            continue
        receipt = let_go(target, found, clock)
        left += receipt.outcome is not Outcome.APPLIED
        print(f"{line}  {receipt.outcome}: {receipt.detail}")
    if left:
        print(f"greenops: {left} overdue Jobs were not released", file=sys.stderr)
    return ExitCode.UNREACHABLE if left else ExitCode.OK


def _target(args: argparse.Namespace) -> tuple[KubernetesJobs, Clock]:
    from greenops.adapters.clock import SystemClock
    from greenops.adapters.kubernetes_jobs import KubernetesJobs
    from greenops.config import load_settings
    from greenops.errors import UsageError

    flags = {"kubernetes_namespaces": args.namespaces, "kubernetes_config": args.kubeconfig}
    clock = SystemClock.from_environment()
    target = KubernetesJobs(load_settings(flags=flags), clock)
    if not target.namespaces:
        fix = "give `--namespaces`, or set `kubernetes_namespaces`"
        raise UsageError("GO0677", "no namespace is named", fix=fix)
    return target, clock


def _time(text: str) -> timedelta:
    from greenops.errors import UsageError
    from greenops.policy.quantity import duration

    found = duration(text, "d h m s")
    if found is None:
        wrong = f"`--without-plan-after {text}` is no time"
        raise UsageError("GO0677", wrong, fix="write it as `1h` or `90m`")
    return found


def _line(job: Job) -> str:
    from greenops.adapters.kubernetes_job import DECISION

    order = job.order
    if order is None:
        return f"{job.run_key}  no plan, waits since {job.created:%Y-%m-%d %H:%M:%S} UTC"
    times = (
        f"{order.start_at:%Y-%m-%d %H:%M} UTC, at the latest {order.latest_safe_start:%m-%d %H:%M}"
    )
    return f"{job.run_key}  starts {times}  {job.said(DECISION) or 'no decision'}"
