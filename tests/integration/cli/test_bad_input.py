"""Wrong files through the real command line: one line that says where, what and how to mend it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from greenops.cli.main import main
from greenops.pipeline.policies import read_policies

WORKLOAD = """\
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: night}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: us-west-1
  allowedRegions: [us-west-1]
  duration: 1h
  durationP95: 2h
  energyKwh: 2
  deadline: {within: 12h}
  maxCost: {usd: 5}
  maxCarbon: {intensity: 400}
"""
BROKEN = {
    "a typo in a field": (
        ("urgency:", "urgencey:"),
        "6:3: unknown key in `spec` `urgencey`; did you mean `urgency`?",
    ),
    "a wrong unit": (
        ("durationP95: 2h", "durationP95: 2 parsecs"),
        (
            "10:16: `spec.durationP95` is `2 parsecs`; write a number and its unit without a space:"
            " `90s`, `30m`, `8h` or `3d`"
        ),
    ),
    "a unit that is missing": (
        ("12h", "12"),
        (
            "12:22: `spec.deadline.within` is `12`; write a number and its unit without a space:"
            " `90s`, `30m`, `8h` or `3d`"
        ),
    ),
    "another currency": (
        ("usd: 5", "usd: 5 EUR"),
        "13:18: `spec.maxCost.usd` is `5 EUR`; write dollars as a number, such as 40.0",
    ),
    "less than nothing": (
        ("energyKwh: 2", "energyKwh: -2"),
        "11:14: `spec.energyKwh` is `-2`; write energy in kWh, such as 2.4, 0 or more",
    ),
    "no number": (
        ("energyKwh: 2", "energyKwh: .nan"),
        "11:14: `spec.energyKwh` is `.nan`; write energy in kWh, such as 2.4",
    ),
    "a duplicate key": (
        ("energyKwh: 2", "energyKwh: 2\n  energyKwh: 3"),
        "12:3: duplicate key `energyKwh`; first given at line 11; keep one",
    ),
    "a YAML tag": (
        ("energyKwh: 2", "energyKwh: !!python/object/apply:os.system [date]"),
        (
            "11:14: YAML tag is refused; write the value out;"
            " quote a text that begins with `!`, `&` or `*`"
        ),
    ),
    "an unknown kind": (
        ("kind: Workload", "kind: Wrkload"),
        "2:7: unknown kind `Wrkload`; did you mean `Workload`?",
    ),
    "no deadline": (
        ("  deadline: {within: 12h}\n", ""),
        (
            "5:3: a batch workload needs its three numbers; `spec.deadline` is missing;"
            " add `deadline: {within: 8h}`"
        ),
    ),
    "no cost": (
        ("  maxCost: {usd: 5}\n", ""),
        (
            "5:3: a batch workload needs its three numbers; `spec.maxCost` is missing;"
            " add `maxCost: {increase: 10%}`"
        ),
    ),
    "no carbon": (
        ("  maxCarbon: {intensity: 400}\n", ""),
        (
            "5:3: a batch workload needs its three numbers; `spec.maxCarbon` is missing;"
            " add `maxCarbon: {reduction: 15%}`"
        ),
    ),
}
broken = pytest.mark.parametrize(("change", "line"), BROKEN.values(), ids=BROKEN)


def written(folder, change=("", "")):
    """A workload file with one thing changed."""
    path = folder / "night.yaml"
    path.write_text(WORKLOAD.replace(*change, 1) if change[0] else WORKLOAD)
    return path


def test_the_file_that_the_cases_change_is_fine(tmp_path, capsys):
    code = main(["policy", "check", str(written(tmp_path))])

    assert (code, capsys.readouterr().out) == (0, "")


@broken
def test_a_broken_file_is_one_line_with_its_place_and_its_mend(tmp_path, capsys, change, line):
    path = written(tmp_path, change)

    code = main(["policy", "check", str(path)])

    out = capsys.readouterr().out
    assert code == 2
    assert re.sub(r"^GO0\d{3} ", "", out) == f"{path}:{line}\n"


@broken
def test_run_with_a_broken_workload_starts_nothing(tmp_path, capsys, monkeypatch, change, line):
    monkeypatch.setenv("GREENOPS_STATE", str(tmp_path / "state"))
    path = written(tmp_path, change)

    code = main(["run", "--workload", str(path), "--", "touch", str(tmp_path / "ran")])

    said = capsys.readouterr().err
    assert code == 2
    assert re.sub(r"^greenops: GO0\d{3} ", "", said) == f"{path}:{line}\n"
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "state").exists()


def test_every_problem_of_a_folder_is_told_not_only_the_first(tmp_path, capsys):
    (tmp_path / "one.yaml").write_text(WORKLOAD.replace("urgency:", "urgencey:"))
    (tmp_path / "two.yaml").write_text(WORKLOAD.replace("2h", "2 parsecs"))

    code = main(["policy", "check", str(tmp_path)])

    lines = capsys.readouterr().out.splitlines()
    assert code == 2
    assert {line.split("/")[-1].split(":")[0] for line in lines} == {"one.yaml", "two.yaml"}


@pytest.mark.parametrize("text", ["[NO, SE]", "\n  - NO\n  - SE", "[no, off, on, y]"])
def test_norway_is_two_letters_and_not_false(tmp_path, capsys, text):
    path = written(tmp_path, ("allowedRegions: [us-west-1]", f"allowedRegions: {text}"))

    code = main(["policy", "check", str(path)])

    assert (code, capsys.readouterr().out) == (0, "")
    wanted = tuple(re.findall(r"\w+", text))
    allowed = read_policies(path).workloads["night"].allowed_regions
    assert tuple(allowed) == wanted
    assert {type(each) for each in allowed} == {str}


@pytest.mark.slow
def test_the_installed_command_gives_the_same_line_and_code(tmp_path):
    path = written(tmp_path, *[BROKEN["a YAML tag"][0]])

    done = subprocess.run(
        [sys.executable, "-m", "greenops.cli.main", "policy", "check", path.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("GO0105 night.yaml:11:14: YAML tag is refused; ")
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
