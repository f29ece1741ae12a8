"""Rules that a dashboard keeps, so that it works on any Grafana and says what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from greenops.show import metrics_catalogue

Json = dict[str, Any]

METHOD: Final = ("location-based", "market-based", "marginal", "average", "embodied")
"""Words of which each title with carbon needs one."""

LONGEST_UID: Final = 40
"""Grafana refuses a longer uid. Source: Grafana HTTP API, dashboards."""

_METRIC: Final = re.compile(r"\bgreenops_[a-z0-9_]+(?=[{\[\s)]|$)")
_LABELS: Final = re.compile(r"\{[^}]*\}|\b(?:by|without|on|ignoring)\s*\([^)]*\)")
_RANGED: Final = re.compile(
    r"\b(?:rate|increase|irate)\(\s*[a-z0-9_]+\s*(?:\{[^}]*\})?\s*\[([^\]]+)\]"
)
_COUNTED: Final = re.compile(r"\b(?:rate|increase|irate)\(\s*([a-z0-9_]+)")


def lint(dashboard: Json) -> list[str]:
    """What is wrong with a dashboard, one line each; nothing where it keeps every rule."""
    found = [f"dashboard: {each}" for rule in _BOARD_RULES for each in rule(dashboard)]
    for panel in dashboard.get("panels", []):
        name = f"panel `{panel.get('title') or panel.get('id')}`"
        found += [f"{name}: {each}" for rule in _PANEL_RULES for each in rule(panel)]
    return found


def metric_names(expression: str) -> set[str]:
    """Names of our metrics in a PromQL expression; labels are no metrics."""
    return set(_METRIC.findall(_LABELS.sub(" ", expression)))


def _board_identity(board: Json) -> Iterator[str]:
    uid = board.get("uid") or ""
    if not uid or len(uid) > LONGEST_UID:
        yield f"the uid must be fixed and have at most {LONGEST_UID} characters"
    if "greenops" not in board.get("tags", []):
        yield "the tag `greenops` is missing: the links between dashboards go by it"
    if board.get("editable") is not False:
        yield "`editable` must be false: the next apply would undo a change made by hand"
    if "__inputs" in board:
        yield "`__inputs` is not filled in by file provisioning; use the variable `datasource`"
    if not 39 <= board.get("schemaVersion", 0) <= 41:  # noqa: PLR2004  (the classic model)
        yield "`schemaVersion` must be 39 to 41"


def _board_variables(board: Json) -> Iterator[str]:
    variables = {each.get("name"): each for each in board.get("templating", {}).get("list", [])}
    source = variables.get("datasource", {})
    if (source.get("type"), source.get("query")) != ("datasource", "prometheus"):
        yield "a variable `datasource` of type datasource, query prometheus, is missing"
    for name, each in variables.items():
        if each.get("type") == "query":
            yield from (f"variable `{name}` {fault}" for fault in _variable_faults(each))


def _variable_faults(variable: Json) -> Iterator[str]:
    if variable.get("refresh") != 2:  # noqa: PLR2004  (Grafana's number for: on time range change)
        yield "must have refresh 2, so that it follows the time range"
    if not variable.get("multi") or variable.get("allValue") != ".+":
        yield "must allow many values, with `.+` for all"


def _board_unique(board: Json) -> Iterator[str]:
    ids = [each.get("id") for each in board.get("panels", [])]
    if len(ids) != len(set(ids)):
        yield "two panels have the same id"


def _panel_words(panel: Json) -> Iterator[str]:
    title, about = panel.get("title") or "", panel.get("description") or ""
    if not title:
        yield "it has no title"
    if not re.search(r"Source: .+\.$", about):
        yield 'the description must end in "Source: ..."'
    if "carbon" in title.lower() and not any(word in title for word in METHOD):
        yield f"the title has carbon without its method: {', '.join(METHOD)}"
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "it has no unit"


def _panel_source(panel: Json) -> Iterator[str]:
    parts = [panel, *panel.get("targets", [])]
    if any(each.get("datasource", {}).get("uid") != "${datasource}" for each in parts):
        yield "its data source must be the variable `${datasource}`"
    if not panel.get("targets"):
        yield "it asks for nothing"


def _panel_queries(panel: Json) -> Iterator[str]:
    for target in panel.get("targets", []):
        expression = target.get("expr") or ""
        yield from (f"query {target.get('refId')}: {each}" for each in _query_faults(expression))


def _query_faults(expression: str) -> Iterator[str]:
    names = metric_names(expression)
    if not names:
        yield "it asks for no GreenOps metric"
    for name in sorted(names - metrics_catalogue.ALL):
        yield f"`{name}` is not a metric that `/metrics` sends"
    for name in sorted(names & metrics_catalogue.COUNTING - set(_COUNTED.findall(expression))):
        yield f"`{name}` only grows: ask for its rate or increase"
    for name in sorted(metrics_catalogue.GAUGES & set(_COUNTED.findall(expression))):
        yield f"`{name}` is a gauge: it has no rate"
    for window in _RANGED.findall(expression):
        if window not in ("$__rate_interval", "$__range"):
            yield f"the window `{window}` is fixed; use $__rate_interval or $__range"
    if names and not re.search(r"\b(?:sum|avg|max|min|count)\b", expression):
        yield "series differ by scope labels: sum, avg, max or min over them"


_BOARD_RULES: Final[tuple[Callable[[Json], Iterator[str]], ...]] = (
    _board_identity,
    _board_variables,
    _board_unique,
)
_PANEL_RULES: Final[tuple[Callable[[Json], Iterator[str]], ...]] = (
    _panel_words,
    _panel_source,
    _panel_queries,
)
