"""`greenops plan` where electricity is paid by the hour: the shipped prices of 2020, from the command line."""

from __future__ import annotations

import json

import pytest

from greenops.cli.main import main

EVENING = "2020-09-05T18:00:00Z@2020-09-05T18:00:00Z@1e-9"
"""A replay that stands all but still at 20:00 in Germany: the next day's prices are published, those of the day after are not."""
FILE = """
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: training, owners: [ml@example.com]}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: europe-west3
  allowedRegions: [europe-west3]
  duration: 2h
  durationP95: 2h
  energyKwh: 100
  deadline: {within: 30h}
  maxCost: {usd: CAP}
  maxCarbon: {reduction: 0%}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner-within-the-cap, owners: [ml@example.com]}
spec:
  match: [{name: training, expression: job.name == "training"}]
  objectives: [{name: cleaner, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
"""
SETTINGS = {
    "GREENOPS_REPLAY": EVENING,
    "GREENOPS_PRICE_PROVIDER": "shipped",
    "GREENOPS_PRICED_REGIONS": "europe-west3=DE-LU",
    "GREENOPS_USD_PER": "EUR=1.18",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "policies").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    capped(tmp_path, 8)
    return tmp_path


def capped(folder, usd):
    (folder / "policies" / "w.yaml").write_text(FILE.replace("CAP", str(usd)))


def told(capsys, *arguments):
    assert main(["plan", *arguments, "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.feature("B9")
def test_a_plan_keeps_to_its_cap_at_the_prices_that_were_known(folder, capsys, monkeypatch):
    free = told(capsys, "training")["decision"]
    cap = free["chosen"]["cost_usd"] - 0.1
    capped(folder, cap)

    held = told(capsys, "training")["decision"]
    (row,) = told(capsys, "--all")
    monkeypatch.delenv("GREENOPS_PRICE_PROVIDER")
    monkeypatch.delenv("GREENOPS_PRICED_REGIONS")
    rents = told(capsys, "training")["decision"]

    assert free["baseline"]["cost_usd"] > free["chosen"]["cost_usd"] > 1.0
    assert held["chosen"]["start"] != free["chosen"]["start"]
    assert 1.0 < held["chosen"]["cost_usd"] <= cap
    assert row["chosen.cost_usd"] == held["chosen"]["cost_usd"]
    assert rents["baseline"]["cost_usd"] == pytest.approx(2 * 0.0971)


@pytest.mark.feature("B9")
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GREENOPS_USD_PER", "GBP=1.27", "GO0337 "),
        ("GREENOPS_USD_PER", "EUR", "GO0804 `usd_per`"),
        ("GREENOPS_PRICED_REGIONS", "europe-west33=DE-LU", "did you mean `europe-west3`?"),
        ("GREENOPS_PRICED_REGIONS", "", "GO0804 `price_provider` is set"),
        ("GREENOPS_PRICE_PROVIDER", "shiped", "did you mean `shipped`?"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_line(
    variable, value, said, capsys, monkeypatch
):
    monkeypatch.setenv(variable, value)

    assert main(["plan", "training"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_replay_and_a_plan_of_jobs_say_that_they_leave_prices_out(capsys):
    period = ("--from", "2020-09-05", "--to", "2020-09-06")

    main(["plan", "--replay", *period, "--no-best", "--only", "nothing"])
    replayed = capsys.readouterr().err
    main(["plan", "--jobs", "absent.csv"])

    assert "prices of electricity (`price_provider`) are not replayed" in replayed
    assert "prices of electricity (`price_provider`) do not count" in capsys.readouterr().err
