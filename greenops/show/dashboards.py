"""Grafana dashboards, built as plain JSON values over the metrics of `/metrics`."""

from __future__ import annotations

import json
from typing import Any, Final

from greenops.show.panels import OVERVIEW, WORKLOAD, Panel
from greenops.show.rules import RULES_FILE, rules

Json = dict[str, Any]

OVERVIEW_UID: Final = "greenops-overview"
SCHEMA_VERSION: Final = 41
"""Newest classic dashboard model; later servers migrate it when they load it."""

TAG: Final = "greenops"
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
GRID_COLUMNS: Final = 24
"""Columns of Grafana's panel grid."""

PROVISIONING: Final = """\
# Grafana's file provisioning: copy to /etc/grafana/provisioning/dashboards/, the JSON files to `path`.
apiVersion: 1
providers:
  - name: greenops
    orgId: 1
    folder: GreenOps
    folderUid: greenops
    type: file
    disableDeletion: true
    allowUiUpdates: false
    updateIntervalSeconds: 60
    options:
      path: /var/lib/grafana/dashboards/greenops
"""


def overview_dashboard() -> Json:
    """The overview in Grafana's classic model."""
    return {
        "uid": OVERVIEW_UID,
        "title": "GreenOps / Overview",
        "description": "What is used now, where it goes, what was decided, whether it adds up.",
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": [_siblings()],
        "templating": {"list": [_datasource(), _workload()]},
        "annotations": {"list": [_decision_marks()]},
        "panels": _laid_out(OVERVIEW),
    }


def dashboards() -> dict[str, Json]:
    """Every dashboard: file name → JSON values."""
    return {f"{OVERVIEW_UID}.json": overview_dashboard()}


def files() -> dict[str, str]:
    """What `greenops dashboards export` writes: file name → text."""
    boards = {
        name: json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        for name, board in dashboards().items()
    }
    return {**boards, "provisioning.yaml": PROVISIONING, RULES_FILE: rules()}


def _laid_out(panels: tuple[Panel, ...]) -> list[Json]:
    x = y = 0
    laid = []
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > GRID_COLUMNS:
            x, y = 0, y + panels[number - 2].height
        laid.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": panel.height}))
        x += panel.width
    return laid


def _panel(panel: Panel, number: int, place: Json) -> Json:
    options: Json = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    custom: Json = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stacked else {}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none"}
    defaults: Json = {"unit": panel.unit, "noValue": "not known", "custom": custom}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": f"{panel.about} Source: {panel.source}.",
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
                # One number of the whole range needs one evaluation, at its end.
                "instant": panel.kind == "stat",
                "range": panel.kind != "stat",
            }
            for index, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }


def _workload() -> Json:
    query = "label_values(greenops_carbon_location_grams_total, greenops_workload)"
    return {
        "name": "workload",
        "label": "Workload",
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "workload"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }


def _siblings() -> Json:
    return {
        "title": "GreenOps",
        "type": "dashboards",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }


def _decision_marks() -> Json:
    return {
        "name": "Decisions",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"sum by (greenops_workload) (increase(greenops_decisions_total{{{WORKLOAD}}}"
        "[$__rate_interval])) > 0",
        "titleFormat": "decision for {{greenops_workload}}",
    }
