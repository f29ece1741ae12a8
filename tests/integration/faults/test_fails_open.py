"""`greenops run` without rules, data or a server: the work runs now, and a person is told why."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

import greenops

pytestmark = [pytest.mark.network, pytest.mark.slow]

NIGHT = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)
RATE = 60.0
"""A hold of an hour would last a minute, so a run that ends within seconds was not held."""


def ran_now(house, tools, *, server=False):
    """Run `exit 7` and give the lines that were said; it must have started at once, once."""
    log = house.folder / "log"
    process = house.run(
        "night/1", "sh", "-c", f"echo started >> {log}; echo out; exit 7", server=server
    )
    code = process.wait(60)
    said = process.said().splitlines()
    assert (code, log.read_text()) == (7, "started\n"), said
    assert house.of_run("night/1", "receipt.json")["exit_code"] == 7
    assert said.pop() == "out"
    return said


@pytest.fixture
def calm(house, tools):
    """A house whose simulated time is the hour at which a healthy run would be held."""
    made = house()
    made.replay = tools.replay_at(NIGHT, RATE)
    return made


@pytest.mark.feature("C6")
def test_without_a_policies_folder_the_command_runs_now(calm, tools):
    calm.policies = calm.folder / "none"

    said = ran_now(calm, tools)

    assert len(said) == 1
    assert "GO0108" in said[0]
    assert "running now" in said[0]


@pytest.mark.feature("C6")
@pytest.mark.parametrize(
    "text",
    ["kind: [", "kind: PlacementPolicy\nmetadata: {name: x}\n", "\xff", "a: !!python/name:os\n"],
    ids=["yaml", "fields", "bytes", "tag"],
)
def test_a_broken_policy_is_one_line_and_the_command_runs_now(calm, tools, text):
    calm.policies = calm.folder / "policies"
    calm.policies.mkdir()
    (calm.policies / "broken.yaml").write_bytes(text.encode("latin-1"))

    said = ran_now(calm, tools)

    assert len(said) == 1, said
    assert "broken.yaml" in said[0]
    assert "running now" in said[0]


@pytest.mark.feature("C6")
def test_without_server_and_policies_there_is_a_line_for_each_and_the_command_runs_now(calm, tools):
    calm.policies = calm.folder / "none"

    said = ran_now(calm, tools, server=True)

    assert [line.split()[1] for line in said] == ["GO0610", "GO0108"]


def test_without_a_server_one_line_says_so_and_the_run_is_decided_here(house, tools):
    made = house(replay=tools.replay_at(NIGHT, 14400))

    log = made.folder / "log"
    process = made.run("night/1", "sh", "-c", f"echo started >> {log}; exit 7")
    code = process.wait(60)

    said = process.said().splitlines()
    assert (code, log.read_text()) == (7, "started\n"), said
    assert "GO0610" in said[0]
    assert "deciding here" in said[0]
    assert [line for line in said[1:] if "holding" not in line] == []
    assert made.of_run("night/1", "decision.json")["job_id"] == "night/1"


@pytest.fixture
def installed(tmp_path):
    """A copy of the installed package, whose data may be damaged."""
    copy = tmp_path / "site" / "greenops"
    shutil.copytree(Path(greenops.__file__).parent, copy, ignore=shutil.ignore_patterns("*.pyc"))
    return copy


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def everything(package):
    for path in (package / "data").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0garbage")


@pytest.mark.feature("C6")
@pytest.mark.parametrize(
    "damage",
    [
        lambda package: shutil.rmtree(package / "data"),
        lambda package: shutil.rmtree(package / "data" / "grid"),
        lambda package: cut(package / "data" / "regions.json"),
        lambda package: [cut(path) for path in (package / "data" / "grid").rglob("*.*")],
        everything,
    ],
    ids=["no data", "no grid", "half regions", "half grid", "garbage"],
)
def test_without_whole_shipped_data_the_command_runs_now(calm, tools, installed, damage):
    damage(installed)
    calm.environ["PYTHONPATH"] = str(installed.parent)

    said = ran_now(calm, tools)

    assert len(said) == 1, said
    assert "running now" in said[0] or "starts as without GreenOps" in said[0], said
