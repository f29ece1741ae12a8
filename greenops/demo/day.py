"""The day that the demo plays, and the environment every process of it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from greenops.domain.replay import VARIABLE, Replay

DAY: Final = datetime(2021, 9, 17, tzinfo=UTC)
"""The day of median saving of a 2 h night job among 181 days of the second half of 2021 (35.9 %).

The shipped workload leaves room for its P95 of 4 h and so starts by 16:00Z: 35.6 % on this day, the
97th of 181, where its own median is 34.4 %.
Source: `python tests/bench/enrichment_savings.py`; tests recompute both from the shipped series.
"""
STARTS_AT: Final = timedelta(hours=6)
"""Start of the played 24 hours, 06:00 UTC: two hours before the nightly job is submitted."""
LASTS: Final = timedelta(hours=24)
RATE: Final = 1440.0
"""Simulated seconds per wall second: a day in a minute."""
WARM_UP: Final = timedelta(seconds=14)
"""Wall time for models to load before the day begins."""

ENRICHMENT_AT: Final = DAY + timedelta(hours=8)
"""When the nightly job is submitted: 01:00 in California, daylight saving time."""
ENRICHMENT_KEY: Final = f"nightly-enrichment/{DAY:%Y-%m-%d}"

SEARCH_REGIONS: Final = ("eu-central-1", "eu-north-1")
CHECKOUT_REGION: Final = "eu-central-1"
ASSISTANT_REGION: Final = "us-west-2"
ENRICHMENT_REGION: Final = "us-west-1"
SEARCH_P95_MS: Final[Mapping[str, float]] = {"eu-central-1": 60.0, "eu-north-1": 66.0}
"""Latency that the demo declares for its two replicas [ms]: both run on this machine."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of the demo."""

    api: int
    otlp_grpc: int
    otlp_http: int
    search: tuple[int, int]
    checkout: int
    assistant: int
    front: int
    front_admin: int
    console: int

    @property
    def api_url(self) -> str:
        """Where `greenops serve` answers."""
        return f"http://127.0.0.1:{self.api}"

    @property
    def replicas(self) -> dict[str, str]:
        """Search replica → URL."""
        return {
            region: f"http://127.0.0.1:{port}"
            for region, port in zip(SEARCH_REGIONS, self.search, strict=True)
        }


def replay_from(wall: datetime) -> Replay:
    """The replay of the day that begins after the warm-up."""
    return Replay(DAY + STARTS_AT, wall + WARM_UP, RATE)


def environment(state: Path, policies: Path, ports: Ports, replay: Replay) -> dict[str, str]:
    """What every process of the demo reads."""
    return {
        VARIABLE: str(replay),
        "GREENOPS_STATE": str(state),
        "GREENOPS_POLICIES": str(policies),
        "GREENOPS_METER_LOG": str(state / "meters"),
        "GREENOPS_SPAN_PARTS": "cost",
        "GREENOPS_API": ports.api_url,
        "GREENOPS_API_PORT": str(ports.api),
        "GREENOPS_OTLP_GRPC_PORT": str(ports.otlp_grpc),
        "GREENOPS_OTLP_HTTP_PORT": str(ports.otlp_http),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports.otlp_grpc}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "TOKENIZERS_PARALLELISM": "false",
    }


def routes_text(envoy: bool) -> str:
    """The file that tells the loop about the search route."""
    targets = "[route-table, envoy]" if envoy else "[route-table]"
    backends = "\n".join(
        f"  - {{name: {region}, region: {region}, p95_ms: {SEARCH_P95_MS[region]}}}"
        for region in SEARCH_REGIONS
    )
    return (
        f"routes:\n- name: search\n  workload: search\n  targets: {targets}\n"
        f"  backends:\n{backends}\n"
    )
