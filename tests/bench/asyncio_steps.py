"""CPU time of overlapping requests, summed and over the truth: `python tests/bench/asyncio_steps.py [--json]`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import sys
import time

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from greenops.adapters.clock import SystemClock
from greenops.observe.observer import Observer
from greenops.observe.processor import EnergySpanProcessor
from greenops.observe.steps import Steps
from greenops.testing.meters import SyntheticMeter

REQUESTS = 32
STEPS = 20
ROUNDS = 5
LOW, HIGH = 0.95, 1.05


class Run:
    """One event loop with requests that overlap, and what each really used [s]."""

    def __init__(self, *, metered: bool) -> None:
        self.observer = Observer(lambda: [SyntheticMeter()], clock=SystemClock())
        self.observer.run()
        self.spans = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(EnergySpanProcessor(self.observer))
        self.provider.add_span_processor(BatchSpanProcessor(self.spans))
        self.steps = Steps(self.observer.switch)
        self.true: dict[str, float] = {}
        if metered:
            self.steps.install()

    async def request(self, name: str, step_s: float) -> None:
        tracer, used = self.provider.get_tracer("bench"), 0.0
        with tracer.start_as_current_span(name):
            for _ in range(STEPS):
                started = time.thread_time()
                while time.thread_time() - started < step_s:
                    hashlib.sha256(b"x" * 5_000).digest()
                used += time.thread_time() - started
                await asyncio.sleep(0.001)
        self.true[name] = used

    async def main(self) -> None:
        await asyncio.gather(
            *(self.request(str(each), 0.0004 * (1 + each % 4)) for each in range(REQUESTS))
        )

    def measure(self) -> tuple[float, float]:
        """Sum over truth, and the median error of one request."""
        try:
            asyncio.run(self.main())
            self.provider.force_flush()
            found = {
                span.name: self.observer.take(span.context.span_id).cpu_ns / 1e9
                for span in self.spans.get_finished_spans()
            }
        finally:
            self.steps.remove()
            self.provider.shutdown()
        errors = [abs(found[name] / used - 1) for name, used in self.true.items()]
        return sum(found.values()) / sum(self.true.values()), statistics.median(errors)


def step_us(*, metered: bool, steps: int = 20_000) -> float:
    """What one step of a coroutine costs [us]."""
    run = Run(metered=metered)

    async def main() -> float:
        started = time.perf_counter()
        for _ in range(steps):
            await asyncio.sleep(0)
        return (time.perf_counter() - started) / steps * 1e6

    try:
        return asyncio.run(main())
    finally:
        run.steps.remove()
        run.provider.shutdown()


def main() -> int:
    rounds = [Run(metered=True).measure() for _ in range(ROUNDS)]
    _, naive = Run(metered=False).measure()
    bare = min(step_us(metered=False) for _ in range(ROUNDS))
    ours = min(step_us(metered=True) for _ in range(ROUNDS))
    found = {
        "asyncio_sum_over_true": statistics.median(ratio for ratio, _ in rounds),
        "asyncio_request_error": statistics.median(error for _, error in rounds),
        "asyncio_unmetered_request_error": naive,
        "asyncio_step_us": bare,
        "asyncio_metered_step_us": ours,
    }
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.writelines(f"{name} {value:.4f}\n" for name, value in found.items())
    return 0 if LOW <= found["asyncio_sum_over_true"] <= HIGH else 1


if __name__ == "__main__":
    sys.exit(main())
