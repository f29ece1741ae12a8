"""`greenops serve` with a taken port, a damaged lake, a full disk, garbage at its doors."""

from __future__ import annotations

import random
import resource
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.domain.evidence import EntryKind
from greenops.errors import DataMissing
from greenops.pipeline.evidence import open_ledger, verify

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(90)]

NIGHT = datetime(2021, 10, 8, 7, 0, tzinfo=UTC)


def stop(server):
    """End a server as an operator does; its exit code."""
    server.terminate()
    return server.wait(60)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["api", "grpc", "http"])
def test_a_taken_port_ends_serve_with_code_4_and_one_line(house, which):
    made = house()
    with socket.socket() as other:
        other.bind(("127.0.0.1", made.ports[which]))
        other.listen()

        server = made.serve(ready=False)

        assert server.wait(60) == 4, made.log
    assert made.log.count("\n") == 1, made.log
    assert made.log.startswith(
        f"greenops: GO0501 port {made.ports[which]} on 127.0.0.1 is taken; end what listens there"
    )


def lake_files(made):
    return sorted((made.state / "lake" / "v1" / "spans").glob("day=*/*.parquet"))


def test_a_damaged_lake_file_is_named_and_the_rest_counts(house, tools):
    made = house()
    server = made.serve()
    rng = random.Random(3)
    for _ in range(2):
        message, _ids = tools.spans(rng, 10)
        before = len(lake_files(made))
        assert tools.post(made.otlp, message)
        assert tools.until(lambda n=before: len(lake_files(made)) > n, 10), "not flushed"
    assert stop(server) == 0, made.log
    damaged = lake_files(made)[0]
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])

    server = made.serve()

    seen = requests.get(f"{made.api}/v1/overview", timeout=30).json()
    assert "GO0412" in made.log
    assert str(damaged) in made.log
    assert "Traceback" not in made.log
    assert seen["spans"] == 10
    with pytest.raises(DataMissing, match=f"GO0412 {damaged}"):
        list(ParquetLake(made.state / "lake").spans())
    message, _ = tools.spans(rng, 5)
    assert tools.post(made.otlp, message)
    after = requests.get(f"{made.api}/v1/overview", timeout=30).json()
    assert after["spans"] == 15


def fill(server, path):
    """From now on the server may write no file beyond the size of this one, as on a full disk."""
    size = path.stat().st_size if path else 0
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def free(server):
    """Take the limit away."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)


def ask(made, key):
    """What `greenops run` asks of the server: status and answer."""
    body = {"workload": "nightly-enrichment", "run_key": key, "submitted": made.now().isoformat()}
    answer = requests.post(f"{made.api}/v1/jobs", json=body, timeout=30)
    return answer.status_code, answer.json()


def long_ledger(made):
    """A ledger so long that it is the first file to reach a limit."""
    with open_ledger(made.state, SystemClock()) as ledger:
        ledger.append(EntryKind.REFUSAL, {"why": "x" * 4_000_000})
    return made.state / "ledger" / "ledger.jsonl"


@pytest.mark.feature("C11")
def test_a_ledger_without_room_is_a_line_and_nothing_is_half_written(house, tools):
    made = house()
    made.replay = tools.replay_at(NIGHT, 1.0)
    ledger = long_ledger(made)
    server = made.serve()
    assert tools.until(lambda: len(made.entries()) == 4, 15), "no placements"
    before = ledger.read_bytes()
    fill(server, ledger)

    full = [ask(made, "night/1"), ask(made, "night/1"), ask(made, "night/2")]

    assert ledger.read_bytes() == before
    assert verify(made.state).problems == ()
    for status, answer in full:
        assert status == 503, full
        assert answer["error"].startswith(f"GO0401 {ledger}: "), full
        assert "\n" not in answer["error"], full

    free(server)
    status, answer = ask(made, "night/1")
    assert (status, answer.get("job_id")) == (200, "night/1"), answer
    found = verify(made.state)
    assert found.problems == ()
    added = [entry["body"] for entry in made.entries()[4:]]
    jobs = [body["record"]["decision"]["job_id"] for body in added if "record" in body]
    assert jobs.count("night/1") == 1, "the decision is not in the ledger"
    assert stop(server) == 0, made.log
    assert "Traceback" not in made.log, made.log


def test_a_control_state_without_room_is_a_line_and_goes_on_once_it_is_free(house, tools):
    made = house()
    made.replay = tools.replay_at(NIGHT, 1.0)
    server = made.serve()
    assert tools.until(lambda: len(made.entries()) == 3, 15), "no placements"
    fill(server, None)

    status, answer = ask(made, "night/1")

    assert status == 503
    assert answer["error"].startswith(f"GO0601 {made.state / 'state.db'}: "), answer
    assert verify(made.state).problems == ()
    free(server)
    status, answer = ask(made, "night/1")
    assert (status, answer.get("job_id")) == (200, "night/1"), answer
    assert stop(server) == 0, made.log
    assert verify(made.state).problems == ()


def test_a_full_disk_acknowledges_no_spans_and_takes_them_once_it_is_free(house, tools):
    made = house()
    server = made.serve()
    rng = random.Random(5)
    first, early = tools.spans(rng, 10)
    second, late = tools.spans(rng, 10)
    assert tools.post(made.otlp, first)
    fill(server, None)

    kind = {"content-type": "application/x-protobuf"}
    refused = requests.post(made.otlp, second.SerializeToString(), headers=kind, timeout=30)
    free(server)
    assert tools.post(made.otlp, second)
    assert stop(server) == 0, made.log

    assert refused.status_code == 503
    assert b"GO0410" in refused.content
    read = Counter(row.span_id for row in ParquetLake(made.state / "lake").spans())
    assert read == dict.fromkeys(early | late, 1)


def throw_garbage(made, rng, stop):
    """Everything but OTLP, at both OTLP ports and the API, again and again."""
    thrown = 0
    kinds = ("application/x-protobuf", "application/json", "text/html")
    while not stop.is_set():
        for port in made.ports:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
                raw.sendall(rng.randbytes(rng.randint(1, 4096)))
        for url in (made.otlp, f"{made.api}/v1/jobs"):
            body, kind = rng.randbytes(rng.randint(0, 4096)), {"content-type": rng.choice(kinds)}
            assert requests.post(url, body, headers=kind, timeout=30).status_code >= 400
        thrown += 5
    return thrown


def send_real_spans(port, count):
    """Spans of the real SDK over gRPC; their ids."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("flow")
    for number in range(count):
        tracer.start_span(f"op {number}").end()
    provider.shutdown()
    return {f"{span.context.span_id:016x}" for span in memory.get_finished_spans()}


def test_garbage_at_every_port_while_spans_flow_loses_nothing(house, tools):
    made = house()
    server = made.serve()
    rng, done = random.Random(9), threading.Event()

    with ThreadPoolExecutor() as pool:
        garbage = pool.submit(throw_garbage, made, rng, done)
        try:
            sent = send_real_spans(made.ports[1], 300)
        finally:
            done.set()
        thrown = garbage.result(10)

    assert made.answers()
    assert stop(server) == 0, made.log
    assert (thrown >= 20, len(sent)) == (True, 300)
    read = Counter(row.span_id for row in ParquetLake(made.state / "lake").spans())
    assert read == dict.fromkeys(sent, 1)
    assert "Traceback" not in made.log, made.log
