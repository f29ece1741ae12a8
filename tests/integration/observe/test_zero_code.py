"""`opentelemetry-instrument python app.py`: a service without a line of ours, with the real tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from greenops.observe.detector import GreenOpsResourceDetector, region_here, workload_here

needs_the_tool = pytest.mark.skipif(
    find_spec("opentelemetry.instrumentation.auto_instrumentation") is None,
    reason="no `opentelemetry-instrument`; install opentelemetry-distro",
)
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GREENOPS_"))}
APP = """
import sys
from opentelemetry import trace
tracer = trace.get_tracer("app")
with tracer.start_as_current_span("request"):
    sum(range(2_000_000))
assert type(trace.get_tracer_provider()).__module__ in ("opentelemetry.sdk.trace", "opentelemetry.trace")
print("app is done", "greenops.observe.session" in sys.modules, file=sys.stderr)
"""


def instrumented(folder: Path, **environ: str) -> tuple[list[dict[str, Any]], str]:
    """Spans that the console exporter printed, and what was said beside."""
    app = folder / "app.py"
    app.write_text(APP)
    done = subprocess.run(
        [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, app],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=folder,
        env={
            **CLEAN,
            "PATH": os.environ["PATH"],
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_SERVICE_NAME": "shop",
            "GREENOPS_STATE": str(folder),
            **environ,
        },
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    text, found = done.stdout.strip(), []
    while text:
        span, end = json.JSONDecoder().raw_decode(text)
        found.append(span)
        text = text[end:].strip()
    return found, done.stderr


@needs_the_tool
@pytest.mark.slow
def test_a_service_run_by_opentelemetry_instrument_has_energy_without_a_line_of_ours(
    tmp_path: Path,
) -> None:
    (span,), said = instrumented(
        tmp_path,
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="otel,greenops",
        GREENOPS_WORKLOAD="checkout",
        GREENOPS_REGION="eu-north-1",
    )

    resource = span["resource"]["attributes"]
    assert "app is done True" in said
    assert span["attributes"]["greenops.energy.self"] >= 0
    assert span["attributes"]["greenops.carbon.self"] >= 0
    assert resource["greenops.workload"] == "checkout"
    assert resource["cloud.region"] == "eu-north-1"
    assert resource["service.name"] == "shop"


@needs_the_tool
@pytest.mark.slow
def test_zero_code_keeps_the_sampling_rate(tmp_path: Path) -> None:
    found, _ = instrumented(
        tmp_path, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0"
    )

    assert found == []


@needs_the_tool
@pytest.mark.slow
def test_greenops_disabled_leaves_spans_as_they_are(tmp_path: Path) -> None:
    (span,), said = instrumented(tmp_path, GREENOPS_DISABLED="true")

    assert "app is done False" in said
    assert not [name for name in span["attributes"] if name.startswith("greenops.")]


@needs_the_tool
@pytest.mark.slow
def test_a_disabled_sdk_disables_us(tmp_path: Path) -> None:
    found, said = instrumented(tmp_path, OTEL_SDK_DISABLED="true")

    assert "app is done False" in said
    assert found == []


@pytest.mark.parametrize(
    ("group", "loaded"),
    [
        ("opentelemetry_post_instrument", "init"),
        ("opentelemetry_resource_detector", "GreenOpsResourceDetector"),
    ],
)
def test_the_entry_points_are_registered(group: str, loaded: str) -> None:
    (found,) = entry_points(group=group, name="greenops")

    assert found.load().__name__ == loaded


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({}, None),
        ({"GREENOPS_REGION": "eu-north-1", "AWS_EXECUTION_ENV": "x", "AWS_REGION": "y"}, "eu-north-1"),
        ({"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", "AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "us-east-1"}, None),
        ({"WEBSITE_SITE_NAME": "shop", "REGION_NAME": "West Europe"}, "westeurope"),
        ({"WEBSITE_SITE_NAME": "shop"}, None),
    ],
)  # fmt: skip
def test_a_region_counts_where_the_cloud_that_runs_us_names_it(
    environ: Mapping[str, str], region: str | None
) -> None:
    assert region_here(environ) == region


def test_an_empty_workload_is_none() -> None:
    assert workload_here({"GREENOPS_WORKLOAD": ""}) is None


def test_the_detector_tells_only_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GREENOPS_REGION", "AWS_EXECUTION_ENV", "WEBSITE_SITE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GREENOPS_WORKLOAD", "checkout")

    assert dict(GreenOpsResourceDetector().detect().attributes) == {"greenops.workload": "checkout"}
