"""The files that a user copies into CI: their own commands run, in a repository of shipped policies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from greenops.adapters.packaged import packaged
from greenops.cli.main import main

GITHUB = yaml.safe_load((packaged("ci") / "github-action.yml").read_text())
GITLAB = yaml.safe_load((packaged("ci") / "gitlab-ci.yml").read_text())
STEPS = {each["name"]: each["run"] for each in GITHUB["jobs"]["policies"]["steps"] if "run" in each}
FILES = ("cheaper-unless.yaml", "cleaner-within.yaml", "threshold.yaml")


def git(folder, *argv):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *who, *argv], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "policies").mkdir()
    for each in FILES:
        shutil.copy(packaged("policies") / "templates" / each, tmp_path / "policies")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def bash(folder, script, variables):
    names = {name: str(value) for name, value in variables.items()}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **names},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def github(folder, step):
    summary = {"GITHUB_STEP_SUMMARY": folder / "summary.md", "GITHUB_BASE_REF": "main"}
    return bash(folder, STEPS[step], {**GITHUB["env"], **summary})


def gitlab(folder):
    return bash(folder, "\n".join(GITLAB["policies"]["script"]), GITLAB["variables"])


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_github_steps_pass_on_shipped_policies(repository):
    said = {step: github(repository, step) for step in ("check", "layout", "test", "compare")}

    assert {step: code for step, (code, _) in said.items()} == dict.fromkeys(said, 0), said
    assert (repository / "policies.sarif").stat().st_size > 0
    assert "<testsuites" in (repository / "policies.xml").read_text()
    assert "nothing to compare" in (repository / "summary.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_github_steps_fail_on_what_is_wrong_and_still_leave_their_reports(repository):
    at = repository / "policies" / "cleaner-within.yaml"
    text = at.read_text().replace("choose: at-bound", "choose: over")
    at.write_text(f"{text}\n\n")

    assert github(repository, "check")[0] == 0
    assert github(repository, "layout")[0] == 1
    code, said = github(repository, "test")

    assert code == 1
    assert "::error file=policies/cleaner-within.yaml,line=" in said
    assert "<failure" in (repository / "policies.xml").read_text()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_gitlab_job_passes_on_shipped_policies_and_fails_on_a_typo(repository):
    code, said = gitlab(repository)
    assert code == 0, said
    assert "<testsuites" in (repository / "policies.xml").read_text()

    at = repository / "policies" / "threshold.yaml"
    at.write_text(at.read_text().replace("candidate.intensity", "candidate.intesity"))

    code, said = gitlab(repository)
    assert code == 2
    assert "GO0131 policies/threshold.yaml:" in said


@pytest.mark.parametrize(("service", "file"), [("github", GITHUB), ("gitlab", GITLAB)])
def test_the_command_prints_the_file_to_copy(service, file, capsys):
    assert main(["policy", "ci", service]) == 0

    assert yaml.safe_load(capsys.readouterr().out) == file


def test_what_both_files_need_to_run_is_there():
    steps = GITHUB["jobs"]["policies"]["steps"]
    assert steps[0]["with"] == {"fetch-depth": 0}
    assert [each for each in steps if each.get("with", {}).get("sarif_file") == "policies.sarif"]
    assert GITLAB["policies"]["artifacts"]["reports"] == {"junit": "policies.xml"}
    assert GITLAB["policies"]["variables"] == {"GIT_DEPTH": 0}
