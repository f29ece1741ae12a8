"""Whole configurations of the stock Collector: an agent on each host, a gateway where the spans of a trace meet.

The enrichment is a file of its own beside the configuration, so that a table can be replaced without touching what an
operator has changed. `$` is doubled in it: the Collector would take it for a variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Final

import yaml

from greenops.observe import attributes as names
from greenops.observe.enrichment_tables import EnrichmentTables
from greenops.pipeline.collector_meters import meter_statements, scrapes
from greenops.pipeline.collector_ottl import statements

Node = dict[str, object]

ENRICHMENT: Final = "enrichment.yaml"
"""The enrichment, beside the configuration; `greenops serve` keeps one fresh in its state."""
CONFIGURATION: Final = "otelcol.yaml"
ENRICH: Final = "transform/greenops"
METERS: Final = "transform/meters"
UPSTREAM: Final = "otlp/greenops"
TRACES: Final = "otlp/traces"
METRICS: Final = "otlp_http/metrics"
SLOW_MS: Final = 1_000
"""A trace that took longer is kept [ms]. Ours."""
COSTLY_J: Final = 100.0
"""A trace with a span above it is kept [J]: some hundred output tokens of a large model. Ours."""
WAIT: Final = "10s"
"""How long the spans of a trace are waited for before it is kept or not. Ours; the component's default is three times that."""


class Role(StrEnum):
    """Where a Collector stands."""

    AGENT = "agent"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Wiring:
    """What goes in and where it goes out.

    Attributes:
        listen: Address that it listens on; gRPC and HTTP have a port each.
        grpc_port, http_port: Ports of OTLP.
        health_port: Port that answers whether it is well.
        upstream: Next hop for all spans and metrics: `greenops serve`, or of an agent the gateway.
        traces: Trace store that gets sampled traces; none: nothing is sampled.
        metrics_url: Base URL of a back end that takes OTLP metrics over HTTP, such as Prometheus 3.
        sample_percent: How many of the ordinary traces are kept [%].
        kepler, dcgm: Exporters to scrape, `host:port`; none: not scraped.
        tables: Folder of the enrichment as the Collector sees it; none: spans are enriched at a later hop.
        memory_mib: Memory from which it refuses data [MiB].
    """

    tables: PurePath | None
    listen: str = "127.0.0.1"
    grpc_port: int = 14317
    http_port: int = 14318
    health_port: int = 13133
    upstream: str = "127.0.0.1:4317"
    traces: str | None = None
    metrics_url: str | None = None
    sample_percent: float = 10.0
    kepler: str | None = None
    dcgm: str | None = None
    memory_mib: int = 512


def enrichment(tables: EnrichmentTables) -> str:
    """The file that the configuration takes in: a transform processor.

    Raises:
        ValueError: A region has several rows.
    """
    node = {"error_mode": "silent", "trace_statements": statements(tables)}
    head = (
        "# Written by `greenops collector render` and kept fresh by `greenops serve`; changes here are lost.\n"
        f"# {names.FACTORS_VERSION}: {tables.version}\n"
    )
    return head + _yaml(node).replace("$", "$$")


def configuration(role: Role, wiring: Wiring) -> str:
    """The configuration of a role."""
    parts = _agent(wiring) if role is Role.AGENT else _gateway(wiring)
    node: Node = {
        "receivers": {"otlp": _otlp(wiring), **parts.receivers},
        "processors": {**_common(wiring), **parts.processors},
        "connectors": parts.connectors,
        "exporters": {**_exporters(wiring), **parts.exporters},
        "extensions": {"health_check": {"endpoint": f"{wiring.listen}:{wiring.health_port}"}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": parts.pipelines,
        },
    }
    return _HEADS[role] + _yaml({key: part for key, part in node.items() if part})


@dataclass(frozen=True, slots=True)
class _Parts:
    receivers: Node
    processors: Node
    connectors: Node
    exporters: Node
    pipelines: Node


def _pipeline(receivers: list[str], processors: list[str], exporters: list[str]) -> Node:
    return {"receivers": receivers, "processors": processors, "exporters": exporters}


def _enriched(wiring: Wiring) -> list[str]:
    return ["memory_limiter", *([ENRICH] if wiring.tables else [])]


def _agent(wiring: Wiring) -> _Parts:
    scraped = scrapes(wiring.kepler, wiring.dcgm)
    receivers: Node = {"host_metrics": _HOST, **scraped}
    metered: list[str] = ["memory_limiter", *([METERS] if scraped else []), "batch"]
    return _Parts(
        receivers=receivers,
        processors={METERS: meter_statements()} if scraped else {},
        connectors={},
        exporters={},
        pipelines={
            "traces": _pipeline(["otlp"], [*_enriched(wiring), "batch"], [UPSTREAM]),
            "metrics": _pipeline(["otlp", *receivers], metered, [UPSTREAM]),
        },
    )


def _gateway(wiring: Wiring) -> _Parts:
    """Sums of all spans, and all spans, go on; a trace store gets whole traces, some of them."""
    scraped = scrapes(wiring.kepler, wiring.dcgm)
    exporters, sampled, sampling = _sampled(wiring)
    counted = [UPSTREAM]
    if wiring.metrics_url:
        exporters[METRICS] = {"endpoint": wiring.metrics_url, **_PATIENCE}
        counted.append(METRICS)
    metered = ["memory_limiter", *([METERS] if scraped else []), "deltatocumulative", "batch"]
    everything = ["signal_to_metrics", UPSTREAM]
    return _Parts(
        receivers=scraped,
        processors={
            "deltatocumulative": {"max_stale": "1h"},
            **sampling,
            **({METERS: meter_statements()} if scraped else {}),
        },
        connectors={"signal_to_metrics": _SUM},
        exporters=exporters,
        pipelines={
            "traces/all": _pipeline(["otlp"], [*_enriched(wiring), "batch"], everything),
            **sampled,
            "metrics": _pipeline(["otlp", "signal_to_metrics", *scraped], metered, counted),
        },
    )


def _sampled(wiring: Wiring) -> tuple[Node, Node, Node]:
    """Exporter, pipeline and processor of the trace store; nothing where there is none."""
    if wiring.traces is None:
        return {}, {}, {}
    # It has an enrichment of its own: between pipelines the stock Collector has no cheaper way for spans.
    steps = [*_enriched(wiring), "tail_sampling", "batch"]
    return (
        {TRACES: _otlp_out(wiring.traces)},
        {"traces/sampled": _pipeline(["otlp"], steps, [TRACES])},
        {"tail_sampling": _sampling(wiring.sample_percent)},
    )


def _otlp(wiring: Wiring) -> Node:
    grpc = {"endpoint": f"{wiring.listen}:{wiring.grpc_port}"}
    http = {"endpoint": f"{wiring.listen}:{wiring.http_port}"}
    return {"protocols": {"grpc": grpc, "http": http}}


def _common(wiring: Wiring) -> Node:
    spare = wiring.memory_mib // 4
    enriched = wiring.tables and {ENRICH: f"${{file:{wiring.tables / ENRICHMENT}}}"}
    return {
        "memory_limiter": {
            "check_interval": "1s",
            "limit_mib": wiring.memory_mib,
            "spike_limit_mib": spare,
        },
        **(enriched or {}),
        "batch": {"timeout": "1s", "send_batch_size": 1024, "send_batch_max_size": 4096},
    }


def _exporters(wiring: Wiring) -> Node:
    return {UPSTREAM: _otlp_out(wiring.upstream)}


def _otlp_out(endpoint: str) -> Node:
    return {"endpoint": endpoint, "tls": {"insecure": True}, **_PATIENCE}


def _sampling(percent: float) -> Node:
    costly = f'span.attributes["{names.ENERGY_SELF}"] > {COSTLY_J}'
    policies: list[Node] = [
        {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "slow", "type": "latency", "latency": {"threshold_ms": SLOW_MS}},
        {
            "name": "costly",
            "type": "ottl_condition",
            "ottl_condition": {"error_mode": "ignore", "span": [costly]},
        },
        {
            "name": "ordinary",
            "type": "probabilistic",
            "probabilistic": {"sampling_percentage": percent},
        },
    ]
    return {"decision_wait": WAIT, "num_traces": 50_000, "policies": policies}


def _labels(*keys: str) -> list[Mapping[str, object]]:
    return [{"key": key, "optional": True} for key in keys]


def _sum(name: str, unit: str, value: str, condition: str, description: str, *more: str) -> Node:
    """A sum over spans; `more` are attributes that it is told by beside the usual ones."""
    return {
        "name": name,
        "description": description,
        "unit": unit,
        "include_resource_attributes": _labels(
            names.SERVICE_NAME, names.WORKLOAD, names.CLOUD_REGION
        ),
        "attributes": _labels(names.WORKLOAD, *more),
        "conditions": [condition],
        "sum": {"value": value, "monotonic": True},
    }


def _sum_of(name: str, unit: str, attribute: str, what: str) -> Node:
    value = f'span.attributes["{attribute}"]'
    told = (names.ENERGY_METHOD, "gen_ai.request.model")
    text = f"{what} of all spans seen, before sampling"
    return _sum(name, unit, value, f"IsDouble({value})", text, *told)


_PATIENCE: Final[Node] = {
    "retry_on_failure": {"enabled": True, "initial_interval": "1s", "max_elapsed_time": "15m"},
    "sending_queue": {"enabled": True, "queue_size": 2000},
}
"""Spans wait here while the next hop is away, and its refusals are tried again."""
_HOST: Final[Node] = {
    "collection_interval": "15s",
    "scrapers": {"cpu": None, "load": None, "memory": None},
}
_UNKNOWN: Final = f'span.attributes["{names.ENERGY_UNKNOWN}"]'
_SUM: Final[Node] = {
    "error_mode": "ignore",
    # The count connector would tell of each resource of a batch by itself, and of equal ones only one would count.
    "spans": [
        _sum_of("greenops.spans.energy", "J", names.ENERGY_SELF, "Energy"),
        _sum_of("greenops.spans.carbon", "g", names.CARBON_SELF, "Emissions"),
        _sum("greenops.spans.seen", "{span}", "1", "true", "Spans seen, before sampling"),
        _sum(
            "greenops.spans.without_energy",
            "{span}",
            "1",
            f"{_UNKNOWN} != nil",
            "Spans seen whose energy is not known, by reason",
            names.ENERGY_UNKNOWN,
        ),
    ],
}

_HEADS: Final = {
    Role.AGENT: (
        "# A Collector on each host: energy and carbon onto spans, the host's meters, all of it on to the next hop.\n"
        "# Rendered by `greenops collector render --role agent`.\n"
    ),
    Role.GATEWAY: (
        "# The Collector where the spans of a trace meet: energy and carbon onto spans that lack them, sums of all spans\n"
        "# before sampling, then whole traces kept or not. Rendered by `greenops collector render --role gateway`.\n"
    ),
}


def _yaml(node: object) -> str:
    return yaml.dump(node, Dumper=_Plain, sort_keys=False, width=10_000, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes what is said twice twice: an anchor is no help to who reads a configuration."""

    def ignore_aliases(self, data: object) -> bool:
        """Everything is written out."""
        del data
        return True
