"""Dashboards ask only for metrics we send, and keep the rules."""

from __future__ import annotations

import argparse
import copy
import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from greenops.adapters.packaged import packaged
from greenops.cli import dashboards as command
from greenops.errors import InvalidFile, Unreachable, UsageError
from greenops.show import metrics_catalogue
from greenops.show.dashboards import dashboards, files, overview_dashboard
from greenops.show.lint import lint, metric_names
from greenops.show.rules import ALERTS, RULES_FILE, RUNBOOK

KEYS = {"summary", "description", "runbook_url"}


def queries(board) -> list[str]:
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return panels + [each["expr"] for each in board["annotations"]["list"]]


def filled(expression: str) -> str:
    return re.sub(r"\$__(rate_interval|range)", "5m", expression).replace("$workload", ".+")


def ran(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["dashboards", *words])
    return int(args.run(args))


@pytest.mark.feature("K8")
@pytest.mark.parametrize("name", dashboards())
def test_every_dashboard_keeps_every_rule(name):
    assert lint(dashboards()[name]) == []


@pytest.mark.parametrize("name", files())
def test_the_file_in_the_repository_is_what_the_builder_makes(name):
    assert (packaged("dashboards") / name).read_text(encoding="utf-8") == files()[name]


@pytest.mark.parametrize("expression", queries(overview_dashboard()))
def test_every_query_is_promql(expression):
    assert promql_parser.parse(filled(expression)) is not None


def test_every_metric_asked_for_is_one_that_is_sent():
    asked = {
        name for expression in queries(overview_dashboard()) for name in metric_names(expression)
    }

    assert len(asked) >= 10
    assert asked <= metrics_catalogue.ALL


def test_panels_lie_side_by_side_without_covering_each_other():
    cells = [
        (x, y)
        for panel in overview_dashboard()["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_provisioning_forbids_changes_by_hand():
    provider = yaml.safe_load(files()["provisioning.yaml"])["providers"][0]

    assert provider["allowUiUpdates"] is False
    assert provider["disableDeletion"] is True


def broken(change) -> list[str]:
    board = copy.deepcopy(overview_dashboard())
    change(board, board["panels"][0], board["panels"][0]["targets"][0])
    return lint(board)


def expr(text):
    return lambda board, panel, target: target.update(expr=text)


FAULTS = {
    "uid": (lambda b, p, t: b.update(uid="x" * 41), "at most 40"),
    "tag": (lambda b, p, t: b.update(tags=[]), "tag `greenops`"),
    "editable": (lambda b, p, t: b.update(editable=True), "`editable` must be false"),
    "inputs": (lambda b, p, t: b.update(__inputs=[]), "__inputs"),
    "schema": (lambda b, p, t: b.update(schemaVersion=26), "39 to 41"),
    "source": (lambda b, p, t: b["templating"]["list"].pop(0), "variable `datasource`"),
    "refresh": (lambda b, p, t: b["templating"]["list"][1].update(refresh=1), "refresh 2"),
    "single": (lambda b, p, t: b["templating"]["list"][1].update(multi=False), "many values"),
    "ids": (lambda b, p, t: p.update(id=2), "same id"),
    "title": (lambda b, p, t: p.update(title=""), "no title"),
    "described": (lambda b, p, t: p.update(description="x"), "Source: ..."),
    "method": (lambda b, p, t: p.update(title="Carbon"), "without its method"),
    "unit": (lambda b, p, t: p["fieldConfig"]["defaults"].pop("unit"), "no unit"),
    "fixed source": (lambda b, p, t: t.update(datasource={"uid": "abc"}), "${datasource}"),
    "empty": (lambda b, p, t: p.update(targets=[]), "asks for nothing"),
    "foreign": (expr("sum(up)"), "no GreenOps metric"),
    "unknown": (expr("sum(greenops_joy)"), "`greenops_joy` is not a metric"),
    "bare counter": (expr("sum(greenops_cost_total)"), "only grows"),
    "gauge rate": (expr("sum(rate(greenops_savings_grams[$__range]))"), "is a gauge"),
    "window": (expr("sum(rate(greenops_cost_total[5m]))"), "the window `5m` is fixed"),
    "bare": (expr("greenops_savings_grams"), "series differ"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_linter_finds_each_fault(fault):
    change, message = FAULTS[fault]

    assert [each for each in broken(change) if message in each]


def test_labels_are_no_metrics():
    assert metric_names(
        'sum by (greenops_workload) (rate(greenops_cost_total{greenops_x="a"}[5m]))'
    ) == {"greenops_cost_total"}


def test_export_writes_every_file_and_twice_is_once(tmp_path, capsys):
    assert ran("export", str(tmp_path / "new")) == 0
    first = {each.name: each.read_bytes() for each in (tmp_path / "new").iterdir()}
    assert ran("export", str(tmp_path / "new")) == 0

    assert {each.name: each.read_bytes() for each in (tmp_path / "new").iterdir()} == first
    assert set(first) == set(files())
    assert "greenops-overview.json" in capsys.readouterr().out


def test_export_into_a_file_is_one_line(tmp_path):
    (tmp_path / "taken").write_text("")

    with pytest.raises(Unreachable, match="GO0910"):
        ran("export", str(tmp_path / "taken"))


def test_lint_returns_one_where_a_rule_is_broken(tmp_path, capsys):
    file = tmp_path / "board.json"
    file.write_text(json.dumps({**overview_dashboard(), "editable": True}))

    assert ran("lint") == 0
    assert ran("lint", str(file)) == 1
    assert "`editable` must be false" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", "[]"])
def test_lint_names_a_file_that_is_no_dashboard(tmp_path, text):
    file = tmp_path / "board.json"
    file.write_text(text)

    with pytest.raises(InvalidFile, match=r"GO0906 .*board\.json:1"):
        ran("lint", str(file))


def test_apply_without_a_token_says_which_variable_to_set(monkeypatch):
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)

    with pytest.raises(UsageError, match=r"GO0909 .*GRAFANA_TOKEN"):
        ran("apply", "--url", "http://127.0.0.1:9")


def rule_file():
    return yaml.safe_load(files()[RULES_FILE])["groups"][0]["rules"]


@pytest.mark.feature("G5", "O2")
def test_every_rule_is_promql_over_what_is_sent_or_recorded_before_it():
    known = set(metrics_catalogue.ALL)
    for rule in rule_file():
        assert promql_parser.parse(rule["expr"]) is not None
        asked = set(re.findall(r"greenops[a-z0-9_:]+", re.sub(r"\{[^}]*\}", "", rule["expr"])))
        assert asked
        assert asked <= known
        known.add(rule.get("record", ""))


@pytest.mark.feature("G5")
def test_idle_has_an_alert_that_says_what_to_do():
    alerts = {rule["alert"]: rule for rule in rule_file() if "alert" in rule}

    idle = alerts["GreenOpsIdleHigh"]
    assert (idle["for"], idle["labels"]) == ("1h", {"severity": "warning"})
    assert idle["expr"] == "greenops:idle_energy:ratio_rate30m > 0.5"
    assert all(set(each["annotations"]) == KEYS for each in alerts.values())


def test_the_runbook_of_the_alerts_names_every_one_of_them():
    page = (Path(__file__).parents[3] / RUNBOOK.split("#")[0]).read_text(encoding="utf-8")

    assert "\n## Alerts\n" in page
    assert all(f"`{alert.name}`" in page for alert in ALERTS)


@pytest.mark.feature("G5")
def test_idle_joules_and_grams_have_panels_of_their_own():
    titles = [panel["title"] for panel in overview_dashboard()["panels"]]

    assert {"Idle power", "Idle share of metered energy"} <= set(titles)
    assert any(title.startswith("Idle and own carbon") for title in titles)
