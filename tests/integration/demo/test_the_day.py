"""The whole loop, once: `greenops demo --once -o json` as a new user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from typing import Final

import pytest

from greenops.adapters.clock import SystemClock
from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.config import Settings
from greenops.demo import day
from greenops.domain.console import DecisionRecord
from greenops.domain.record import canonical, restore
from greenops.pipeline.conservation import by_process, energy_of
from greenops.pipeline.decide import decide_again
from greenops.pipeline.evidence import verify
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.grid import demo_day, load_grid
from greenops.pipeline.policies import policy_sources
from greenops.policy import compile_policies
from greenops.units import Kwh, to_joules

pytest.importorskip("onnxruntime", reason="the demo's models need `make demo` or `make test`")
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(240)]


class Played:
    def __init__(self, folder, seconds: float, result: dict) -> None:
        self.state = next((folder / ".greenops" / "demo").iterdir())
        self.seconds = seconds
        self.result = result
        self.decisions = {each["workload"]: each for each in result["decisions"]}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "greenops.cli.main", "demo", "--once", "-o", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Played(folder, time.monotonic() - begin, json.loads(done.stdout))


def test_the_day_ends_by_itself_within_two_minutes(played):
    assert played.seconds <= 120
    assert played.result["console_url"] is None
    assert played.result["replay"].startswith(f"{day.DAY:%Y-%m-%d}T06:00:00Z@")


def test_the_day_is_the_one_of_median_saving_in_the_second_half_of_2021():
    assert demo_day(load_grid(Settings(), SystemClock())).day == day.DAY.date()


@pytest.mark.feature("A2", "J1", "J4")
def test_nearly_every_span_carries_numbers_and_the_rest_say_why(played):
    rows = list(ParquetLake(played.state / "lake").spans())

    known = [row for row in rows if row.energy_j is not None]
    assert len(rows) == played.result["spans"] >= 500
    assert len(known) >= 0.99 * len(rows)
    assert all(row.unknown for row in rows if row.energy_j is None)
    assert all(row.carbon_g is not None and row.cost_usd is not None for row in known)
    assert all(row.energy_low_j <= row.energy_j <= row.energy_high_j for row in known)


def test_the_lakes_rows_add_up_to_each_meters_own_log(played):
    lake = ParquetLake(played.state / "lake")

    accounted = by_process(lake.spans(), lake.accounts())
    logs = sorted((played.state / "meters").glob("*.jsonl"))
    ratios = [
        abs(energy_of(log) - accounted[log.stem.rsplit("-", 1)[1]]) / energy_of(log) for log in logs
    ]

    assert len(ratios) == 5
    assert max(ratios) <= 1e-9
    assert played.result["conservation_residual_ratio"] == max(ratios)


def test_most_dynamic_energy_is_on_a_span(played):
    assert played.result["attributed_share"] >= 0.5


def test_every_service_has_energy_per_request_with_a_range(played):
    services = {each["service"]: each for each in played.result["services"]}

    assert set(services) == {"search", "assistant", "checkout-scoring", "enrichment"}
    for each in services.values():
        assert each["requests"] > 0
        assert 0 < each["low"] < each["energy_j_per_request"] < each["high"]
        assert each["carbon_g_per_request"] > 0
        assert each["method"] == "modeled" or each["method"] == "measured"
    assert len(services["search"]["regions"]) == 2


def test_language_model_spans_carry_real_token_counts(played):
    spans = [
        row for row in ParquetLake(played.state / "lake").spans() if row.name.startswith("chat ")
    ]

    assert len(spans) >= 10
    for span in spans:
        assert int(span.attributes["gen_ai.usage.output_tokens"]) > 0
        assert int(span.attributes["gen_ai.usage.input_tokens"]) > 0
        assert span.energy_j > 0


@pytest.mark.feature("C8")
def test_checkout_never_moves_and_names_the_rule_that_kept_it(played):
    decision = played.decisions["checkout-scoring"]

    greener = [region for region, rules in decision["rejected"].items() if "same-region" in rules]
    assert decision["chosen"]["region"] == decision["baseline"]["region"] == day.CHECKOUT_REGION
    assert {"eu-north-1", "eu-south-2"} <= set(greener)


@pytest.mark.feature("B1", "C2", "C6")
def test_enrichment_waits_for_cleaner_power_and_ends_in_time(played):
    decision = played.decisions["nightly-enrichment"]
    chosen, baseline = decision["chosen"], decision["baseline"]
    rows = [r for r in ParquetLake(played.state / "lake").spans() if r.service == "enrichment"]

    assert chosen["start"] > baseline["start"]
    assert chosen["carbon_g"] <= 0.9 * baseline["carbon_g"]
    assert chosen["cost_usd"] <= 1.1 * baseline["cost_usd"]
    assert max(row.time for row in rows) <= datetime.fromisoformat(decision["deadline"])


def test_enrichments_saving_holds_on_the_grid_as_it_was(played):
    entries = (played.state / "ledger" / "ledger.jsonl").read_text().splitlines()
    outcomes = [e["body"] for e in map(json.loads, entries) if e["kind"] == "outcome"]

    (outcome,) = outcomes
    assert outcome["chosen_g"] <= 0.9 * outcome["baseline_g"]
    assert outcome["chosen"]["basis"] == "actual"
    assert outcome["replay"] is True
    avoided = played.result["avoided_g"]
    assert 0 < avoided["low"] < avoided["estimate"] < avoided["high"]
    assert avoided["grade"] == "B"


NIGHTLY: Final = Kwh(4.0)
"""What a nightly job of one machine takes: 500 W for eight hours."""


@pytest.mark.feature("O2")
def test_a_day_of_metering_four_services_takes_below_a_percent_of_what_shifting_one_nightly_job_saves(
    played,
):
    lake = ParquetLake(played.state / "lake")
    rows, sums = list(lake.spans()), Footprint()
    sums.add(rows, lake.accounts())
    wall_s = (max(row.end for row in rows) - min(row.start for row in rows)).total_seconds()
    own_a_day = sums.energy()["overhead"] / wall_s * 86_400
    entries = (played.state / "ledger" / "ledger.jsonl").read_text().splitlines()
    (outcome,) = [e["body"] for e in map(json.loads, entries) if e["kind"] == "outcome"]
    saved = 1 - outcome["chosen_g"] / outcome["baseline_g"]

    assert 0 < own_a_day <= 0.01 * saved * to_joules(NIGHTLY)


def test_a_job_and_a_route_were_acted_on_each_with_a_receipt(played):
    applied = [each for each in played.result["actions"] if each["outcome"] == "applied"]

    starts = [each for each in applied if each["receipt"] == f"start:{day.ENRICHMENT_KEY}"]
    assert [each["on_time"] for each in starts] == [True]
    assert {each["target"] for each in applied} >= {"local-process", "route-table"}
    assert all(each["receipt"] and each["started_at"] for each in applied)


def test_traffic_followed_the_weights(played):
    spans = [r for r in ParquetLake(played.state / "lake").spans() if r.name == "GET /search"]
    late = [row.region for row in spans if row.time >= day.DAY + day.STARTS_AT * 2]

    assert late.count("eu-north-1") > 0.75 * len(late)


def test_the_ledger_verifies_and_a_changed_byte_does_not(played, tmp_path):
    assert played.result["ledger"]["verified"] is True
    assert played.result["ledger"]["recomputed"] >= 5
    assert verify(played.state).verified

    path = played.state / "ledger" / "ledger.jsonl"
    stored = path.read_bytes()
    try:
        path.write_bytes(stored.replace(b'"carbon_g":', b'"carbon_h":', 1))
        assert not verify(played.state).verified
    finally:
        path.write_bytes(stored)


@pytest.mark.feature("A3")
def test_every_decision_is_decided_again_to_the_byte_from_the_lake(played):
    policies = compile_policies(policy_sources(packaged("policies")))
    records = [
        restore(DecisionRecord, each) for each in ParquetLake(played.state / "lake").decisions()
    ]

    assert len(records) >= 5
    for record in records:
        assert canonical(decide_again(record, policies)) == canonical(record.decision)


@pytest.mark.feature("A3")
def test_every_decision_names_its_forecast_deadline_and_alternatives(played):
    for record in ParquetLake(played.state / "lake").decisions():
        decision = restore(DecisionRecord, record).decision
        assert decision.forecast_ids
        assert decision.replay
        assert len(record["candidates"]) > 1
