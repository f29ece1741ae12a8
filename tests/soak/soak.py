"""`greenops serve` under load: nothing is lost, memory does not grow. Ends by itself.

python tests/soak/soak.py [--minutes 10] [--rate 500]
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.demo.processes import free_ports

GROWTH = 1.5
"""Most that the resident memory may grow after the first minute; a leak doubles it in ten."""


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE")) / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=500, help="spans a second")
    args = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="greenops-soak-"))
    api, grpc, http = free_ports(3)
    command = [sys.executable, "-m", "greenops.cli.main", "serve", "--state", str(state)]
    command += ["--policies", str(packaged("policies")), "--api-port", str(api)]
    command += ["--otlp-grpc-port", str(grpc), "--otlp-http-port", str(http)]
    serve = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        return soak(serve.pid, state, api, http, args)
    finally:
        serve.terminate()
        serve.wait(30)


def soak(pid: int, state: Path, api: int, http: int, args: argparse.Namespace) -> int:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            requests.get(f"http://127.0.0.1:{api}/healthz", timeout=1)
            break
        except requests.RequestException:
            time.sleep(0.1)
    provider = TracerProvider(resource=Resource({"service.name": "soak"}))
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{http}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=20_000))
    tracer = provider.get_tracer("soak")
    begin, sent, base, minute = time.monotonic(), 0, 0.0, 0
    while (now := time.monotonic() - begin) < args.minutes * 60:
        while sent < now * args.rate:
            with tracer.start_as_current_span("op") as span:
                span.set_attribute("greenops.energy.self", 0.25)
            sent += 1
        if now >= minute * 60:
            used = resident_mib(pid)
            base = used if minute == 1 else base
            print(f"{minute:3d} min  {sent:8d} spans sent  {used:6.0f} MiB resident", flush=True)
            minute += 1
        time.sleep(0.02)
    provider.shutdown()
    used = resident_mib(pid)
    time.sleep(4)
    kept = sum(1 for _ in ParquetLake(state / "lake").spans())
    print(
        f"sent {sent}, kept {kept}; memory {base:.0f} MiB after a minute, {used:.0f} MiB at the end"
    )
    return 0 if kept == sent and (not base or used <= base * GROWTH) else 1


if __name__ == "__main__":
    sys.exit(main())
