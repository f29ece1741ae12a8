"""`greenops plan --all`: every batch workload at once, and of each what a plan of it alone says."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from greenops.cli.main import main

MORNING = "2021-09-17T08:00:00Z@2021-09-17T08:00:00Z@1e-9"
"""A replay that stands all but still on the demo's morning."""
FILE = """
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: NAME}
spec:
  kind: batch
  urgency: deferrable
  schedule: {at: "09:00", timeZone: UTC}
  deadline: {within: 9h}
  maxCost: {increase: 50%}
  maxCarbon: {intensity: 900.0}
  durationP95: 2h
  energyKwh: 4.5
  homeRegion: REGION
  allowedRegions: [REGION, eu-central-1]
"""
RULES = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: [a@example.com]}
spec:
  match: [{name: batch, expression: 'job.kind == "batch"'}]
  constraints:
  - {name: most, level: hard, expression: candidate.cost_usd <= baseline.cost_usd * 1.5}
  objectives:
  - {name: cleaner, when: candidate.carbon_g < baseline.carbon_g, minimize: candidate.carbon_g}
  enforcement: {mode: enforce}
"""
NAMES = {"at-home": "eu-central-1", "far": "us-west-1", "dark": "af-south-1"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    files = tmp_path / "policies"
    files.mkdir()
    for name, region in NAMES.items():
        text = FILE.replace("NAME", name).replace("REGION", region)
        (files / f"{name}.yaml").write_text(text)
    (files / "rules.yaml").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_POLICIES", str(files))
    monkeypatch.setenv("GREENOPS_REPLAY", MORNING)
    return files


def told(capsys, *arguments):
    assert main(["plan", *arguments, "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("at", [None, "2021-09-17T08:00:00Z", "2021-09-17T09:40:00Z"])
def test_a_plan_of_all_says_of_each_what_a_plan_of_it_alone_says(capsys, at):
    given = [] if at is None else ["--at", at]

    rows = told(capsys, "--all", *given)

    assert [each["workload"] for each in rows] == sorted(NAMES)
    for row in rows:
        made = told(capsys, row["workload"], *given)["decision"]
        for side in ("chosen", "baseline"):
            for name in ("region", "pool", "carbon_g", "cost_usd", "intensity"):
                assert row[f"{side}.{name}"] == made[side].get(name)
            assert abs(instant(row[f"{side}.start"]) - instant(made[side]["start"])) < 1
        assert (row["mode"], row["objective"]) == (made["mode"], made.get("objective"))


def instant(text):
    return datetime.fromisoformat(text).timestamp()


def test_what_needs_a_look_at_now_or_at_the_upper_bound_is_decided_alone(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_CAREFUL_SLACK_S", "3600")

    rows = told(capsys, "--all", "--at", "2021-09-17T08:00:00Z")

    assert "decided-alone" in {each["reason"] for each in rows}
    for row in rows:
        made = told(capsys, row["workload"], "--at", "2021-09-17T08:00:00Z")["decision"]
        assert row["chosen.region"] == made["chosen"]["region"]
        assert (row["reason"] == "decided-alone") == bool(made.get("by_upper_bound"))


def test_what_has_no_forecast_is_decided_alone(capsys, folder, monkeypatch):
    monkeypatch.setenv("GREENOPS_CAREFUL_SLACK_S", "0")
    text = (folder / "dark.yaml").read_text()
    (folder / "dark.yaml").write_text(text.replace(", eu-central-1]", "]"))

    rows = told(capsys, "--all", "--at", "2021-09-17T08:00:00Z")

    alone = [each for each in rows if each["reason"] == "decided-alone"]
    assert [each["workload"] for each in alone] == ["dark"]
    made = told(capsys, "dark", "--at", "2021-09-17T08:00:00Z")["decision"]
    assert alone[0]["chosen.intensity"] == made["chosen"].get("intensity")
    assert alone[0]["foretold"] is False


def test_the_table_has_a_line_for_each_workload(capsys):
    assert main(["plan", "--all"]) == 0

    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["workload", "start", "(UTC)"]
    assert [line.split()[0] for line in lines] == sorted(NAMES)
    assert all("enforce" in line for line in lines)


def test_services_are_left_out_and_counted(capsys, folder):
    text = FILE.replace("NAME", "shop").replace("REGION", "eu-central-1")
    lines = [
        line
        for line in text.replace("batch", "inference").splitlines()
        if not line.strip().startswith(("schedule", "deadline", "durationP95", "max"))
    ]
    (folder / "shop.yaml").write_text("\n".join(lines))

    assert main(["plan", "--all"]) == 0

    said = capsys.readouterr()
    assert "shop" not in said.out
    assert said.err == "1 more that serve are routed, not planned\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--all", "--at", "soon"], "GO0805 `--at soon` is no time"),
        (["--all", "--policies", "empty"], "GO0643 no batch workload is declared in `empty`"),
    ],
)
def test_a_wrong_use_is_one_line(capsys, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()

    assert main(["plan", *arguments]) == 2

    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["far", "--all"]])
def test_either_a_workload_or_all_is_asked_for(capsys, arguments):
    try:
        code = main(["plan", *arguments])
    except SystemExit as stopped:
        code = stopped.code

    assert code == 2
    assert "--all" in capsys.readouterr().err


def test_a_home_region_that_is_not_known_is_named(capsys, folder):
    text = (folder / "far.yaml").read_text()
    (folder / "far.yaml").write_text(text.replace("homeRegion: us-west-1", "homeRegion: us-wets-1"))

    assert main(["plan", "--all"]) == 2

    assert "`far` cannot be planned: unknown region `us-wets-1`" in capsys.readouterr().err
