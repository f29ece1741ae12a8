"""Every series a dashboard asks for stands on the real `/metrics` page, with the labels it names."""

# Hand-made records: plain numbers stand for grams and joules.
# mypy: disable-error-code="arg-type,dict-item"
from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from greenops.domain.action import Outcome, Receipt
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.evidence import AvoidedEmissions, Grade
from greenops.domain.spans import SpanRow
from greenops.domain.workload import Limits
from greenops.pipeline.span_columns import SpanColumns
from greenops.service.metrics import Telemetry
from greenops.service.series import MORE, PLACED
from greenops.show.dashboards import overview_dashboard
from greenops.show.lint import metric_names
from greenops.show.rules import ALERTS, RECORDED

DAY = datetime(2021, 10, 8, tzinfo=UTC)


def _named(name: str) -> str:
    return f"{name} estimated" if "remote" in name else name


DECISION = Decision(
    "d", "j/1", "search", DAY, Candidate("a"), Candidate("b"), None, {}, {}, "why", Mode.ENFORCE,
    (), "00", None, Limits(), None, None, {}, replay=False,
)  # fmt: skip
SPAN = SpanRow(
    "t", "s", None, "search", None, "search", "GET /search", "SERVER", DAY, DAY, DAY, 5.0, 4.0,
    6.0, 0.0003, 0.00001, "modeled", None, "eu-north-1", "SE", None, {},
)  # fmt: skip
MORE_SEEN = {
    ("search" if "remote" in name or "embodied" in name else None, _named(name)): 1.0
    for name in MORE
} | {("search", f"{name} eu-north-1"): 1.0 for name in PLACED}
QUERIES = [
    *RECORDED.values(),
    *(alert.expression for alert in ALERTS),
    *(target["expr"] for panel in overview_dashboard()["panels"] for target in panel["targets"]),
    *(each["expr"] for each in overview_dashboard()["annotations"]["list"]),
]


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """Metric name → its labels, from a page on which everything happened once."""
    telemetry = Telemetry(
        lambda: {("search", "attributed"): 3.0}, lambda: 0.0, lambda: 1.0, lambda: MORE_SEEN
    )
    own = {"greenops.items": "4", "gen_ai.usage.output_tokens": "9"}
    rows = [SPAN, replace(SPAN, span_id="o", attributes=own)]
    telemetry.spans(SpanColumns.of_rows(rows))
    elsewhere = {"gen_ai.usage.output_tokens": "9", "greenops.energy.remote": "90.0"}
    telemetry.spans(SpanColumns.of_rows([replace(SPAN, span_id="r", attributes=elsewhere)]))
    telemetry.decision(DECISION)
    telemetry.judged("search", 3, 0.004)
    telemetry.action(Receipt("a", "d", "t", "start_job", Outcome.APPLIED, "ok"))
    telemetry.intensity("eu-north-1", "SE", 27.0)
    telemetry.savings(AvoidedEmissions(3.0, 2.0, 4.0, Grade.B))
    telemetry.checkpoint(DAY)
    page = telemetry.answer("")[0].decode()
    telemetry.close()
    found: defaultdict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


def labels_named(expression: str) -> set[str]:
    matched = re.findall(r"(\w+)\s*=~?", expression)
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    return {*matched, *(label.strip() for each in grouped for label in each.split(","))}


@pytest.mark.feature("K8")
@pytest.mark.parametrize("expression", QUERIES)
def test_every_series_asked_for_is_on_the_metrics_page_with_its_labels(expression, series):
    for name in metric_names(expression):
        assert name in series
        assert labels_named(expression) <= series[name]
