"""`greenops policy schema`: the same bytes as the file that is shipped."""

from __future__ import annotations

import argparse

from greenops.adapters.packaged import packaged
from greenops.cli import policy


def test_schema_prints_the_shipped_file(capsys):
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", "schema"])

    assert args.run(args) == 0
    assert capsys.readouterr().out == (packaged("policies") / "schema.json").read_text()
