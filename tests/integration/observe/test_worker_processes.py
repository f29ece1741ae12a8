"""Work in processes and in threads that the interpreter does not know: pools of every start method, and a real BLAS."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from math import fsum
from pathlib import Path

import pytest

from greenops.domain.energy import Category
from greenops.observe import attributes as names
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import Service, number

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GREENOPS_"))}
POOL = """
import json, multiprocessing, os, sys, time
from pathlib import Path
import greenops
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader, MetricExporter, MetricExportResult, PeriodicExportingMetricReader)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

FOLDER = Path(os.environ["FOLDER"])

def write(kind, told):
    with (FOLDER / f"{kind}-{os.getpid()}.jsonl").open("a") as file:
        file.write("".join(json.dumps(each) + "\\n" for each in told))

class Spans(SpanExporter):
    def export(self, spans):
        write("spans", [[span.name, dict(span.attributes)] for span in spans])
        return SpanExportResult.SUCCESS

class Accounts(MetricExporter):
    def export(self, data, timeout_millis=0, **_):
        write("accounts", [
            {p.attributes["greenops.energy.category"]: p.value
             for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics
             if m.name == "greenops.energy" for p in m.data.data_points}])
        return MetricExportResult.SUCCESS
    def force_flush(self, timeout_millis=0): return True
    def shutdown(self, timeout_millis=0, **_): pass

made = TracerProvider()
made.add_span_processor(BatchSpanProcessor(Spans()))
trace.set_tracer_provider(made)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(Accounts(), 3_600_000)]))
greenops.init()

def work(number):
    with trace.get_tracer("pool").start_as_current_span(f"job {number}"):
        began = time.thread_time()
        while time.thread_time() - began < 0.05:
            sum(range(1000))
    return os.getpid()

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        pids = pool.map(work, range(6), chunksize=1)
        pool.close()
        pool.join()
    print(json.dumps(sorted(set(pids))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_spans_of_a_pools_workers_carry_energy_and_their_accounts_agree(
    method: str, tmp_path: Path
) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system starts no process by {method}")
    script = tmp_path / "pool.py"
    script.write_text(POOL)

    done = subprocess.run(
        [sys.executable, str(script), method],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**CLEAN, "FOLDER": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
    )

    assert done.returncode == 0, done.stderr
    spans = []
    for pid in json.loads(done.stdout):
        lines = (tmp_path / f"spans-{pid}.jsonl").read_text().splitlines()
        mine = [json.loads(line) for line in lines]
        energy = fsum(attributes[names.ENERGY_SELF] for _, attributes in mine)
        accounts = (tmp_path / f"accounts-{pid}.jsonl").read_text().splitlines()
        assert json.loads(accounts[-1])[Category.ATTRIBUTED] == pytest.approx(energy, rel=1e-9)
        assert energy > 0
        spans += [name for name, _ in mine]
    assert sorted(spans) == [f"job {number}" for number in range(6)]


def test_the_threads_of_a_blas_work_for_the_span_that_waits_for_them(meter: SyntheticMeter) -> None:
    numpy = pytest.importorskip("numpy", reason="no numpy; pip install numpy")
    one = numpy.random.default_rng(1).random((700, 700))
    one @ one  # its threads start with the first product
    service = Service(lambda: [meter])
    with service.tracer.start_as_current_span("parent"):
        began, of_ours, used = time.process_time(), time.thread_time(), 0.0
        while used < 0.6:
            one @ one
            before, used = used, time.process_time() - began
            meter.work("parent", used - before)
        mine = time.thread_time() - of_ours
        # Its threads spin for a while after a product: what they did for this span is booked before they go on for nobody.
        service.observer.look()
    (span,) = service.finish()

    if used < 1.2 * mine:
        pytest.skip("numpy's BLAS has one thread here; unset OPENBLAS_NUM_THREADS, on two cores")
    assert number(span, names.ENERGY_SELF) == pytest.approx(meter.truth["parent"], rel=0.1)
    assert (span.attributes or {})[names.COST_SELF] == pytest.approx(used * 0.05 / 3600, rel=0.1)
