"""Energy of real hashing and compression by four threads, against a meter that knows what each draws.

One core draws 5 W when it hashes and 8 W when it compresses; spans nest and sleep. After half a minute of learning, the
median error of a span in each of five stretches is taken, and the median of these.

python tests/bench/cpu_operations.py [--json]
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import threading
import time
import zlib
from collections import defaultdict
from pathlib import Path
from statistics import median

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span

from greenops.adapters.clock import SystemClock
from greenops.observe.host import Host
from greenops.observe.observer import Observer
from greenops.observe.processor import EnergySpanProcessor
from greenops.testing.meters import SyntheticMeter

WATTS = {"hash": 5.0, "compress": 8.0}
THREADS = 4
LEARN_S = 34.0
STRETCH_S = 5.0
STRETCHES = 5
LEAST_J = 0.02
"""Spans below it are noise of the counter's steps [J]."""
BLOB = os.urandom(32_768) + bytes(32_768)


def alone() -> Host:
    """The synthetic meter draws nothing for other processes: their CPU time must not count."""
    return Host(stat=Path("/nonexistent/stat"))


class Service:
    """Worker threads whose spans are known to the last nanosecond of CPU time."""

    def __init__(self) -> None:
        self.meter = SyntheticMeter(idle=20.0, watts=WATTS)
        self.observer = Observer(lambda: [self.meter], clock=SystemClock(), host=alone)
        self.observer.keep(10**6)
        self.provider = TracerProvider()
        self.provider.add_span_processor(EnergySpanProcessor(self.observer))
        self.tracer = self.provider.get_tracer("bench")
        self.true: dict[int, float] = defaultdict(float)
        self.names: dict[int, str] = {}
        self.stop = threading.Event()

    def work(self, operation: str, key: int, cpu_s: float) -> None:
        ran = 0.0
        while ran < cpu_s:
            began = time.thread_time()
            if operation == "hash":
                hashlib.sha256(BLOB * 8).digest()
            else:
                zlib.compress(BLOB, 6)
            used = time.thread_time() - began
            self.meter.work(operation, used)
            self.true[key] += WATTS[operation] * used
            ran += used

    def request(self, dice: random.Random) -> None:
        outer, inner = dice.sample(list(WATTS), 2)
        with self.tracer.start_as_current_span(outer) as span:
            key = self.note(span, outer)
            self.work(outer, key, dice.expovariate(50))
            if dice.random() < 0.5:
                time.sleep(dice.expovariate(100))
            if dice.random() < 0.7:
                with self.tracer.start_as_current_span(inner) as child:
                    self.work(inner, self.note(child, inner), dice.expovariate(50))
            self.work(outer, key, dice.expovariate(100))
        time.sleep(dice.expovariate(100))

    def note(self, span: Span, name: str) -> int:
        key = span.get_span_context().span_id
        self.names[key] = name
        return key

    def worker(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self.stop.is_set():
            self.request(dice)

    def stretch(self, seconds: float) -> tuple[float, float]:
        """Median error of a span's energy, and what it would be at one rate for all [1]."""
        self.observer.tick()
        self.observer._results.found.clear()
        time.sleep(seconds)
        self.observer.tick()
        with self.observer._lock:
            done = dict(self.observer._results.found)
        spans = [
            (self.true[key], each.energy.self_j, each.cpu_ns)
            for key, each in done.items()
            if each.energy is not None and self.true[key] >= LEAST_J
        ]
        flat = sum(got for _, got, _ in spans) / sum(cpu for _, _, cpu in spans)
        return (
            median(abs(got / true - 1) for true, got, _ in spans),
            median(abs(flat * cpu / true - 1) for true, _, cpu in spans),
        )

    def measure(self) -> dict[str, float]:
        self.observer.run()
        workers = [threading.Thread(target=self.worker, args=(n,)) for n in range(THREADS)]
        for each in workers:
            each.start()
        self.stretch(LEARN_S)
        found = [self.stretch(STRETCH_S) for _ in range(STRETCHES)]
        self.stop.set()
        for each in workers:
            each.join()
        self.provider.shutdown()
        rates = self.observer._books.splitters["package-0"].rates
        assert rates is not None
        return {
            "real_cpu_operation_error": median(error for error, _ in found),
            "real_cpu_flat_error": median(error for _, error in found),
            "real_cpu_learned_ratio": rates.learned.rate("compress") / rates.learned.rate("hash"),
        }


def main() -> int:
    found = Service().measure()
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.writelines(f"{name} {value:.4f}\n" for name, value in found.items())
    return 0


if __name__ == "__main__":
    sys.exit(main())
