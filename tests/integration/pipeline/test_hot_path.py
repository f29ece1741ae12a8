"""A shop's traces, split: the five side jobs are found and moved, and the hot path sees one table between ticks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml

from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.route_table import RouteReader, route_path
from greenops.cli import lake_split
from greenops.cli.main import main
from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.replay import Replay
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.hot_path import look
from greenops.pipeline.hot_path_proposal import proposal
from greenops.pipeline.hot_path_split import Part, Why, split
from greenops.pipeline.policies import read_policies
from greenops.plan.guard import latest_safe_start
from greenops.testing.clock import FakeClock
from tests.integration.pipeline.shop_traces import DAY, DAYS, REGION, SIDE_JOBS, a_few_days

HOUR = timedelta(hours=1)
HOT = {
    "POST /checkout",
    "price basket",
    "POST",
    "POST /score",
    "score risk",
    "orders publish",
    "GET /search",
    "embed query",
    "prefetch images",
}
AFTER_DAY = DAY + timedelta(days=DAYS)
ROUTES = """
routes:
- name: checkout
  workload: checkout-scoring
  targets: [route-table]
  max_rtt_ms: 60
  backends:
  - {name: south, region: eu-central-1, p95_ms: 60, joules_per_request: 1}
  - {name: north, region: eu-north-1, p95_ms: 60, joules_per_request: 1}
  origins:
  - {name: people, home: south, requests_per_s: 90, rtt_ms: {south: 4, north: 10}}
- name: search
  workload: search
  targets: [route-table]
  backends:
  - {name: south, region: eu-central-1, p95_ms: 60}
  - {name: north, region: eu-north-1, p95_ms: 66}
"""


@pytest.fixture(scope="module")
def rows():
    return a_few_days().rows()


@pytest.fixture(scope="module")
def found(rows):
    return split(look(rows))


@pytest.mark.feature("B7")
def test_what_people_wait_for_is_hot_and_nothing_else(found):
    hot = {each.operation for each in found.operations if each.part is Part.HOT}

    assert hot == HOT
    assert found.hot_share + found.around_share == pytest.approx(1)
    assert (found.incomplete, found.untold) == (0, 0)


@pytest.mark.feature("B7")
def test_what_goes_on_after_the_answer_is_around_with_what_shows_it(found):
    told = {each.operation: each for each in found.operations if each.root == "POST /checkout"}

    update, embed = told["update profile"], told["embed visitor"]
    assert (update.why, embed.why) == (Why.AFTER, Why.UNDER)
    assert (update.traces, update.late) == (120, 120)
    assert update.latest_s == pytest.approx(0.39)
    assert (told["orders process"].why, told["render receipt"].why) == (Why.QUEUE, Why.UNDER)
    # It was sent while the buyer waited.
    assert told["orders publish"].why is Why.AWAITED


@pytest.mark.feature("B4", "B7")
def test_the_five_side_jobs_are_found_with_their_hours_and_their_energy(found):
    jobs = {each.workload: each for each in found.movable if each.why is Why.JOB}

    assert set(jobs) == {each.workload for each in SIDE_JOBS}
    for each in SIDE_JOBS:
        job = jobs[each.workload]
        assert job.starts_at == timedelta(hours=each.at_hours[0])
        assert (job.runs, job.every_s, job.region) == (DAYS, 86_400, REGION)
        assert job.length_s == pytest.approx(60 * each.minutes)
        assert job.energy_j == pytest.approx(each.joules + 1)


def test_a_model_that_is_loaded_when_a_service_starts_is_no_job(found):
    starts = [e for e in found.operations if e.operation == e.root == "load model"]

    assert {each.why for each in starts} == {Why.START_UP}
    assert len(starts) == 3
    assert "load model" not in {each.operation for each in found.movable}


@pytest.fixture
def pasted(found, tmp_path):
    """The proposal as somebody pastes it, with its policy in force, beside what the shop has declared."""
    folder = tmp_path / "policies"
    folder.mkdir()
    for name in ("checkout-scoring", "search", "personal-data"):
        text = (packaged("policies") / "demo" / f"{name}.yaml").read_text()
        (folder / f"{name}.yaml").write_text(text)
    text = proposal(found).replace("enforcement: {mode: shadow}", "enforcement: {mode: enforce}")
    for word in ("dataClass", "containsPersonalData"):
        text = text.replace(f"  # {word}", f"  {word}")
    (folder / "around.yaml").write_text(text)
    return folder


class Quiet:
    """Telemetry that nobody reads."""

    def judged(self, workload, ways, took):
        pass

    def decision(self, decision):
        pass

    def action(self, receipt):
        pass


@pytest.mark.feature("B4", "B7", "B16")
def test_all_five_are_moved_in_time_and_no_request_sees_a_table_change_between_two_ticks(
    pasted, tmp_path
):
    clock = FakeClock(AFTER_DAY, Replay(AFTER_DAY, AFTER_DAY, 1.0))
    (tmp_path / "routes.yaml").write_text(ROUTES)
    settings = Settings(state=tmp_path, policies=pasted)
    lake = ParquetLake(tmp_path / "lake")
    control = assemble(settings, clock, Footprint(), Quiet(), lake, lambda _: [])
    readers = {}
    moved, versions = set(), {"checkout@people": set(), "search": set()}
    jobs = sorted(SIDE_JOBS, key=lambda each: each.at_hours)

    for hour in range(12):
        control.loop.tick()
        readers = {
            name: RouteReader(route_path(tmp_path, name)) for name in ("checkout@people", "search")
        }
        seen = {name: picks(reader) for name, reader in readers.items()}
        shares = {name: reader._shares for name, reader in readers.items()}
        # Between two ticks jobs come and are decided, as they are due.
        for each in (each for each in jobs if int(each.at_hours[0]) == hour):
            due = AFTER_DAY + timedelta(hours=each.at_hours[0])
            clock.advance(max(timedelta(0), due - clock.now()))
            key = f"{each.workload}/{due:%Y-%m-%d}"
            decision = control.engine.submit(JobRequest(each.workload, key, due))
            job = control.engine.decision(decision.id).job
            assert decision.baseline.start == due
            assert due < decision.chosen.start <= latest_safe_start(job)
            assert decision.chosen.carbon_g <= 0.95 * decision.baseline.carbon_g
            moved.add(each.workload)
            for name, reader in readers.items():
                assert picks(reader) == seen[name]
                # Not one like it: the same table.
                assert reader._shares is shares[name]
        for name, reader in readers.items():
            versions[name].add(reader.version)
        clock.advance(AFTER_DAY + timedelta(hours=hour + 1) - clock.now())
    control.close()

    assert moved == {each.workload for each in SIDE_JOBS}
    # Checkout is pinned: no tick moves it either. Search leans to the cleaner place in steps.
    assert len(versions["checkout@people"]) == 1
    assert len(versions["search"]) > 1


def picks(reader):
    return [reader.pick(f"visitor-{number}") for number in range(50)]


# -- from the command line


@pytest.fixture
def lake(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_STATE", str(tmp_path))
    ParquetLake(tmp_path / "lake").write_spans(rows)
    return tmp_path


def told(capsys, *words, code=0):
    assert main(["lake", "split", *words]) == code
    return capsys.readouterr()


@pytest.mark.feature("B7")
def test_a_table_says_of_each_operation_where_it_is_and_why(lake, capsys):
    lines = told(capsys).out.splitlines()

    assert lines[0].startswith("1,611 spans of 258 traces: people wait for 0.01 % of the energy")
    update = next(each for each in lines if each.startswith("  update profile"))
    assert "around  goes on after the answer" in update
    assert update.endswith("120   120     +390 ms")
    enrichment = next(each for each in lines if "nightly-enrichment  " in each and "UTC" in each)
    assert "at 8:00 UTC" in enrichment
    assert any(each.startswith("update profile") and "too short alone" in each for each in lines)


@pytest.mark.feature("B7")
def test_what_is_proposed_is_a_sound_folder_of_policies_whose_test_holds(lake, capsys):
    text = told(capsys, "-o", "yaml").out
    folder = lake / "proposed"
    folder.mkdir()
    (folder / "around.yaml").write_text(text)

    assert main(["policy", "check", "--strict", str(folder)]) == 0
    assert main(["policy", "test", str(folder)]) == 0
    workloads = read_policies(folder).workloads
    assert set(workloads) == {each.workload for each in SIDE_JOBS}
    assert {each["kind"] for each in yaml.safe_load_all(text)} == {"Workload", "PlacementPolicy"}


def test_a_job_that_is_declared_is_told_and_not_proposed_again(lake, capsys):
    folder = lake / "declared"
    folder.mkdir()
    text = (packaged("policies") / "demo" / "nightly-enrichment.yaml").read_text()
    (folder / "nightly-enrichment.yaml").write_text(text)

    table = told(capsys, "--policies", str(folder)).out
    rows = json.loads(told(capsys, "--policies", str(folder), "-o", "json").out)["movable"]

    assert "nightly-enrichment (declared)" in table
    proposed = {each["workload"]: each["proposed"] for each in rows if each["why"] == Why.JOB}
    assert proposed.pop("nightly-enrichment") is None
    assert all(name == workload for workload, name in proposed.items())


def test_where_there_is_nothing_to_move_that_is_said(tmp_path, capsys, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)
    searches = {each.trace_id for each in rows if each.name == "GET /search"}
    hot = [each for each in rows if each.trace_id in searches]
    ParquetLake(tmp_path / "lake").write_spans(hot)

    found = told(capsys, "--state", str(tmp_path), "-o", "yaml")

    assert found.out == ""
    assert found.err == "nothing to move that is not declared already\n"


def test_an_empty_lake_and_a_day_after_the_last_are_told_in_a_line(lake, tmp_path, capsys):
    assert "GO0419" in told(capsys, "--state", str(tmp_path / "nowhere"), code=3).err
    assert "GO0419" in told(capsys, "--since", "2022-01-01", code=3).err
    assert "no such file" in told(capsys, "--policies", str(tmp_path / "nowhere"), code=2).err


def test_what_was_left_out_is_told(lake, rows, capsys, monkeypatch):
    dark = [replace(each, energy_j=None) for each in rows if each.name == "GET /search"]
    orphans = [replace(each, parent_id="0" * 16) for each in rows if each.name == "price basket"]
    ParquetLake(lake / "dark" / "lake").write_spans([*dark, *orphans])
    monkeypatch.setattr(lake_split, "MOST_SPANS", 230)

    found = told(capsys, "--state", str(lake / "dark"))

    assert "no span tells its energy" in found.out
    assert "spans left out, for what their trace begins with is not there: 110" in found.out
    assert "spans that tell no energy: 120" in found.out
    assert "only the first 230 spans were looked at" in found.err
