"""`greenops policy fmt`: policy files laid out one way."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.cli.policy_counts import counted
from greenops.cli.policy_explain import policy_folder
from greenops.errors import ExitCode, GreenOpsError, Location, Unreachable

if TYPE_CHECKING:
    import argparse


def add_parser(verbs: Any) -> None:
    """Add `policy fmt`."""
    fmt = verbs.add_parser(
        "fmt",
        help="lay the files out one way; what they say stays",
        epilog="exit 0: done; 1: --check, and a file would change; 2: a file is not YAML",
    )
    fmt.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="folder or file; default: the setting"
    )
    fmt.add_argument(
        "--check", action="store_true", help="name files that would change, write none"
    )
    fmt.add_argument("--diff", action="store_true", help="show what would change, write nothing")
    fmt.set_defaults(run=run_fmt)


def run_fmt(args: argparse.Namespace) -> int:
    """Lay the files out, or say which would change; a file that is wrong stops no other.

    Raises:
        InvalidFile: There is no file to lay out.
    """
    from greenops.errors import InvalidFile
    from greenops.policy.format import formatted

    folder = policy_folder(args.path)
    sources = _own_sources(folder)
    if not sources:
        fix = "name a folder or file of policies"
        raise InvalidFile("GO0108", "no policy file to lay out", at=Location(str(folder)), fix=fix)
    changed, worst = 0, ExitCode.OK
    for file, text in sources:
        try:
            made = formatted(file, text)
            if made != text:
                changed += 1
                _take(file, text, made, args)
        except GreenOpsError as error:
            print(f"greenops: {error}", file=sys.stderr)
            worst = max(worst, error.exit_code)
    only = args.check or args.diff
    verb = "would change" if only else "changed"
    print(f"{changed} of {counted(len(sources), 'file')} {verb}", file=sys.stderr)
    return worst or (ExitCode.POLICY if args.check and changed else ExitCode.OK)


def _own_sources(folder: Path) -> list[tuple[str, str]]:
    """The files below the folder, as they are; packs that the package ships are not ours to change."""
    from greenops.pipeline.policies import policy_sources
    from greenops.pipeline.policy_bundle import refuse_bundle

    refuse_bundle(folder)
    names = [name for name, _ in policy_sources(folder)]
    own = [e for e in names if Path(e) == folder or Path(e).is_relative_to(folder)]
    return [(name, Path(name).read_bytes().decode()) for name in own]


def _take(file: str, text: str, made: str, args: argparse.Namespace) -> None:
    if args.diff:
        from difflib import unified_diff

        before, after = text.splitlines(keepends=True), made.splitlines(keepends=True)
        sys.stdout.writelines(unified_diff(before, after, file, f"{file} (laid out)"))
        return
    print(file)
    if not args.check:
        _write(Path(file), made)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole: a kill in between leaves the old one.

    Raises:
        Unreachable: It cannot be written.
    """
    real = path.resolve()
    beside = real.with_name(f".{real.name}.new")
    try:
        beside.write_bytes(text.encode())
        beside.chmod(real.stat().st_mode)
        beside.replace(real)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        why = f"cannot be written: {error.strerror or error}"
        fix = "give the user that runs this the right to write it"
        raise Unreachable("GO0159", why, at=Location(str(path)), fix=fix) from error
