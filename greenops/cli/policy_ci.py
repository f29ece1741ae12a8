"""`greenops policy ci`: the file that makes a CI service check, test and compare policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse

FILES: Final = {"github": "github-action.yml", "gitlab": "gitlab-ci.yml"}
"""Service → its file in the folder `ci`; the head of each says where to copy it."""


def add_parser(verbs: Any) -> None:
    """Add `policy ci`."""
    ci = verbs.add_parser(
        "ci", help="print a GitHub Action or GitLab job to copy", epilog="its head says where to"
    )
    ci.add_argument("service", choices=tuple(FILES))
    ci.set_defaults(run=run_ci)


def run_ci(args: argparse.Namespace) -> int:
    """Print the file."""
    from greenops.adapters.packaged import packaged

    print((packaged("ci") / FILES[args.service]).read_text(encoding="utf-8"), end="")
    return 0
