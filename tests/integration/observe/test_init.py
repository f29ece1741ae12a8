"""`greenops.init()` in processes of its own: providers are global, so each test gets a fresh one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import sys, types, json
from greenops.domain.factors import FactorTable
fake = types.ModuleType("greenops.adapters.factor_file")
class FactorFile:
    def __init__(self, path=None, shipped=True): pass
    def table(self): return FactorTable("v", {})
fake.FactorFile = FactorFile
sys.modules["greenops.adapters.factor_file"] = fake
import greenops
from opentelemetry import trace, metrics
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
def join():
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(memory))
    trace.set_tracer_provider(made)
    return made
def show():
    print(json.dumps([[s.name, dict(s.attributes)] for s in memory.get_finished_spans()]))
"""


def run(body: str, folder: Path, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + body],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
        env={"PATH": "/usr/bin:/bin", "GREENOPS_METER_LOG": str(folder), **environ},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
def test_init_joins_the_provider_that_is_there_and_twice_is_once(tmp_path: Path) -> None:
    out = run(
        """
provider = join()
greenops.init(workload="w")
greenops.init()
assert len(provider._active_span_processor._span_processors) == 2
with greenops.operation("work"):
    sum(range(100000))
@greenops.operation("call")
def call(): return 7
assert call() == 7
@greenops.operation("async")
async def later(): return 8
import asyncio
assert asyncio.run(later()) == 8
provider.shutdown()
show()
""",
        tmp_path,
    )

    spans = dict(json.loads(out))

    assert set(spans) == {"work", "call", "async"}
    assert all(attributes["greenops.energy.self"] >= 0 for attributes in spans.values())
    (log,) = tmp_path.glob("w-*.jsonl")
    assert len(log.read_text().splitlines()) >= 2


@pytest.mark.slow
def test_a_batch_span_names_its_pipeline_run_workload_and_decision(tmp_path: Path) -> None:
    out = run(
        """
join()
greenops.init()
with greenops.batch("run nightly", workload="nightly-enrichment"):
    pass
from greenops.pipeline import instrument
instrument.shutdown()
show()
""",
        tmp_path,
        GREENOPS_RUN_KEY="key-1",
        GREENOPS_DECISION_ID="decision-1",
    )

    ((name, attributes),) = json.loads(out)

    assert name == "run nightly"
    assert attributes["cicd.pipeline.name"] == "nightly"
    assert attributes["cicd.pipeline.run.id"] == "key-1"
    assert attributes["greenops.workload"] == "nightly-enrichment"
    assert attributes["greenops.decision.id"] == "decision-1"


@pytest.mark.slow
def test_init_makes_a_provider_and_wrap_serves_exporters_of_ones_own(tmp_path: Path) -> None:
    out = run(
        """
greenops.init(service="shop", region="eu-central-1")
provider = trace.get_tracer_provider()
assert isinstance(provider, TracerProvider)
assert provider.resource.attributes["service.name"] == "shop"
assert type(provider.sampler).__name__ == "AlwaysRecordSampler"
wrapped = greenops.wrap(memory)
provider.add_span_processor(BatchSpanProcessor(wrapped))
with greenops.operation("work"):
    pass
provider.force_flush()
show()
""",
        tmp_path,
    )

    ((_, attributes),) = json.loads(out)

    assert "greenops.energy.self" in attributes
    assert attributes["greenops.carbon.unknown"] == "no_region"


@pytest.mark.slow
def test_init_never_raises(tmp_path: Path) -> None:
    run("greenops.init()\n", tmp_path, GREENOPS_REPLAY="broken")


@pytest.mark.slow
def test_a_concurrent_processor_is_told_apart(tmp_path: Path) -> None:
    out = run(
        """
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor
made = TracerProvider(active_span_processor=ConcurrentMultiSpanProcessor())
made.add_span_processor(BatchSpanProcessor(memory))
trace.set_tracer_provider(made)
greenops.init()
with greenops.operation("work"):
    pass
made.shutdown()
show()
""",
        tmp_path,
    )

    ((_, attributes),) = json.loads(out)

    assert attributes["greenops.energy.unknown"] == "clock_unavailable"


@pytest.mark.slow
def test_importing_and_starting_brings_no_heavy_library(tmp_path: Path) -> None:
    out = run(
        """
join()
greenops.init()
print([name for name in ("numpy", "pyarrow", "celpy", "requests", "grpc") if name in sys.modules])
""",
        tmp_path,
    )

    assert out.strip() == "[]"
