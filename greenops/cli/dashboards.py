"""`greenops dashboards`: write the Grafana dashboards, bring them to a Grafana, check them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from greenops.errors import ExitCode, InvalidFile, Location, Unreachable, UsageError

if TYPE_CHECKING:
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

TOKEN = "GRAFANA_TOKEN"  # noqa: S105  (the variable's name, not a token)


def add_parser(subparsers: Parsers) -> None:
    """Add the command with its three verbs."""
    parser = subparsers.add_parser("dashboards", help="Grafana dashboards: export, apply, lint")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    export = verbs.add_parser("export", help="write the JSON and the provisioning file")
    export.add_argument("folder", nargs="?", default="dashboards", help="where to (dashboards)")
    export.set_defaults(run=run_export)
    apply = verbs.add_parser("apply", help="create or update them in a Grafana")
    apply.add_argument("--url", required=True, help="root of Grafana, http://127.0.0.1:3000")
    apply.add_argument("--token", help=f"service account token (default: ${TOKEN})")
    apply.add_argument("--org", type=int, help="organisation id (default: the token's own)")
    apply.set_defaults(run=run_apply)
    check = verbs.add_parser("lint", help="check dashboards against the rules")
    check.add_argument("file", nargs="*", help="JSON files (default: the dashboards of GreenOps)")
    check.set_defaults(run=run_lint)


def run_export(args: argparse.Namespace) -> int:
    """Write every file; the same content again changes nothing.

    Raises:
        Unreachable: The folder cannot be written.
    """
    from greenops.show.dashboards import files

    folder = Path(args.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files().items():
            (folder / name).write_text(text, encoding="utf-8")
            print(folder / name)
    except OSError as error:
        raise Unreachable(
            "GO0910", f"cannot write to `{folder}`: {error.strerror}", fix="name another folder"
        ) from error
    return ExitCode.OK


def run_apply(args: argparse.Namespace) -> int:
    """Create or update each dashboard; one line each says which.

    Raises:
        UsageError: No token.
        AdapterUnavailable, AdapterUnsupported: Grafana does not answer, or refuses.
    """
    from greenops.adapters.grafana import Grafana
    from greenops.show.dashboards import dashboards

    token = args.token or os.environ.get(TOKEN)
    if not token:
        raise UsageError("GO0909", "no Grafana token", fix=f"set `{TOKEN}`, or give --token")
    for done in Grafana(args.url, token, args.org).apply(dashboards().values()):
        print(f"{done.uid}: {done.change.value}")
    return ExitCode.OK


def run_lint(args: argparse.Namespace) -> int:
    """Print each fault; 1 where there is one.

    Raises:
        InvalidFile: A file cannot be read as a dashboard.
    """
    from greenops.show.dashboards import dashboards
    from greenops.show.lint import lint

    boards = {name: _read(Path(name)) for name in args.file} or dashboards()
    faults = [f"{name}: {fault}" for name, board in boards.items() for fault in lint(board)]
    for fault in faults:
        print(fault)
    print(f"{len(boards)} dashboards, {len(faults)} faults", file=sys.stderr)
    return ExitCode.POLICY if faults else ExitCode.OK


def _read(file: Path) -> dict[str, object]:
    import json

    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        line = getattr(error, "lineno", 0)
        raise InvalidFile(
            "GO0906", f"cannot be read as a dashboard: {error}", at=Location(str(file), line)
        ) from error
    if not isinstance(found, dict):
        raise InvalidFile("GO0906", "a dashboard is a JSON object", at=Location(str(file), 1))
    return found
