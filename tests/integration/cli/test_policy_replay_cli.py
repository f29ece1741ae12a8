"""`greenops policy replay|diff|sweep` over a lake and a repository, as a person calls them."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli.main import main
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.plan.choice import choose
from greenops.policy import compile_policies

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
RULES = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: ["data@example.com"]}
spec:
  match: [{name: batch, expression: job.kind == "batch"}]
  limits: {deadline: {within: 12h}, maxCost: {increase: 10%}}
  objectives: [{name: less-carbon, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
"""


def place(name, carbon, cost, hours):
    start = NOW + timedelta(hours=hours)
    return Candidate(
        name,
        region="eu",
        pool="spot",
        start=start,
        end=start + timedelta(hours=1),
        carbon_g=carbon,
        carbon_low_g=carbon * 0.9,
        carbon_high_g=carbon * 1.1,
        cost_usd=cost,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository whose policies decided one run, and its state."""
    rules = compile_policies([("rules.yaml", RULES)])
    workload = Workload("etl|*x*", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu", team="@data")
    baseline, *others = (
        place("baseline", 100.0, 1.0, 0),
        place("near", 80.0, 1.05, 2),
        place("far", 40.0, 1.15, 3),
    )
    job = Job("etl/1", workload, NOW)
    judgement = rules.judge(job, baseline, others, NOW)
    made = choose(replace(job, deadline=judgement.deadline), baseline, others, judgement, NOW)
    record = DecisionRecord(made, (baseline, *others), judgement.verdicts, {}, job=job)
    ParquetLake(tmp_path / "state" / "lake").write_decision(record)
    (tmp_path / "repo" / "policies").mkdir(parents=True)
    (tmp_path / "repo" / "policies" / "rules.yaml").write_text(RULES)
    monkeypatch.chdir(tmp_path / "repo")
    monkeypatch.setenv("GREENOPS_STATE", str(tmp_path / "state"))
    return tmp_path / "repo"


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(folder):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(folder, "init", "-q", "-b", "main")
    (folder / "policies" / "notes.txt").write_text("not a policy")
    (folder / "policies" / ".hidden.yaml").write_text("not: a policy")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def loosen(folder):
    (folder / "policies" / "rules.yaml").write_text(RULES.replace("10%", "20%"))


def told(capsys, *argv):
    code = main(["policy", *argv])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_a_replay_tells_what_would_change(folder, capsys):
    loosen(folder)

    code, out, err = told(capsys, "replay")

    assert code == 0
    assert "1 of 1 decisions would change" in out
    assert "-40 g CO2e (-50.0%)" in out
    assert "-52 g CO2e to -28 g CO2e" in out
    assert "1. etl/1 would start at 23:00 instead of 22:00 UTC on 2026-11-23" in out
    assert "1 decisions, 3 candidates read" in err


def test_a_replay_is_data_on_request(folder, capsys):
    loosen(folder)

    code, out, _ = told(capsys, "replay", "-o", "json")

    found = json.loads(out)
    assert code == 0
    assert found["total"]["changed"] == 1
    assert found["total"]["carbon_g"]["change"] == pytest.approx(-40.0)
    assert found["most"][0]["decision"].startswith("dec-")
    assert found["by"]["owner"][0]["name"] == "@data"


def test_policies_are_replayed_against_others(folder, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(RULES.replace("10%", "0%"))

    _, out, _ = told(capsys, "replay", "--against", str(other))

    assert "until now limit/maxCost refused it" in out


@pytest.mark.feature("C13")
def test_a_diff_is_the_comment_of_a_pull_request(repository, capsys):
    loosen(repository)

    code, out, _ = told(capsys, "diff", "main")

    assert code == 0
    assert out.startswith("### 1 of 1 decisions would change\n")
    assert "| **all** | 1 | 1 | -40 g CO2e (-50.0%) |" in out
    assert "| etl\\|\\*x\\* | 1 | 1 |" in out
    assert "@data" not in out
    assert "1. etl/1 would start at 23:00" in out


def test_a_diff_compares_two_revisions_whatever_lies_in_the_folder(repository, capsys):
    loosen(repository)
    git(repository, "commit", "-q", "-am", "looser")
    (repository / "policies" / "rules.yaml").write_text("not a policy")

    _, same, _ = told(capsys, "diff", "HEAD", "main")
    _, changed, _ = told(capsys, "diff", "HEAD~1", "HEAD")

    assert same.startswith("### 0 of 1")
    assert changed.startswith("### 1 of 1")


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "main:policies"])
def test_a_revision_that_is_none_is_one_line(repository, capsys, revision):
    code, _, err = told(capsys, "diff", "--", revision)

    assert code == 2
    assert err.startswith("greenops: GO0454")
    assert err.count("\n") == 1


def test_a_folder_that_the_revision_lacks_is_one_line(repository, capsys):
    (repository / "new").mkdir()

    code, _, err = told(capsys, "diff", "main", "--path", "new")

    assert (code, "has no `new`" in err) == (2, True)


def test_a_folder_in_no_repository_is_one_line(folder, capsys, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))

    code, _, err = told(capsys, "diff", "main")

    assert code == 4
    assert err.startswith("greenops: GO0453")


def test_without_git_a_diff_says_so(repository, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")

    code, _, err = told(capsys, "diff", "main")

    assert (code, "cannot run git" in err) == (4, True)


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_sweep_marks_the_frontier(folder, capsys, output):
    of = ("--policy", "cleaner", "--param", "limits.maxCost.increase")

    code, out, _ = told(
        capsys, "sweep", *of, "--from", "0", "--to", "20", "--steps", "3", "-o", output
    )

    assert code == 0
    if output == "json":
        assert [each["carbon_g"] for each in json.loads(out)["points"]] == [100.0, 80.0, 40.0]
    elif output == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [each["value"] for each in rows] == ["0%", "10%", "20%"]
        assert [each["pareto"] for each in rows] == ["True"] * 3
    else:
        assert "10% (now)  80 g CO2e" in out
        assert "72 g CO2e to 88 g CO2e" in out


def test_nothing_recorded_is_exit_3_and_says_what_to_do(folder, tmp_path, capsys):
    code, _, err = told(capsys, "replay", "--state", str(tmp_path / "none"))

    assert code == 3
    assert "`--state DIR`" in err


def test_a_date_that_is_none_is_refused(folder, capsys):
    with pytest.raises(SystemExit):
        main(["policy", "replay", "--since", "yesterday"])

    assert "`yesterday` is no date" in capsys.readouterr().err
