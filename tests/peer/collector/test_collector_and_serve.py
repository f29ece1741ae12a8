"""The whole way: serve writes the tables, the real Collector enriches by them, serve counts what comes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from greenops.adapters import collector_files
from greenops.adapters.clock import SystemClock
from greenops.pipeline.collector_config import (
    CONFIGURATION,
    ENRICHMENT,
    Role,
    Wiring,
    configuration,
)
from greenops.testing.collected_spans import CollectedSpan

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow]


def wait_until(holds: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.mark.feature("J1")
def test_a_call_of_a_service_without_greenops_is_counted_by_serve(
    tmp_path: Path, run: Any, ports: Any, otelcol: Path, make_request: Callable[..., Any]
) -> None:
    api, serve_grpc, serve_http, grpc_port, http_port, health_port = ports(6)
    state, policies = tmp_path / "state", tmp_path / "policies"
    policies.mkdir()
    line = [sys.executable, "-m", "greenops.cli.main", "serve", "--state", str(state)]
    line += ["--policies", str(policies), "--api-port", str(api)]
    line += ["--otlp-grpc-port", str(serve_grpc), "--otlp-http-port", str(serve_http)]
    with (tmp_path / "serve.log").open("wb") as log:
        serve = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        tables = state / "collector"
        wait_until((tables / ENRICHMENT).is_file, (tmp_path / "serve.log").read_text())
        wiring = Wiring(
            tables=tables,
            grpc_port=grpc_port,
            http_port=http_port,
            health_port=health_port,
            upstream=f"127.0.0.1:{serve_grpc}",
        )
        text = configuration(Role.AGENT, wiring)
        collector_files.write(tmp_path, {CONFIGURATION: text})
        command = [str(otelcol), f"--config={tmp_path / CONFIGURATION}"]
        collector = run(command, grpc_port, tmp_path / "collector.log")
        now = int(SystemClock.from_environment().wall().timestamp()) * 1_000_000_000
        said = {
            "gen_ai.request.model": "gpt-4o-2024-08-06",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
            "cloud.region": "eastus",
        }
        call = CollectedSpan(
            "chat", 3, False, now - 10**9, now, said, {"service.name": "java-shop"}
        )

        collector.send(make_request([call]))

        def counted() -> bool:
            page = requests.get(f"http://127.0.0.1:{api}/metrics", timeout=10).text
            sums = [each for each in page.splitlines() if "operation_energy_joules_sum" in each]
            return any("gpt-4o" in each and float(each.rsplit(" ", 1)[1]) > 1 for each in sums)

        wait_until(counted, "no energy of the call on the page")
    finally:
        serve.terminate()
        serve.wait(30)
