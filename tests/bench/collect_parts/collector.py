"""Spans per second of the real Collector with our enrichment by those without, in rounds that take turns.

The same OTLP batches, made once, go over gRPC through the Collector under test into a second one that drops them. CPU
seconds of the first are what is compared: wall time on shared cores holds the sender and the sink as well, and stands
in the notes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters import collector_files, language_model_file
from greenops.adapters.clock import SystemClock
from greenops.adapters.factor_file import FactorFile
from greenops.adapters.otelcol import find
from greenops.demo.processes import free_ports
from greenops.observe.enrichment_tables import EnrichmentTables, coefficients, region_rows_at
from greenops.pipeline.collector_config import ENRICH, Wiring
from greenops.pipeline.collector_here import files_of
from tests.bench.common.figures import Figure

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS, TRACE, BATCHES = 1000, 4, 40
"""Spans of a batch, of a trace, and batches that are sent in turn [1]."""
ROUNDS = 7
IN_FLIGHT = 4
ROUND_S = 2.0
TICK = os.sysconf("SC_CLK_TCK")
MIX = {"request": 40, "query": 20, "call": 25, "metered": 10, "run": 5}
"""What spans are, in a hundred."""


def figures(*, full: bool = False) -> tuple[list[Figure], dict[str, object]]:
    binary = find()
    if binary is None:
        return [], {"collector": "no Collector here; `make peers` builds one where Go is"}
    batches = [_batch(number) for number in range(BATCHES)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sink = stack.enter_context(_running(binary, Path(folder) / "sink", _sink()))
        kinds = {}
        for kind in ("plain", "enriched"):
            made = _agent(Path(folder) / kind, sink, enriched=kind == "enriched")
            kinds[kind] = stack.enter_context(_running(binary, Path(folder) / kind, made))
        rates: dict[str, list[float]] = {kind: [] for kind in kinds}
        walls: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(ROUNDS * (3 if full else 1) + 1):
            for kind in sorted(kinds, reverse=bool(number % 2)):
                cpu, wall = _round(kinds[kind], batches)
                if number:  # the first is to warm up
                    rates[kind].append(cpu)
                    walls[kind].append(wall)
    ratios = [e / p for e, p in zip(rates["enriched"], rates["plain"], strict=True)]
    ratio = statistics.median(ratios)
    wall = statistics.median(e / p for e, p in zip(walls["enriched"], walls["plain"], strict=True))
    notes = {
        "collector_plain_spans_per_cpu_s": round(statistics.median(rates["plain"])),
        "collector_enriched_spans_per_cpu_s": round(statistics.median(rates["enriched"])),
        "collector_enriched_ratio_rounds": [round(each, 3) for each in sorted(ratios)],
        "collector_enriched_ratio_wall": round(wall, 3),
        "collector_enriched_spans_per_s_wall": round(statistics.median(walls["enriched"])),
        "collector_mix_percent": MIX,
    }
    return [Figure("collector_enriched_ratio", ratio, 0.6, 0.85)], notes


def _round(running, batches):
    """Spans a CPU second of the Collector, and a wall second."""
    before, start = _cpu_s(running.pid), time.perf_counter()
    waiting, sent, number = deque(), 0, 0
    while time.perf_counter() - start < ROUND_S:
        waiting.append(running.export.future(batches[number % len(batches)], timeout=30))
        number += 1
        if len(waiting) >= IN_FLIGHT:
            waiting.popleft().result()
            sent += SPANS
    while waiting:
        waiting.popleft().result()
        sent += SPANS
    took = time.perf_counter() - start
    time.sleep(1.2)  # what waits in its batch processor is its work too
    return sent / (_cpu_s(running.pid) - before), sent / took


def _cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class _Process:
    def __init__(self, pid, port):
        self.pid, self.port = pid, port
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", 1 << 26)]
        )
        grpc.channel_ready_future(self.channel).result(60)
        self.export = self.channel.unary_unary(EXPORT)


@contextmanager
def _running(binary, folder, made):
    folder.mkdir(exist_ok=True)
    port, files = made
    collector_files.write(folder, files)
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [binary, f"--config={folder}/otelcol.yaml"], stdout=log, stderr=log
        )
    try:
        process = _Process(child.pid, port)
        yield process
        process.channel.close()
    finally:
        child.terminate()
        child.wait(30)


def _sink():
    (port,) = free_ports(1)
    text = f"""
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{nop: }}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [nop]}}}}
"""
    return port, {"otelcol.yaml": text}


def _agent(folder, sink, *, enriched):
    """The agent's configuration as it is rendered; the plain one lacks our processor, and nothing else."""
    grpc_port, http_port, health_port = free_ports(3)
    wiring = Wiring(
        tables=folder,
        grpc_port=grpc_port,
        http_port=http_port,
        health_port=health_port,
        upstream=f"127.0.0.1:{sink.port}",
        memory_mib=1024,
    )
    files = files_of("agent", _tables(), wiring)
    if not enriched:
        text = files["otelcol.yaml"]
        lines = [line for line in text.splitlines() if ENRICH not in line]
        files["otelcol.yaml"] = "\n".join(lines)
    return grpc_port, files


def _tables():
    factors = FactorFile(None).table()
    now = SystemClock.from_environment().wall()
    models = coefficients(language_model_file.shipped())
    return EnrichmentTables(
        models, region_rows_at(factors, now), {"nightly-embed": 120.0}, factors.version
    )


def _batch(number):
    """What an SDK sends: one resource, a thousand spans, ten attributes each."""
    message = ExportTraceServiceRequest()
    about = message.resource_spans.add()
    region = ("eu-central-1", "eastus", "us-west-1")[number % 3]
    _set(about.resource, {"service.name": f"shop-{number % 8}", "cloud.region": region,
                          "service.version": "1.4.2", "telemetry.sdk.language": "java"})  # fmt: skip
    scope = about.scope_spans.add()
    now = time.time_ns()
    kinds = [kind for kind, percent in MIX.items() for _ in range(percent)]
    for place in range(SPANS):
        span = scope.spans.add()
        identity = number * SPANS + place + 1
        span.trace_id = (identity // TRACE + 1).to_bytes(16, "big")
        span.span_id = identity.to_bytes(8, "big")
        span.parent_span_id = b"" if place % TRACE == 0 else (identity - 1).to_bytes(8, "big")
        span.start_time_unix_nano, span.end_time_unix_nano = now - 20_000_000, now
        kind = kinds[place * 37 % len(kinds)]
        span.name, span.kind, said = _said(kind, place)
        _set(span, said)
    return message.SerializeToString()


def _said(kind, place):
    common = {
        "thread.id": place % 32,
        "thread.name": f"worker-{place % 32}",
        "code.function.name": "handle",
    }
    match kind:
        case "request":
            return "GET /cart", 2, {**common, "http.request.method": "GET", "url.path": "/cart", "http.route": "/cart", "http.response.status_code": 200, "server.address": "shop", "server.port": 443, "user.id": f"u{place}"}  # fmt: skip
        case "query":
            return "SELECT", 3, {**common, "db.system.name": "postgresql", "db.namespace": "shop", "db.operation.name": "SELECT", "db.collection.name": "cart", "server.address": "db", "server.port": 5432, "db.query.text": "SELECT * FROM cart WHERE user = ?"}  # fmt: skip
        case "call":
            model = ("gpt-4o-2024-08-06", "gpt-4o", "claude-sonnet-4-5", "llama-3.1-8b")[place % 4]
            return "chat", 3, {**common, "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model, "gen_ai.usage.input_tokens": 100 + place, "gen_ai.usage.output_tokens": 50, "server.address": "api.openai.com", "cloud.region": "eastus"}  # fmt: skip
        case "metered":
            return "rank", 1, {**common, "greenops.energy.self": 0.5, "greenops.carbon.self": 0.001, "greenops.items": 32, "greenops.model.name": "ranker", "user.id": "u", "http.route": "/", "peer.service": "x"}  # fmt: skip
        case _:
            return "run nightly-embed", 1, {**common, "cicd.pipeline.name": "nightly-embed", "greenops.workload": "nightly-embed", "cicd.pipeline.run.id": str(place), "a": 1, "b": 2, "c": 3, "d": 4}  # fmt: skip


def _set(target, said):
    names = {str: "string_value", int: "int_value", float: "double_value"}
    for key, value in said.items():
        pair = target.attributes.add()
        pair.key = key
        setattr(pair.value, names[type(value)], value)
