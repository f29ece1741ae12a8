"""What a receiver costs, what memory it holds under load, and whether it loses what it acknowledged.

Speed: CPU seconds from a message's bytes to summed rows in a Parquet file, on one core, enrichment and the metrics
page included; gRPC and HTTP are not in it. Memory: a real `greenops serve` that gets new spans over gRPC. Loss:
receivers that are killed by SIGKILL, and such whose disk is full, while spans are sent; then what was acknowledged is
looked for in the lake.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.demo.processes import free_ports
from greenops.pipeline.enriching import Enriching
from greenops.pipeline.footprint import Footprint
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry
from greenops.service.otlp_bodies import PROTOBUF, parsed
from tests.bench.common.figures import Figure

ALONE = """
import json
from greenops.adapters.allocator import hold_little
hold_little()
from tests.bench.collect_parts.receiver import speed
print(json.dumps(speed()))
"""
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
ROOT = Path(__file__).parents[3]
RECEIVER = ROOT / "tests" / "integration" / "service" / "receiver.py"
SPANS, TRACE = 1000, 4
"""Spans of a message and of a trace [1]."""
MESSAGES, ROUNDS = 50, 7
RATE = 10_000
"""Spans per second of the load on memory."""
SHORT_S, LONG_S = 60, 600
KILLS, FILLS = (20, 100), 20
"""Kills in short and in full [1]; five seconds each."""
SMALL = 40
"""Spans of a message to a receiver that is killed [1]."""
RESOURCE = {
    "service.name": "search",
    "service.instance.id": "search-1",
    "greenops.workload": "search",
    "cloud.region": "eu-north-1",
    "greenops.energy.method": "measured",
}


def figures(*, full: bool = False) -> tuple[list[Figure], dict[str, object]]:
    speed, parts = _speed()
    rss, slope, served, per_cpu_s, beside = _memory(LONG_S if full else SHORT_S)
    kills = KILLS[full]
    killed, of_killed = _killed(kills)
    filled, of_filled = _filled(FILLS)
    notes = {
        **parts,
        "receiver_rss_slope_mb_per_min": slope,
        "receiver_roll_ups_process_rss_mb": beside,
        "receiver_rss_spans_per_s": served,
        "receiver_served_spans_per_cpu_s": per_cpu_s,
        "receiver_rss_seconds": LONG_S if full else SHORT_S,
        "receiver_acknowledged_under_kills": of_killed,
        "receiver_acknowledged_on_a_full_disk": of_filled,
        "receiver_kills": kills,
    }
    return [
        Figure("receiver_spans_per_s", speed, 25_000, 100_000, note="per core, CPU time"),
        Figure("rss_mb", rss, 400, 250, at_most=True, note=f"{slope:+.1f} MB a minute"),
        Figure("acknowledged_lost", killed + filled, 0, 0, at_most=True),
    ], notes


def message(dice: random.Random, count: int = SPANS) -> ExportTraceServiceRequest:
    """Spans of ten attributes, four a trace; one of the four calls a language model and has no energy."""
    found = ExportTraceServiceRequest()
    part = found.resource_spans.add()
    for key, value in RESOURCE.items():
        part.resource.attributes.add(key=key).value.string_value = value
    scope, now = part.scope_spans.add(), time.time_ns()
    for number in range(count):
        place = number % TRACE
        span = scope.spans.add(
            name=("GET /search", "embed", "chat gpt-4o", "rank")[place],
            kind=(2, 1, 3, 1)[place],
            start_time_unix_nano=now + number * 1000,
            end_time_unix_nano=now + number * 1000 + dice.randrange(10**8),
        )
        _say(span, dice, asks=place == 2)
    return renewed(found, dice)


def _say(span, dice: random.Random, *, asks: bool) -> None:
    joules = dice.uniform(0.01, 5.0)
    said = {
        "http.request.method": "GET",
        "url.path": f"/search/{dice.randrange(1000)}",
        "http.response.status_code": 200,
        "server.address": f"10.0.0.{dice.randrange(20)}",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
        "thread.id": dice.randrange(64),
    }
    if asks:
        said |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": dice.randrange(1, 4000),
            "gen_ai.usage.output_tokens": dice.randrange(1, 1000),
        }
    else:
        said |= {
            "greenops.energy.self": joules,
            "greenops.energy.low": joules * 0.8,
            "greenops.energy.high": joules * 1.2,
            "greenops.carbon.self": joules / 1e4,
        }
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    for key, value in said.items():
        setattr(span.attributes.add(key=key).value, kinds[type(value)], value)


def renewed(request: ExportTraceServiceRequest, dice: random.Random) -> ExportTraceServiceRequest:
    """The same message with other ids, in traces of four."""
    trace = root = b""
    for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
        if number % TRACE == 0:
            trace, root = dice.randbytes(16), dice.randbytes(8)
        span.trace_id = trace
        span.span_id = dice.randbytes(8) if number % TRACE else root
        span.parent_span_id = root if number % TRACE else b""
    return request


def _speed() -> tuple[float, dict[str, object]]:
    """In a process of its own, which takes its memory as `greenops serve` does."""
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    median, notes = json.loads(done.stdout)
    return median, notes


def speed() -> tuple[float, dict[str, object]]:
    """Spans per CPU second, median of some rounds, and what of it goes where."""
    messages = [message(random.Random(n)).SerializeToString() for n in range(MESSAGES)]
    rounds = [_round(messages) for _ in range(ROUNDS)]
    takes, flushes, gaps = (np.array(each) for each in zip(*rounds, strict=True))
    spans = SPANS * MESSAGES
    best = int(np.argmin(takes + flushes))
    return float(spans / np.median(takes + flushes)), {
        "receiver_best_spans_per_s": float(spans / (takes + flushes)[best]),
        "receiver_take_us_per_span": float(np.median(takes) / spans * 1e6),
        "receiver_flush_us_per_span": float(np.median(flushes) / spans * 1e6),
        "receiver_otlp_bytes_per_span": len(messages[0]) / SPANS,
        "receiver_spans_without_energy": int(gaps[-1]),
    }


def _round(messages: list[bytes]) -> tuple[float, float, int]:
    """CPU seconds of taking and of flushing, and how many spans have no energy then."""
    with tempfile.TemporaryDirectory() as folder:
        lake, sums, clock = ParquetLake(Path(folder)), Footprint(), SystemClock()
        enriching = Enriching.shipped()
        intake = Intake(lake, Wal(Path(folder) / "wal"), sums, clock, enriching)
        page = Telemetry(
            sums.energy_by_workload, sums.residual, lambda: 1.0, sums.more_counters, sums.scores
        )
        intake.listeners.append(page)
        intake.recover()
        # As `greenops serve` does at its start.
        enriching.enricher()
        begun = time.process_time()
        for raw in messages:
            intake.traces(parsed(raw, PROTOBUF, ExportTraceServiceRequest()), raw)
        taken = time.process_time()
        intake.flush()
        flushed = time.process_time()
        assert sums.spans == SPANS * len(messages)
        return taken - begun, flushed - taken, sums.spans_unknown


def _memory(seconds: float) -> tuple[float, float, float, float, float]:
    """Most memory of a real server under load [MB], its growth in the second half [MB/min], spans per second
    of wall time and of all of its CPU time, gRPC, loop and lake included, and most memory of the process that it
    lets make roll-ups now and then [MB].
    """
    dice, template = random.Random(1), message(random.Random(0))
    samples: list[tuple[float, float]] = []
    beside = 0.0
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder)) as (server, channel):
        export = _stub(channel)
        begun, sent, used = time.monotonic(), 0, _cpu_s(server.pid)
        waiting: deque[grpc.Future] = deque()
        while (now := time.monotonic() - begun) < seconds:
            if sent < now * RATE:
                waiting.append(export.future(renewed(template, dice), timeout=60))
                sent += SPANS
                if len(waiting) > 4:
                    waiting.popleft().result()
            else:
                time.sleep(0.01)
            if not samples or now - samples[-1][0] >= 1:
                samples.append((now, _resident(server.pid)))
                beside = max(beside, _resident_of_children(server.pid))
        for each in waiting:
            each.result()
        passed, used = time.monotonic() - begun, _cpu_s(server.pid) - used
    half = np.array(samples[len(samples) // 2 :])
    slope = float(np.polyfit(half[:, 0], half[:, 1], 1)[0] * 60)
    return max(each for _, each in samples), slope, sent / passed, sent / used, beside


@contextmanager
def _serving(folder: Path):
    api, grpc_port, http = free_ports(3)
    ports = ("--api-port", api, "--otlp-grpc-port", grpc_port, "--otlp-http-port", http)
    command = (sys.executable, "-m", "greenops.cli.main", "serve", *map(str, ports))
    ours = {"GREENOPS_STATE": str(folder / "state"), "GREENOPS_POLICIES": str(folder / "none")}
    (folder / "none").mkdir()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **ours}, cwd=folder, stderr=log)
        try:
            with _channel(grpc_port) as channel:
                grpc.channel_ready_future(channel).result(60)
                yield server, channel
        finally:
            server.terminate()
            server.wait(60)


def _killed(times: int) -> tuple[int, int]:
    """Spans that were acknowledged and are in no lake after so many kills; and how many were acknowledged."""
    dice = random.Random(8)
    with tempfile.TemporaryDirectory() as folder:
        acknowledged: set[str] = set()
        for _ in range(times):
            with _receiving(folder) as (process, export):
                timer = threading.Timer(dice.uniform(0.05, 0.5), process.kill)
                timer.start()
                _send(export, dice, acknowledged, lambda: process.poll() is None)
                timer.join()
        return _lost(folder, acknowledged), len(acknowledged)


def _filled(times: int) -> tuple[int, int]:
    """The same of one receiver that finds no room for a file again and again, and is killed at last."""
    dice = random.Random(9)
    with tempfile.TemporaryDirectory() as folder:
        acknowledged: set[str] = set()
        with _receiving(folder) as (process, export):
            for number in range(times):
                size = dice.randrange(60_000) if number % 2 == 0 else resource.RLIM_INFINITY
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
                until = time.monotonic() + 0.3
                _send(export, dice, acknowledged, lambda: time.monotonic() < until)  # noqa: B023
            process.kill()
        return _lost(folder, acknowledged), len(acknowledged)


def _send(export, dice, acknowledged, going) -> None:
    template = message(dice, SMALL)
    while going():
        made = renewed(template, dice)
        try:
            export(made, timeout=5)
        except grpc.RpcError:
            continue
        acknowledged |= {span.span_id.hex() for span in made.resource_spans[0].scope_spans[0].spans}


def _lost(folder: str, acknowledged: set[str]) -> int:
    lake, clock = ParquetLake(Path(folder)), SystemClock()
    intake = Intake(lake, Wal(Path(folder) / "wal"), Footprint(), clock)
    intake.recover()
    return len(acknowledged - {row.span_id for row in lake.spans()})


@contextmanager
def _receiving(folder: str):
    process = subprocess.Popen(
        [sys.executable, RECEIVER, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with _channel(port) as channel:
            yield process, _stub(channel)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _channel(port: int):
    return grpc.insecure_channel(f"127.0.0.1:{port}")


def _stub(channel):
    return channel.unary_unary(
        EXPORT, ExportTraceServiceRequest.SerializeToString, ExportTraceServiceResponse.FromString
    )


def _cpu_s(pid: int) -> float:
    """CPU time of a process [s]."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _resident_of_children(pid: int) -> float:
    """Memory that the processes hold that a process started [MB]."""
    listed = [each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    found = 0.0
    for child in {int(each) for some in listed for each in some}:
        with suppress(OSError):  # it ended meanwhile
            found += _resident(child)
    return found


def _resident(pid: int) -> float:
    """Memory that a process holds [MB]."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
