"""`greenops policy fmt`: which files it changes, and which it never does."""

from __future__ import annotations

import argparse

import pytest

from greenops.cli import policy
from greenops.errors import InvalidFile

HEAD = "apiVersion: greenops.dev/v1alpha1\nkind: PlacementPolicy\n"
FINE = HEAD + "metadata: {name: p, owners: [a@example.com]}\n"
LOOSE = HEAD + "metadata: {owners: [a@example.com], name: p}   \n"


def run(*argv):
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", "fmt", *map(str, argv)])
    return args.run(args)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "fine.yaml").write_text(FINE)
    (tmp_path / "loose.yaml").write_text(LOOSE)
    return tmp_path


def test_fmt_changes_what_is_loose_and_names_it(files, capsys):
    (files / "loose.yaml").chmod(0o640)

    assert run(files) == 0

    out, err = capsys.readouterr()
    assert (out, err) == (f"{files}/loose.yaml\n", "1 of 2 files changed\n")
    assert (files / "loose.yaml").read_text() == FINE
    assert (files / "loose.yaml").stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in files.iterdir()) == ["fine.yaml", "loose.yaml"]


def test_check_writes_nothing_and_exits_1_where_a_file_would_change(files, capsys):
    assert run(files, "--check") == 1
    assert (files / "loose.yaml").read_text() == LOOSE
    assert capsys.readouterr().err == "1 of 2 files would change\n"
    assert run(files / "fine.yaml", "--check") == 0


def test_diff_shows_the_change_and_writes_nothing(files, capsys):
    assert run(files, "--diff") == 0

    out = capsys.readouterr().out
    assert "-metadata: {owners: [a@example.com], name: p}" in out
    assert "+metadata: {name: p, owners: [a@example.com]}" in out
    assert (files / "loose.yaml").read_text() == LOOSE


def test_a_file_that_is_wrong_stops_no_other(files, capsys):
    (files / "bad.yaml").write_text("a: [1,\n")

    assert run(files) == 2

    assert f"greenops: GO0101 {files}/bad.yaml:2:1" in capsys.readouterr().err
    assert (files / "loose.yaml").read_text() == FINE


def test_a_link_stays_a_link(files):
    (files / "real").mkdir()
    (files / "loose.yaml").rename(files / "real" / "loose.yaml")
    (files / "link.yaml").symlink_to(files / "real" / "loose.yaml")

    assert run(files / "link.yaml") == 0

    assert (files / "link.yaml").is_symlink()
    assert (files / "real" / "loose.yaml").read_text() == FINE


def test_a_pack_that_is_only_extended_is_not_touched(files, capsys):
    rules = "spec:\n  extends: [greenops/cleaner-within]\n"
    (files / "loose.yaml").write_text(LOOSE + rules)

    assert run(files) == 0
    assert capsys.readouterr().out == f"{files}/loose.yaml\n"


def test_no_file_is_an_error(tmp_path):
    with pytest.raises(InvalidFile):
        run(tmp_path)


def test_a_file_that_cannot_be_written_is_told_and_stays(files, capsys):
    (files / ".loose.yaml.new").mkdir()  # stands where the new file would

    assert run(files) == 4

    assert f"greenops: GO0159 {files}/loose.yaml: cannot be written" in capsys.readouterr().err
    assert (files / "loose.yaml").read_text() == LOOSE
