"""Commands that show: settings, doctor, plan, decisions; each through the one entry point."""

from __future__ import annotations

import json

import pytest

from greenops.adapters.packaged import packaged
from greenops.cli.doctor import look
from greenops.cli.main import main
from greenops.pipeline import meters

MORNING = "2021-09-17T08:00:00Z@2021-09-17T08:00:00Z@1e-9"
"""A replay that stands all but still on the demo's morning."""


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_POLICIES", str(packaged("policies")))


def test_config_shows_each_setting_and_where_it_came_from(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_TICK_S", "2")

    assert main(["config", "show", "--origin"]) == 0
    table = capsys.readouterr().out
    assert main(["config", "show", "-o", "json"]) == 0
    values = json.loads(capsys.readouterr().out)

    assert "tick_s                 2.0  (GREENOPS_TICK_S)" in table
    assert values["api_port"] == {"value": "8710", "origin": "default"}


@pytest.mark.feature("C1", "C10")
def test_plan_explains_a_decision_with_its_three_numbers(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_REPLAY", MORNING)

    code = main(["plan", "nightly-enrichment", "--at", "2021-09-17T08:00:00Z"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].startswith("nightly-enrichment: waits from 08:00 until 16:00 UTC")
    fields = [line.split()[0] for line in lines[1:9]]
    assert fields == [
        "policies",
        "objective",
        "deadline",
        "forecasts",
        "weighed",  # its P95 run would end at its deadline
        "baseline",
        "chosen",
        "rejected",
    ]


def test_plan_says_that_carbon_is_not_known_where_nothing_is_foretold(capsys):
    assert main(["plan", "nightly-enrichment"]) == 0

    said = capsys.readouterr().out
    assert "no forecast for CISO, so carbon is not known, and limit/maxCarbon refuses" in said
    assert "limit/maxCarbon: carbon is not known" in said
    assert "would not save" not in said


def test_plan_gives_the_whole_record_as_json(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_REPLAY", MORNING)

    assert main(["plan", "nightly-enrichment", "-o", "json"]) == 0

    record = json.loads(capsys.readouterr().out)
    assert record["decision"]["replay"] is True
    assert len(record["candidates"]) == len(record["verdicts"])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["plan", "nightly-enrichmnt"], "did you mean `nightly-enrichment`?"),
        (["plan", "nightly-enrichment", "--at", "soon"], "GO0805 `--at soon` is no time"),
        (["plan", "nightly-enrichment", "--at", "2021-09-17T08:00:00"], "has no offset"),
    ],
)
def test_a_wrong_question_is_one_line_and_usage(capsys, argv, said):
    assert main(argv) == 2

    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


@pytest.mark.network
def test_without_a_server_decisions_say_how_to_start_one(capsys):
    assert main(["decisions", "list", "--server", "http://127.0.0.1:9"]) == 4

    assert "GO0610" in capsys.readouterr().err


@pytest.mark.network
def test_doctor_names_what_works_and_what_does_not(capsys):
    code = main(["doctor", "-o", "json"])

    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert {"settings", "meters", "grid", "policies", "state", "ports"} <= set(found)
    assert found["grid"]["state"] == "warn"
    assert found["policies"]["state"] == "ok"
    assert code == (4 if any(each["state"] == "fail" for each in found.values()) else 0)


@pytest.mark.network
def test_doctor_says_of_each_source_of_energy_why_it_is_used_or_not(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_METER_PROMETHEUS", "http://127.0.0.1:9/metrics")

    main(["doctor", "-o", "json"])

    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    lines = {name[6:]: each for name, each in found.items() if name.startswith("meter ")}
    assert list(lines) == list(meters.OWN)
    used = [name for name, each in lines.items() if each["detail"].startswith("used: ")]
    assert len(used) >= 1
    assert all(lines[name]["state"] == "ok" for name in used)
    assert all(name in found["meters"]["detail"] for name in used)
    assert lines["prometheus"]["state"] == "warn"
    assert "does not answer" in lines["prometheus"]["detail"]
    assert lines["redfish"] == {
        "what": "meter redfish",
        "state": "skip",
        "detail": "no controller to ask; set `GREENOPS_METER_REDFISH` to the address of the machine's chassis",
    }


@pytest.mark.network
def test_doctor_says_what_a_model_takes_the_machine_for(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_METERS", "spec_model,tdp_model")
    monkeypatch.setenv("GREENOPS_CPU_TDP", "280/128")

    main(["doctor", "-o", "json"])
    both = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    monkeypatch.setenv("GREENOPS_METERS", "tdp_model")
    main(["doctor", "-o", "json"])
    told = {each["what"]: each for each in json.loads(capsys.readouterr().out)}

    assert "W at rest to 2.19 W in full" in told["meter tdp_model"]["detail"]
    assert "GREENOPS_CPU_TDP" not in told["meters"]["detail"].split("see the lines below")[1]
    if both["meter spec_model"]["state"] == "ok":
        assert both["meter tdp_model"]["state"] == "warn"
        assert "`GREENOPS_CPU_TDP` is not used" in both["meter tdp_model"]["detail"]


@pytest.mark.network
def test_doctor_says_that_the_sources_that_are_set_leave_out_others(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_METERS", "redfish")

    assert main(["doctor"]) == 4

    assert (
        "no meter: energy will be unknown; `GREENOPS_METERS` leaves out" in capsys.readouterr().out
    )


@pytest.mark.network
def test_doctor_goes_on_where_a_check_raises_what_nobody_foresaw(capsys, monkeypatch):
    monkeypatch.setattr("greenops.pipeline.meters.survey", lambda: 1 // 0)

    assert main(["doctor"]) == 4

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("fail  meters") and "ZeroDivisionError" in line for line in lines)
    assert any(line.split()[1] == "state" for line in lines)


@pytest.mark.network
def test_doctor_fails_where_sources_that_do_not_exist_are_set(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_METERS", "rapI")

    assert main(["doctor"]) == 4

    assert "GO0802 `GREENOPS_METERS` names no `rapI`" in capsys.readouterr().out


@pytest.mark.network
def test_doctor_goes_on_after_a_check_that_fails(capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_POLICIES", "nowhere")

    assert main(["doctor"]) == 4

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("fail  policies") and "GO0108" in line for line in lines)
    assert any("state" in line for line in lines)


@pytest.mark.network
@pytest.mark.parametrize("day", ["2101-01-02", "2199-01-01"])
def test_doctor_warns_of_an_exception_that_has_run_out(capsys, monkeypatch, day):
    monkeypatch.setenv("GREENOPS_REPLAY", f"{day}T00:00:00Z@2026-11-23T10:00:00Z@1")

    main(["doctor", "-o", "json"])

    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["policies"]["state"] == "warn"
    assert "GO0122" in found["policies"]["detail"]


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])

    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("greenops ")


def test_doctor_names_the_place_of_a_region_that_is_not_known(tmp_path, monkeypatch):
    file = tmp_path / "night.yaml"
    file.write_text(
        "apiVersion: greenops.dev/v1alpha1\nkind: Workload\nmetadata: {name: night}\n"
        "spec: {kind: batch, urgency: deferrable, homeRegion: us-wst-1, durationP95: 2h,\n"
        "  energyKwh: 2, deadline: {within: 12h}, maxCost: {usd: 5}, maxCarbon: {intensity: 400}}\n"
    )
    monkeypatch.setenv("GREENOPS_POLICIES", str(file))

    found = next(each for each in look() if each.what == "policies")

    assert found.state == "warn"
    assert found.detail.startswith(f"GO0640 {file}:")
    assert found.detail.endswith(
        "`night` names region `us-wst-1`, which is not known; did you mean `us-west-1`?"
    )
