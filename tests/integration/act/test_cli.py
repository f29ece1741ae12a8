"""`greenops run` as a person calls it, with a workload file and nothing else."""

import argparse
import os
import subprocess
import sys

import pytest

from greenops.cli.run import add_parser, run
from greenops.errors import UsageError

WORKLOAD = """\
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: night}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: us-west-1
  allowedRegions: [us-west-1]
  durationP95: 2h
  energyKwh: 2
  deadline: {within: 12h}
  maxCost: {usd: 5}
  maxCarbon: {intensity: 400}
"""
CALL = """
import argparse, sys
from greenops.cli.run import add_parser
from greenops.errors import GreenOpsError
parser = argparse.ArgumentParser()
add_parser(parser.add_subparsers(dest="command"))
args = parser.parse_args()
try:
    sys.exit(args.run(args))
except GreenOpsError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def call(folder, *arguments, **environ):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GREENOPS_")}
    return subprocess.run(
        [sys.executable, "-c", CALL, "run", *arguments],
        cwd=folder,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_a_command_runs_and_its_output_and_code_are_its_own(tmp_path):
    (tmp_path / "night.yaml").write_text(WORKLOAD)
    arguments = ["--workload", "night.yaml", "--key", "night/1", "--policies", "none"]

    done = call(tmp_path, *arguments, "--", "sh", "-c", "echo out; exit 5")

    assert (done.returncode, done.stdout) == (5, "out\n"), done.stderr
    assert (tmp_path / ".greenops/runs/night/1/receipt.json").exists()


@pytest.mark.slow
def test_a_broken_policy_is_one_line_and_the_command_runs_now(tmp_path):
    (tmp_path / "night.yaml").write_text(WORKLOAD)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "broken.yaml").write_text("kind: [")

    done = call(tmp_path, "--workload", "night.yaml#night", "--", "true")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1
    assert "running now" in done.stderr


BROKEN = {
    "file": ("tick: 1\nstate: kept", {}, "GO0803"),
    "no-yaml": ("a: [", {"GREENOPS_STATE": "kept"}, "GO0806"),
    "setting": ("state: kept", {"GREENOPS_TICK_S": "abc"}, "GO0804"),
    "replay": ("state: kept", {"GREENOPS_REPLAY": "garbage"}, "GO0801"),
    "rate": ("state: kept", {"GREENOPS_REPLAY": "2021-10-08T06:00Z@2021-10-08T06:00Z@inf"}, "GO06"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BROKEN)
def test_with_broken_settings_the_command_runs_now_and_once_in_its_own_state(tmp_path, case):
    text, environ, code = BROKEN[case]
    (tmp_path / "night.yaml").write_text(WORKLOAD)
    (tmp_path / "greenops.yaml").write_text(text)
    asked = ["--workload", "night.yaml", "--key", "night/1", "--", "sh", "-c", "echo out; exit 5"]

    done, again = call(tmp_path, *asked, **environ), call(tmp_path, *asked, **environ)

    assert (done.returncode, done.stdout) == (5, "out\n"), done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"greenops: {code}")
    assert done.stderr.endswith("; running now\n")
    assert (tmp_path / "kept/runs/night/1/receipt.json").exists()
    assert (again.returncode, again.stdout) == (5, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["night.yaml"], ["none.yaml", "--", "true"], ["night.yaml", "--key", "/", "--", "true"]],
    ids=["no command", "no file", "no key"],
)
def test_with_broken_settings_a_wrong_command_line_still_starts_nothing(tmp_path, arguments):
    (tmp_path / "night.yaml").write_text(WORKLOAD)

    done = call(tmp_path, "--workload", *arguments, GREENOPS_TICK_S="abc")

    assert done.returncode == 2, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workload", "line"),
    [("none.yaml", "GO0620"), ("broken.yaml", "broken.yaml"), ("night.yaml#day", "GO0621")],
)
def test_a_workload_file_that_cannot_be_used_starts_nothing(tmp_path, workload, line):
    (tmp_path / "night.yaml").write_text(WORKLOAD)
    (tmp_path / "broken.yaml").write_text("kind: [")

    done = call(tmp_path, "--workload", workload, "--", "sh", "-c", "echo out")

    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_command_there_is_nothing_to_run():
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())

    with pytest.raises(UsageError, match="GO0625"):
        run(parser.parse_args(["run", "--workload", "night.yaml", "--"]))
