"""Folders made to harm: pipes, devices, endless links, files of any size. None blocks, none is skipped."""

from __future__ import annotations

import os
import socket
import time
import zipfile
from pathlib import Path

import pytest

from greenops.errors import InvalidFile
from greenops.pipeline.policies import policy_sources

RULES = "apiVersion: greenops.dev/v1alpha1\nkind: PlacementPolicy\n"


def refusal(folder):
    """What is said of a folder, and that nothing waits: a pipe without a writer would for ever."""
    begun = time.monotonic()
    with pytest.raises(InvalidFile) as caught:
        policy_sources(folder)
    assert time.monotonic() - begun < 20
    assert str(caught.value).isprintable()
    return caught.value


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def itself(path):
    path.symlink_to(path.name)


def nowhere(path):
    path.symlink_to("gone")


def listening(path):
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(path))


def sparse(path):
    with path.open("wb") as file:
        file.truncate(2**40)


def zipped(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.yaml", "a: 1\n" * 2_000_000)


def wide(path):
    path.write_bytes(RULES.encode("utf-16"))


def loop(path):
    (path.parent / "a").mkdir()
    (path.parent / "a" / "b").symlink_to("..")
    pipe(path)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (pipe, "GO0109"),
        (endless, "GO0109"),
        (itself, "GO0109"),
        (nowhere, "GO0109"),
        (listening, "GO0109"),
        (sparse, "GO0102"),
        (zipped, "GO0109"),
        (wide, "GO0109"),
        (loop, "GO0109"),
    ],
)
def test_what_is_no_policy_file_is_refused_and_holds_nothing_up(make, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(Path("x.yaml").absolute() if make is not listening else Path("x.yaml"))

    assert refusal(tmp_path).code == code


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text(RULES)
    (tmp_path / "x.yaml").chmod(0)
    if os.access(tmp_path / "x.yaml", os.R_OK):
        pytest.skip("this user may read every file")

    assert refusal(tmp_path).code == "GO0109"


def test_folders_that_hold_each_other_are_read_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.yaml").write_text(RULES)
    for name in "bcde":
        (tmp_path / "a" / name).symlink_to("..")

    assert [Path(name).name for name, _ in policy_sources(tmp_path)] == ["x.yaml"]


def test_two_hundred_folders_in_each_other_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(200):
        Path("d").mkdir()
        os.chdir("d")

    assert refusal(tmp_path).code == "GO0109"


def test_a_link_to_a_tree_of_many_folders_is_refused(tmp_path):
    for at in range(1_100):
        (tmp_path / "tree" / str(at)).mkdir(parents=True)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "x").symlink_to(tmp_path / "tree")

    assert refusal(tmp_path / "policies").code == "GO0109"


def test_a_carriage_return_alone_does_not_end_a_comment_of_a_file(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"a: 1\r\n# harmless\rb: 2\r\n")

    ((_, text),) = policy_sources(tmp_path)

    assert text == "a: 1\n# harmless\rb: 2\n"


def test_the_name_of_a_file_cannot_move_the_cursor(tmp_path):
    (tmp_path / "a\x1b[2J.yaml").write_bytes(b"\xff")

    assert "\\u001b[2J" in str(refusal(tmp_path))
