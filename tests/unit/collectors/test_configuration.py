"""Shape of the Collector configuration; a real Collector is not started here."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from greenops.config import Settings

CORE = {"otlp", "memory_limiter", "batch"}
"""Types used; all are in the core distribution of the Collector."""


@pytest.fixture
def configuration():
    return yaml.safe_load((Path(__file__).parents[3] / "collectors" / "otelcol.yaml").read_text())


def test_every_component_of_a_pipeline_is_configured_and_none_idles(configuration):
    used = {
        (kind, name)
        for pipeline in configuration["service"]["pipelines"].values()
        for kind, names in pipeline.items()
        for name in names
    }
    configured = {
        (kind, name)
        for kind in ("receivers", "processors", "exporters")
        for name in configuration[kind]
    }

    assert used == configured
    assert {name.split("/")[0] for _, name in configured} <= CORE


def test_it_forwards_traces_and_metrics_to_the_default_port_of_serve(configuration):
    exporter = configuration["exporters"]["otlp/greenops"]

    assert exporter["endpoint"] == f"{Settings().host}:{Settings().otlp_grpc_port}"
    assert set(configuration["service"]["pipelines"]) == {"traces", "metrics"}


def test_it_listens_on_loopback_beside_serve(configuration):
    protocols = configuration["receivers"]["otlp"]["protocols"]

    ports = {each["endpoint"] for each in protocols.values()}
    assert ports == {"127.0.0.1:14317", "127.0.0.1:14318"}
