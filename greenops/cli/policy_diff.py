"""`greenops policy diff`: what a change of the rules in git would change, for a pull request."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli.policy_explain import policy_folder
from greenops.cli.policy_replay import add_period, show

if TYPE_CHECKING:
    from greenops.pipeline.policy_replay import Side


def add_parser(verbs: Any) -> None:
    """Add `policy diff`."""
    diff = verbs.add_parser("diff", help="two git revisions of the rules, replayed")
    diff.add_argument("before", metavar="REV1", help="revision to compare with, such as `main`")
    diff.add_argument("after", nargs="?", metavar="REV2", help="default: the files as they are")
    diff.add_argument(
        "--path", type=Path, metavar="PATH", help="folder of policies in the repository"
    )
    add_period(diff)
    diff.add_argument("-o", "--output", choices=("markdown", "table", "json"), default="markdown")
    diff.set_defaults(run=run_diff)


def run_diff(args: argparse.Namespace) -> int:
    """Replay both revisions over the same decisions."""
    folder = policy_folder(args.path)
    return show(args, _side(folder, args.before), _side(folder, args.after))


def _side(folder: Path, revision: str | None) -> Side:
    from greenops.adapters.git import GitRevision
    from greenops.pipeline.policies import policy_sources
    from greenops.pipeline.policy_files import sources_among
    from greenops.pipeline.policy_replay import Side
    from greenops.policy import compile_policies

    if revision is None:
        return Side(f"the files in {folder}", compile_policies(policy_sources(folder)))
    found = GitRevision(folder, revision)
    return Side(f"{revision} ({found.commit[:10]})", compile_policies(sources_among(found.files())))
