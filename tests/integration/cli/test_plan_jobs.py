"""`greenops plan --jobs FILE`: jobs planned together on the shipped forecasts, from the command line."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from greenops.cli.main import main

AT = ["--at", "2021-10-08T08:00:00Z"]
HEAD = "id,region,deadline,duration_s,power_kw,interruptible,after"
UNTIL = "2021-10-09T08:00:00Z"
FILE = f"""{HEAD}
etl,us-west-1,{UNTIL},5400,2,,
report,eu-central-1,{UNTIL},3600,1,,etl
reindex,us-west-1,{UNTIL},7200,2,true,
missed,eu-central-1,2021-10-08T08:30:00Z,3600,1,,
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_STATE", str(tmp_path / "state"))


def told(capsys, tmp_path, *words, text=FILE, code=0):
    path = tmp_path / "jobs.csv"
    path.write_text(text)
    assert main(["plan", "--jobs", str(path), *words]) == code
    return capsys.readouterr()


def test_every_job_of_a_file_is_planned_or_told(capsys, tmp_path):
    whole = json.loads(told(capsys, tmp_path, *AT, "-o", "json").out)

    jobs = {each["id"]: each for each in whole["jobs"]}
    assert list(jobs) == ["etl", "report", "reindex"]
    assert jobs["report"]["pieces"][0]["start"] >= jobs["etl"]["pieces"][-1]["end"]
    assert all(0 < each["carbon_g"] < each["baseline_g"] for each in jobs.values())
    (missed,) = whole["not_planned"]
    assert (missed["why"], missed["late_s"]) == ("window", 1800)
    assert missed["pieces"] == [{"start": "2021-10-08T08:00:00Z", "end": "2021-10-08T09:00:00Z"}]
    totals = whole["totals"]
    assert (totals["planned"], totals["not_planned"], totals["compared"]) == (3, 1, 3)
    assert totals["saving_g"] == pytest.approx(sum(each["saving_g"] for each in jobs.values()))
    assert {each["zone"]: each["replay"] for each in whole["forecasts"]} == {
        "CISO": True,
        "DE": True,
    }


def test_a_table_for_a_person_says_when_what_it_saves_and_what_it_rests_on(capsys, tmp_path):
    lines = told(capsys, tmp_path, *AT).out.splitlines()

    assert lines[0].startswith("plan of 4 jobs from 2021-10-08 08:00: 3 planned, 1 not; at most 2")
    assert lines[2].split()[:3] == ["job", "where", "start"]
    assert any(line.startswith("all ") and line.endswith("%") for line in lines)
    after = lines[lines.index("not planned") + 1]
    assert after.split()[0] == "missed"
    assert after.endswith("0:30:00 late")
    assert any("CISO: average intensity" in line and "played back" in line for line in lines)


@pytest.mark.feature("B8")
@pytest.mark.parametrize("pieces", ["true", ""])
def test_a_limit_holds_in_every_slot_and_its_gap_is_told(capsys, tmp_path, pieces):
    rows = "\n".join(f"j{i},us-west-1,{UNTIL},5400,2,{pieces}," for i in range(40))

    whole = json.loads(
        told(capsys, tmp_path, *AT, "--places", "5", "-o", "json", text=f"{HEAD}\n{rows}\n").out
    )
    lines = told(capsys, tmp_path, *AT, "--cap-kw", "10", text=f"{HEAD}\n{rows}\n").out

    assert whole["totals"]["planned"] == 40
    assert whole["totals"]["longest_queue"] == 5
    (shared,) = whole["shared"]
    assert shared["exact"] is bool(pieces)
    assert shared["gap"] == 0 if pieces else 0 <= shared["gap"] < 0.05
    assert "us-west-1 bears 5 jobs at once: " in lines
    assert ("the best placement" in lines) is bool(pieces)


def test_what_a_limit_has_no_room_for_is_told_with_the_soonest_end(capsys, tmp_path):
    rows = "\n".join(f"j{i},us-west-1,2021-10-08T10:00:00Z,3600,2,," for i in range(3))
    rows += f"\nlarge\x1b[31m,us-west-1,{UNTIL},3600,9,,"

    said = told(capsys, tmp_path, *AT, "--cap-kw", "2", text=f"{HEAD}\n{rows}\n").out

    rest = said[said.index("not planned") :].splitlines()
    assert "the limit leaves no room for it" in rest[1]
    assert rest[1].endswith("soonest 2021-10-08 10:00 to 2021-10-08 11:00, 1:00:00 late")
    assert rest[2].startswith("large\\u001b[31m")
    assert "it draws 9 kW, more than the limit by itself " in rest[2]
    assert rest[2].endswith(" never")
    assert "us-west-1 bears 2 kW: a good placement" in said
    assert "without room: 2" in said


def test_jitter_moves_starts_that_are_one(capsys, tmp_path):
    rows = "\n".join(f"j{i},us-west-1,{UNTIL},5400,2,," for i in range(20))

    whole = json.loads(
        told(capsys, tmp_path, *AT, "--jitter", "600", "-o", "json", text=f"{HEAD}\n{rows}\n").out
    )

    starts = [datetime.fromisoformat(each["pieces"][0]["start"]) for each in whole["jobs"]]
    assert len(set(starts)) > 15
    assert max(starts) - min(starts) <= timedelta(seconds=600)


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--places", "2"], "GO0696 not planned under a limit: `report` waits", 2),
        (["--jitter", "900"], "GO0696 `--jitter 900` leaves the slot of 900 s", 2),
        (["--slot", "1000"], "GO0696 a slot of 1000 s does not divide the 3600 s", 2),
        (["--policies", "here"], "GO0805 `--policies` is not asked", 2),
        (["--all"], "GO0805 `--jobs` belongs to a replay; add `--replay`, or give it alone", 2),
        (["--only", "x"], "GO0805 `--only` belongs to a replay", 2),
        (["--at", "2030-01-01T00:00:00Z"], "GO0697 nothing is foretold", 3),
        (["--at", "2021-10-08T08:00:00"], "GO0805 `--at 2021-10-08T08:00:00` has no offset", 2),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(capsys, tmp_path, words, said, code):
    at = [] if "--at" in words else AT
    error = told(capsys, tmp_path, *at, *words, code=code).err

    assert error.startswith(f"greenops: {said}")
    assert error.count("\n") == 1


def test_a_limit_without_a_file_of_jobs_is_refused(capsys):
    assert main(["plan", "--all", "--places", "3"]) == 2
    assert "`--places` belongs to a plan of jobs" in capsys.readouterr().err


def test_nothing_named_is_refused(capsys):
    assert main(["plan"]) == 2
    assert "GO0805 nothing to plan; name a workload" in capsys.readouterr().err


def test_a_file_without_rows_is_refused(capsys, tmp_path):
    assert "has no jobs" in told(capsys, tmp_path, *AT, text=HEAD + "\n", code=2).err


def test_a_column_that_means_nothing_is_said_beside_the_plan(capsys, tmp_path):
    text = f"{HEAD},team\na,us-west-1,{UNTIL},60,1,,,shop\n"

    said = told(capsys, tmp_path, *AT, "-o", "json", text=text)

    assert json.loads(said.out)["totals"]["planned"] == 1
    assert said.err == "column `team` means nothing to the plan\n"
