"""Recording and alerting rules over the metrics of `/metrics`, in the format of Prometheus, Mimir and Thanos."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final

RULES_FILE: Final = "greenops.rules.yaml"
RUNBOOK: Final = "docs/how-to/grafana.md#alerts"
"""Where each alert says what to do."""
IDLE_SHARE: Final = "greenops:idle_energy:ratio_rate30m"
"""Name of the recorded idle share [1]."""
MOST_IDLE: Final = 0.5
"""Share of metered energy above which idle is told [1]: more than the work itself took."""
MOST_OWN: Final = 0.01
"""Own emissions over avoided ones above which they are told [1]."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        lasting: How long it must hold, as Prometheus writes it.
        summary: One sentence; what holds.
        todo: One sentence; what to do about it.
    """

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str
    todo: str


ALERTS: Final = (
    Alert(
        "GreenOpsIdleHigh",
        f"{IDLE_SHARE} > {MOST_IDLE}",
        "1h",
        "warning",
        "{{ $value | humanizePercentage }} of the metered energy is drawn while nothing runs",
        "take machines out, put work together, or let them sleep",
    ),
    Alert(
        "GreenOpsOwnFootprintHigh",
        f"max(greenops_savings_own_ratio) > {MOST_OWN}",
        "6h",
        "info",
        "GreenOps emits {{ $value | humanizePercentage }} of what it avoids",
        "meter at a slower pace, or where there is something to shift",
    ),
)
"""Every alert."""

RECORDED: Final = {
    IDLE_SHARE: 'sum(rate(greenops_energy_joules_total{greenops_energy_category="idle"}[30m])) '
    "/ sum(rate(greenops_energy_joules_total[30m]))",
}
"""Name of a recorded series → its query."""


def rules() -> str:
    """The file's text."""
    recorded = "".join(
        f"      - record: {name}\n        expr: {query}\n" for name, query in RECORDED.items()
    )
    text = """\
        # Prometheus: name this file under `rule_files`. Mimir and Thanos take it as it is.
        groups:
          - name: greenops
            rules:
        """
    return textwrap.dedent(text) + recorded + "".join(map(_alert, ALERTS))


def _alert(alert: Alert) -> str:
    text = f"""\
        - alert: {alert.name}
          expr: {alert.expression}
          for: {alert.lasting}
          labels:
            severity: {alert.severity}
          annotations:
            summary: "{alert.summary}"
            description: "{alert.todo}"
            runbook_url: {RUNBOOK}
        """
    return textwrap.indent(textwrap.dedent(text), " " * 6)
