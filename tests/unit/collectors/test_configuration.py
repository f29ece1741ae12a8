"""Shape of the Collector configuration; a real Collector is not started here."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
import yaml

from greenops.config import Settings
from greenops.pipeline.collector_config import Role, Wiring
from greenops.pipeline.collector_config import configuration as rendered

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


SHIPPED = Path(__file__).parents[3] / "collectors"
OPEN = {"listen": "0.0.0.0", "grpc_port": 4317, "http_port": 4318}  # inside a container
STATE = PurePosixPath("/var/lib/greenops/collector")


@pytest.mark.parametrize(
    ("place", "role", "wiring"),
    [
        (
            "compose",
            Role.GATEWAY,
            Wiring(
                tables=STATE,
                upstream="greenops:4317",
                traces="tempo:4317",
                metrics_url="http://prometheus:9090/api/v1/otlp",
                **OPEN,
            ),
        ),
        (
            "kubernetes/collector/gateway",
            Role.GATEWAY,
            Wiring(tables=STATE, upstream="127.0.0.1:14317", **OPEN),
        ),
        (
            "kubernetes/collector/agent",
            Role.AGENT,
            Wiring(
                tables=None,
                upstream="greenops:4317",
                kepler="${env:NODE_IP}:28282",
                dcgm="${env:NODE_IP}:9400",
                **OPEN,
            ),
        ),
    ],
)
def test_what_is_shipped_is_what_render_writes(place, role, wiring):
    assert (SHIPPED / place / "otelcol.yaml").read_text() == rendered(role, wiring)


def test_each_file_that_compose_mounts_is_there():
    compose = yaml.safe_load((SHIPPED / "compose" / "compose.yaml").read_text())

    mounts = [each for s in compose["services"].values() for each in s.get("volumes", [])]
    for source in {each.split(":")[0] for each in mounts} - set(compose["volumes"]):
        assert (SHIPPED / "compose" / source).exists(), source
    assert compose["services"]["greenops"]["command"] == ["greenops", "serve"]


def test_each_file_that_kustomize_takes_is_there_and_each_object_has_a_name():
    folder = SHIPPED / "kubernetes" / "collector"
    whole = yaml.safe_load((folder / "kustomization.yaml").read_text())

    made = {each["name"] for each in whole["configMapGenerator"]}
    for name in (
        *whole["resources"],
        *(f for e in whole["configMapGenerator"] for f in e["files"]),
    ):
        assert (folder / name).exists(), name
    for name in whole["resources"]:
        for each in yaml.safe_load_all((folder / name).read_text()):
            assert each["metadata"]["name"]
            volumes = each.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", [])
            assert {v["configMap"]["name"] for v in volumes if "configMap" in v} <= made


def test_every_component_that_render_names_is_in_the_manifest_that_is_built():
    manifest = (SHIPPED / "builder.yaml").read_text()
    wiring = Wiring(tables=STATE, traces="t:1", metrics_url="http://p", kepler="k:1", dcgm="d:1")

    for role in Role:
        found = yaml.safe_load(rendered(role, wiring))
        for part in ("receiver", "processor", "connector", "exporter", "extension"):
            for name in found.get(f"{part}s", {}):
                plain = name.split("/")[0].replace("_", "")
                assert f"/{plain}{part} v" in manifest, name
