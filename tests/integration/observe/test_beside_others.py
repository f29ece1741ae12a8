"""Beside Logfire, Traceloop (OpenLLMetry) and OpenLIT, each real, where it is installed; network off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from greenops.observe import join
from greenops.observe.attach import leaves
from greenops.observe.unsampled import Unsampled

HEAD = """
import json, socket, sys
def refuse(*_, **__): raise OSError("no network in this test")
socket.socket.connect = refuse
from opentelemetry import trace
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import greenops
seen = InMemorySpanExporter()
def work(): return sum(range(1_000_000))
"""
TAIL = """
with trace.get_tracer("service").start_as_current_span("plain"):
    work()
trace.get_tracer_provider().force_flush()
from greenops.pipeline import instrument
instrument.shutdown()
print("SPANS", json.dumps({s.name: s.attributes.get("greenops.energy.self") for s in seen.get_finished_spans()}))
"""
LOGFIRE = """
import logfire
logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[BatchSpanProcessor(seen)])
greenops.init()
with logfire.span("theirs"):
    work()
"""
TRACELOOP = """
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import workflow
Traceloop.init(app_name="shop", exporter=seen, telemetry_enabled=False, instruments=set())
greenops.init()
@workflow(name="theirs")
def flow(): return work()
flow()
"""
OPENLIT = """
import openlit
openlit.init(disable_metrics=True, disable_events=True)
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(seen))
greenops.init()
with openlit.start_trace("theirs"):
    work()
"""


def beside(body: str, folder: Path) -> dict[str, float | None]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GREENOPS_"))}
    done = subprocess.run(
        [sys.executable, "-c", HEAD + body + TAIL],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env={
            **clean,
            "TRACELOOP_TELEMETRY": "false",
            "TRACELOOP_METRICS_ENABLED": "false",
            "GREENOPS_STATE": str(folder),
        },
    )
    assert done.returncode == 0, done.stderr
    assert "GO07" not in done.stderr, done.stderr
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("SPANS ")]
    found: dict[str, float | None] = json.loads(line.removeprefix("SPANS "))
    return found


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    ("package", "body", "span"),
    [
        ("logfire", LOGFIRE, "theirs"),
        ("traceloop", TRACELOOP, "theirs.workflow"),
        ("openlit", OPENLIT, "theirs"),
    ],
)
def test_spans_of_the_real_package_flow_and_carry_energy(
    package: str, body: str, span: str, tmp_path: Path
) -> None:
    if find_spec(package) is None:
        pytest.skip(f"no {package}; docs/how-to/instrument-a-service.md says how to install it")

    found = beside(body, tmp_path)

    assert {span, "plain"} <= set(found)
    assert all(energy is not None and energy > 0 for energy in found.values())


class Proxy(trace.TracerProvider):
    """A global provider that stands for another, as Logfire's."""

    def __init__(self, provider: trace.TracerProvider | metrics.MeterProvider) -> None:
        self.provider = provider

    def get_tracer(self, *args: object, **kwargs: object) -> trace.Tracer:
        raise NotImplementedError


class Wrapper(SpanProcessor):
    """Does something with spans, then hands them on."""

    def __init__(self, inner: SpanProcessor) -> None:
        self.processor = inner

    def on_end(self, span: object) -> None:
        raise NotImplementedError


def test_the_provider_behind_a_proxy_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    traces, accounts = TracerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: Proxy(Proxy(traces)))
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: Proxy(accounts))

    assert join.provider_is_set()
    assert join.tracer_provider("s", None, None) is traces
    assert join.meter_provider(Resource.get_empty()) is accounts


def test_exporters_inside_of_wrapped_processors_are_found() -> None:
    seen, own = InMemorySpanExporter(), SpanProcessor()
    inner, batch = SynchronousMultiSpanProcessor(), BatchSpanProcessor(seen)
    for each in (own, batch):
        inner.add_span_processor(each)

    found = list(leaves(Wrapper(Wrapper(inner))))

    assert found == [own, batch]
    batch.shutdown()


def test_a_wrapper_is_judged_by_what_it_wraps() -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(Wrapper(SimpleSpanProcessor(InMemorySpanExporter())))

    assert Unsampled(provider, SpanProcessor()).recorded


def test_a_wrapper_of_itself_is_looked_into_no_deeper_than_need_be() -> None:
    loop = Wrapper(SpanProcessor())
    loop.processor = loop

    assert list(leaves(loop)) == [loop]
