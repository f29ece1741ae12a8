"""`greenops plan --routes FILE`: weights of a file's routes on the shipped forecasts, from the command line."""

from __future__ import annotations

import json

import pytest

from greenops.adapters.packaged import packaged
from greenops.cli.main import main
from greenops.domain.replay import VARIABLE

FILE = """
routes:
- name: search
  workload: search
  targets: [route-table]
  max_rtt_ms: 60
  kilobytes_per_request: 0
  backends:
  - {name: south, region: eu-central-1, p95_ms: 60, capacity_rps: 300}
  - {name: north, region: eu-north-1, p95_ms: 60, capacity_rps: 150}
  origins:
  - {name: frankfurt, home: south, requests_per_s: 90, rtt_ms: {south: 4, north: 10}}
  - {name: milan, home: south, requests_per_s: 60, rtt_ms: {south: 12, north: 61}}
  - {name: stockholm, home: north, requests_per_s: 100, rtt_ms: {south: 10, north: 4}}
"""
PLAIN = """
- name: plain
  workload: search
  targets: [route-table]
  backends:
  - {name: south, region: eu-central-1, p95_ms: 60}
  - {name: north, region: eu-north-1, p95_ms: 66}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_STATE", str(tmp_path / "state"))
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "search.yaml").write_text((packaged("policies") / "demo" / "search.yaml").read_text())
    monkeypatch.setenv("GREENOPS_POLICIES", str(folder))
    # A rate of nearly nothing: it is that hour however long a test takes.
    monkeypatch.setenv(VARIABLE, "2021-10-08T08:00:00Z@2026-01-01T00:00:00Z@0.000001")


def told(capsys, tmp_path, *words, text=FILE, code=0):
    path = tmp_path / "routes.yaml"
    path.write_text(text)
    assert main(["plan", "--routes", str(path), *words]) == code
    return capsys.readouterr()


@pytest.mark.feature("B16")
def test_the_weights_of_each_origin_and_what_they_save_are_told(capsys, tmp_path):
    (plan,) = json.loads(told(capsys, tmp_path, "-o", "json").out)

    weights = {each["origin"]: each["weights"] for each in plan["origins"]}
    assert weights == {
        "frankfurt": {"south": 45, "north": 55},
        "milan": {"south": 100},
        "stockholm": {"north": 100},
    }
    assert plan["saving"] == pytest.approx(1 - plan["carbon_g"] / plan["home_g"])
    assert plan["saving"] > 0.25
    # Whole percents cost half a percent of one origin's traffic at most.
    assert 0 <= 1 - plan["bound_g"] / plan["carbon_g"] < 0.005
    assert plan["decided"]
    # 149.5 of 250 requests a second go north.
    assert plan["reason"].startswith("shares the route north=60, south=40, 30% less carbon")
    assert plan["excluded"] == [
        {"origin": "milan", "backend": "north", "reasons": ["round trip 61 ms, at most 60"]}
    ]
    south, north = plan["while_down"]
    assert (south["unserved_rps"], north["unserved_rps"]) == (100, 0)
    assert north["carbon_g"] > plan["carbon_g"]
    rooms = {each["backend"]: each["room_saves_g"] for each in plan["backends"]}
    assert rooms["south"] == 0 < rooms["north"]


def test_a_table_for_a_person_says_where_to_what_is_saved_and_what_is_left_out(capsys, tmp_path):
    lines = told(capsys, tmp_path, text=FILE + PLAIN.lstrip()).out.splitlines()

    assert lines[0].startswith("route search, workload search, the hour from 2021-10-08")
    assert lines[0].endswith("% less")
    frankfurt = next(each for each in lines if each.startswith("frankfurt"))
    assert "south 45 %, north 55 %" in frankfurt
    left_out = lines[lines.index("left out") + 1]
    assert " ".join(left_out.split()) == "milan north round trip 61 ms, at most 60"
    assert any(each.startswith("no weights emit less than") for each in lines)
    assert "100 requests/s find no room" in lines[lines.index("while one is down") + 1]
    plain = next(at for at, each in enumerate(lines) if each.startswith("route plain"))
    assert (
        lines[plain + 2]
        == "  north 90 %, south 10 %; it has no origins, so no optimum of all of them"
    )


@pytest.mark.feature("B16")
def test_a_place_that_is_down_is_planned_around_and_what_finds_no_room_is_told(capsys, tmp_path):
    without_north = told(capsys, tmp_path, "--down", "north")
    (cramped,) = json.loads(told(capsys, tmp_path, "--down", "south", "-o", "json").out)
    lost = told(capsys, tmp_path, "--down", "south").err

    assert without_north.err == ""
    assert "% more" in without_north.out
    assert "it is down" in without_north.out
    assert {each["origin"]: each["unserved_rps"] for each in cramped["origins"]} == {
        "frankfurt": 40,
        "milan": 60,
        "stockholm": 0,
    }
    assert lost == "nobody has room for all requests of search@frankfurt, search@milan\n"


def test_data_that_are_carried_count_where_a_request_goes_away_from_home(capsys, tmp_path):
    def moved(kilobytes):
        text = FILE.replace("_request: 0", f"_request: {kilobytes}")
        (plan,) = json.loads(told(capsys, tmp_path, "-o", "json", text=text).out)
        return plan["origins"][0]["weights"].get("north", 0), plan["carbon_g"]

    (light, little), (some, more), (heavy, _) = moved(0), moved(1), moved(1000)

    assert light == some == 55
    assert more > little
    assert heavy == 0


EDGE = """
routes:
- name: search
  workload: search
  targets: [route-table]
  max_p95_ms: {most}
  backends:
  - {{name: edge, region: eu-central-1, p95_ms: 30, joules_per_request: {edge}}}
  - {{name: central, region: eu-central-1, p95_ms: 60, joules_per_request: 1.0}}
  origins:
  - {{name: people, home: edge, requests_per_s: 90, rtt_ms: {{edge: 2, central: 40}}}}
"""


@pytest.mark.feature("B14")
@pytest.mark.parametrize(
    ("most", "edge", "chosen"),
    [(99.9, 1.4, "edge"), (100, 1.4, "central"), (100, 0.9, "edge"), (100, 1.0, "edge")],
)
def test_the_edge_answers_where_the_promise_needs_it_or_it_takes_less_and_nowhere_else(
    capsys, tmp_path, most, edge, chosen
):
    rules = tmp_path / "rules" / "search.yaml"
    # The route's own promise is what counts here.
    rules.write_text(rules.read_text().replace("slower: 1.2", "slower: 9.0"))
    text = EDGE.format(most=most, edge=edge)

    (plan,) = json.loads(told(capsys, tmp_path, "-o", "json", text=text).out)

    assert plan["origins"][0]["weights"] == {chosen: 100}


def test_without_forecasts_nothing_is_moved_and_that_is_said(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)

    out = told(capsys, tmp_path).out

    assert "emissions are not known" in out
    assert "no forecast of the grid of eu-north-1" in out
    assert "south 100 %" in out


def test_what_the_rules_refuse_is_planned_but_told_to_stay(capsys, tmp_path):
    path = tmp_path / "rules" / "search.yaml"
    eligible = "when: candidate.carbon_g < baseline"
    path.write_text(path.read_text().replace(eligible, eligible.replace("candidate", "baseline")))

    out = told(capsys, tmp_path).out

    assert "the rules keep everybody where they are" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--down", "nort"], "`--down nort`: no such backend; did you mean `north`?"),
        (["--down", "elsewhere"], "name a backend of a route with origins"),
        (["--all"], "`--routes` is a plan of its own"),
        (["--at", "2021-10-08T08:00:00Z"], "leave out `WORKLOAD`, `--all`"),
    ],
)
def test_what_makes_no_sense_together_is_refused(capsys, tmp_path, words, said):
    assert said in told(capsys, tmp_path, *words, code=2).err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("routes: []\n", "no route; list one in `routes`"),
        ("routes: [\n", "GO0650"),
        ("[]\n", "GO0651"),
        (FILE.replace("workload: search", "workload: serch"), "did you mean `search`"),
        (FILE.replace("region: eu-north-1", "region: eu-nort-1"), "did you mean `eu-north-1`"),
    ],
)
def test_a_file_that_is_none_is_told_in_a_line(capsys, tmp_path, text, said):
    assert said in told(capsys, tmp_path, text=text, code=2).err


def test_a_file_that_is_not_there_and_a_word_without_it_are_refused(capsys):
    assert main(["plan", "--routes", "nowhere.yaml"]) == 2
    assert main(["plan", "--down", "north"]) == 2

    errors = capsys.readouterr().err
    assert "no file `nowhere.yaml`" in errors
    assert "`--down` belongs to a plan of routes" in errors
