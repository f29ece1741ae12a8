"""Energy of requests in continuous batches on one GPU, in virtual time, against what each is known to have caused.

An iteration draws a fixed part, a part per token written that grows with the context, and a part per token read; the
fixed part belongs to the batch in equal parts. The counter steps every 100 ms and carries 3 % of noise.
What this cannot show is how well the form of the cost fits a real device: tests/gpu does, where there is one.

python tests/bench/gpu_batches.py [--json]
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from statistics import median

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.observe.attribution import Attribution, Finished, Tick
from greenops.units import Joules, Watts

MS = 1_000_000
GPU = "gpu-0"
IDLE_W = 70.0
TICK_MS = 100.0
STEP_MS = 101.0
"""The counter's own pace: it comes late by half a tick, and now and then a tick sees no step."""
LEARN_S = 60.0
MEASURE_S = 90.0
FIXED_J = 1.6
WRITTEN_J = 0.045
READ_J = 0.012
CONTEXT_J = 6e-6
NOISE = 0.03


@dataclass
class Request:
    key: int
    prompt: int
    left: int
    context: int = 0
    true: float = 0.0


class Engine:
    """Requests come at random; each iteration reads a new prompt or writes one token for all that run."""

    def __init__(self, batch: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.books = Attribution(
            [
                MeterInfo(
                    "nvml",
                    GPU,
                    "gpu",
                    Method.MEASURED,
                    Boundary.CHIP,
                    0.05,
                    idle_power=Watts(IDLE_W),
                )
            ]
        )
        self.running: list[Request] = []
        self.true: dict[int, float] = {}
        self.done: dict[int, Finished] = {}
        self.now = self.next_tick = self.next_step = self.arrives = 0.0
        self.drawn = self.shown = 0.0
        self.keys = 0
        # By Little's law, for 200 tokens of some 25 ms each.
        self.gap = 200 * self.iteration_ms(batch) / batch
        self.tick()

    def iteration_ms(self, batch: int) -> float:
        return 15.0 + 0.1 * batch

    def arrive(self) -> None:
        while self.arrives <= self.now:
            self.arrives += self.dice.expovariate(1 / self.gap)
            self.keys += 1
            made = Request(
                self.keys,
                int(self.dice.lognormvariate(5.5, 0.8)),
                1 + int(self.dice.expovariate(1 / 200)),
            )
            self.books.spans.start(made.key, "chat", None, made.key, 0, self.ns)
            self.running.append(made)

    @property
    def ns(self) -> int:
        return int(self.now * MS)

    def iterate(self) -> None:
        batch = len(self.running)
        if not batch:
            self.advance(1.0, 0.0)
            return
        before = sum(each.true for each in self.running)
        for each in self.running:
            span = self.books.spans.open[each.key]
            each.true += FIXED_J / batch + WRITTEN_J + CONTEXT_J * each.context
            if not each.context:
                each.true += READ_J * each.prompt
                span.read += each.prompt
                each.context = each.prompt
            span.written += 1
            each.context += 1
            each.left -= 1
        fresh = sum(each.prompt for each in self.running if each.context == each.prompt + 1)
        used = sum(each.true for each in self.running) - before
        self.advance(self.iteration_ms(batch) + 0.02 * fresh, used)
        for each in [each for each in self.running if each.left <= 0]:
            self.running.remove(each)
            self.books.spans.end(each.key, 0, self.ns)
            self.true[each.key] = each.true

    def advance(self, ms: float, joules: float) -> None:
        noisy = joules * (1 + NOISE * self.dice.gauss(0, 1))
        self.drawn += noisy + IDLE_W * ms / 1000
        self.now += ms
        if self.now >= self.next_step:
            self.next_step += STEP_MS
            self.shown = self.drawn
        if self.now >= self.next_tick:
            self.tick()

    def tick(self) -> None:
        self.next_tick = self.now + TICK_MS
        threads = dict.fromkeys((each.key for each in self.running), 0)
        reading = EnergyReading(GPU, self.ns, Joules(self.shown))
        look = Tick(self.ns, 0, {GPU: reading}, 0, 0, threads)
        self.done.update((each.key, each) for each in self.books.tick(look))
        self.books.learn(self.ns)

    def run(self, seconds: float) -> None:
        until = self.now + seconds * 1000
        while self.now < until:
            self.arrive()
            self.iterate()

    def measure(self) -> float:
        """Median error of requests that began after the learning [1]."""
        self.run(LEARN_S)
        first = self.keys
        self.run(MEASURE_S)
        self.tick()
        errors = [
            abs(each.energy.self_j / self.true[key] - 1)
            for key, each in self.done.items()
            if key > first and each.energy is not None
        ]
        return median(errors)


def main() -> int:
    found = {
        f"gpu_sim_request_error_{batch}": median(Engine(batch, seed).measure() for seed in range(3))
        for batch in (26, 112)
    }
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.writelines(f"{name} {value:.4f}\n" for name, value in found.items())
    return 0


if __name__ == "__main__":
    sys.exit(main())
