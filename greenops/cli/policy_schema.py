"""`greenops policy schema`: the shape of policy files, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_parser(verbs: Any) -> None:
    """Add `policy schema`."""
    parser = verbs.add_parser(
        "schema",
        help="the JSON Schema of policy files, for editors",
        epilog="write it to a file, and put `# yaml-language-server: $schema=FILE` above a policy",
    )
    parser.set_defaults(run=run_schema)


def run_schema(_args: argparse.Namespace) -> int:
    """Print the schema."""
    from greenops.policy.json_schema import schema_text

    print(schema_text(), end="")
    return 0
