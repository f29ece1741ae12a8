"""A fake of an inference server: continuous batches in virtual time, counters as vLLM, SGLang and TGI write them.

Its meter draws idle power, and for each token and pass the joules that a test names: the truth that is to be found.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from greenops.testing.clock import FakeClock
from greenops.testing.http_pages import FakePages
from greenops.testing.meters import SyntheticMeter

PATH: Final = "/metrics"
STEP: Final = timedelta(milliseconds=50)
"""Time that the simulation moves on at once."""
LOG_STEPS: Final = 20
"""So many steps are counted together where a server counts at each line of its log."""


@dataclass(slots=True)
class _Request:
    prompt: int
    cached: int
    left: int
    written: int = 0


class FakeModelServer(FakeClock):
    """A clock whose passing makes a server work and a meter count; its page is served over HTTP.

    Args:
        page: Writes the counters: `vllm_page`, `sglang_page`, `tgi_page`.
        read_j: Energy of an input token that is computed [J].
        wrote_j: Energy of an output token [J].
        pass_j: Energy of a pass [J].
        idle_w: Power with nothing running [W].
        cached: Part of an input that is in the prefix cache [1].
        noise: Standard deviation of a step's energy, relative.
        seed: Of the requests.
    """

    def __init__(
        self,
        page: Callable[[FakeModelServer], str],
        *,
        read_j: float = 0.02,
        wrote_j: float = 0.3,
        pass_j: float = 4.0,
        idle_w: float = 90.0,
        cached: float = 0.25,
        noise: float = 0.03,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self._page, self._noise, self._cached = page, noise, cached
        self._joules = (read_j, wrote_j, pass_j)
        self._dice = random.Random(seed)  # noqa: S311  (requests, not secrets)
        self.meter = SyntheticMeter(
            idle=idle_w,
            watts={"read": 1.0, "wrote": 1.0, "pass": 1.0},
            quantum=1e-3,
            update_s=0.1,
            device="GPU-a",
            device_kind="gpu",
            monotonic_ns=self.monotonic_ns,
        )
        self.pages: FakePages | None = None
        """Where its page is served; none where no one asks over HTTP."""
        self.batch: list[_Request] = []
        self.read = self.cached = self.wrote = self.passes = 0
        self.came = self.ended_read = self.ended_cached = self.ended_wrote = 0
        self.logged = (0, 0, 0)
        self.rate = 5.0
        """Requests that come in a second."""
        self._steps, self._pace = 0, 0.0

    @property
    def page(self) -> str:
        """What it writes now."""
        return self._page(self)

    def publish(self) -> None:
        """Write the page anew where it is served."""
        if self.pages is not None:
            self.pages.answers[PATH] = (200, self.page.encode())

    def restart(self) -> None:
        """Begin to count from zero, as a new process does."""
        self.batch.clear()
        self.read = self.cached = self.wrote = self.passes = 0
        self.came = self.ended_read = self.ended_cached = self.ended_wrote = 0
        self.logged = (0, 0, 0)
        self.publish()

    def advance(self, duration: timedelta) -> None:
        """Work for a duration, then write the page."""
        until = self.monotonic_ns() + int(duration.total_seconds() * 1e9)
        while self.monotonic_ns() < until:
            self._work()
            super().advance(STEP)
        self.publish()

    def _work(self) -> None:
        self._steps += 1
        # The load swells and falls, and the mix of calls with it.
        hour = self._steps / 400
        while self._dice.random() < self.rate * STEP.total_seconds() * (1 + 0.8 * ((hour % 2) - 1)):
            long_prompt = self._dice.random() < 0.3 + 0.4 * ((hour / 3) % 1)
            prompt = int(self._dice.lognormvariate(7.5 if long_prompt else 4.5, 0.5))
            made = _Request(
                prompt, int(prompt * self._cached), 1 + int(self._dice.expovariate(1 / 120))
            )
            self.batch.append(made)
            self.came += prompt
            self._draw("read", 0, prompt - made.cached)
            self.read += prompt
            self.cached += made.cached
        # A pass takes longer the more requests are in it.
        self._pace += STEP.total_seconds() / (0.02 + 0.0005 * len(self.batch))
        while self._pace >= 1:
            self._pace -= 1
            if self.batch:
                self._pass()
        if self._steps % LOG_STEPS == 0:
            self.logged = (self.read - self.cached, self.cached, self.wrote)

    def _pass(self) -> None:
        self.passes += 1
        self._draw("pass", 2, 1)
        self._draw("wrote", 1, len(self.batch))
        for each in self.batch:
            each.written += 1
            each.left -= 1
        self.wrote += len(self.batch)
        for each in [each for each in self.batch if each.left <= 0]:
            self.batch.remove(each)
            self.ended_read += each.prompt
            self.ended_cached += each.cached
            self.ended_wrote += each.written

    def _draw(self, what: str, which: int, count: int) -> None:
        noisy = 1 + self._noise * self._dice.gauss(0, 1)
        self.meter.work(what, max(0.0, self._joules[which] * count * noisy))


def vllm_page(server: FakeModelServer, model: str = "meta-llama/Llama-3.1-8B-Instruct") -> str:
    """Counters as vLLM 0.11 writes them."""
    labels = f'{{engine="0",model_name="{model}"}}'
    return f"""\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{labels} {len(server.batch)}.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{labels} 0.4
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{labels} {server.read}.0
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{labels} {server.cached}.0
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{labels} {server.read}.0
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{labels} 1.7e+09
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{labels} {server.wrote}.0
# TYPE vllm:iteration_tokens_total histogram
vllm:iteration_tokens_total_bucket{{engine="0",le="+Inf",model_name="{model}"}} {server.passes}.0
vllm:iteration_tokens_total_count{labels} {server.passes}.0
vllm:iteration_tokens_total_sum{labels} {server.read + server.wrote}.0
"""


def sglang_page(server: FakeModelServer) -> str:
    """Counters as SGLang 0.5 writes them, those of its scheduler among them."""
    fresh, cached, wrote = server.logged
    labels = 'engine_type="unified",model_name="qwen3-8b",pp_rank="0",tp_rank="0"'
    return f"""\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{{{labels}}} {len(server.batch)}.0
# TYPE sglang:realtime_tokens_total counter
sglang:realtime_tokens_total{{{labels},mode="prefill_compute"}} {fresh}.0
sglang:realtime_tokens_total{{{labels},mode="prefill_cache"}} {cached}.0
sglang:realtime_tokens_total{{{labels},mode="decode"}} {wrote}.0
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{{model_name="qwen3-8b"}} {server.ended_read}.0
sglang:generation_tokens_total{{model_name="qwen3-8b"}} {server.ended_wrote}.0
sglang:cached_tokens_total{{model_name="qwen3-8b"}} {server.ended_cached}.0
"""


def tgi_page(server: FakeModelServer) -> str:
    """Counters as Text Generation Inference 3 writes them; it names no model."""
    return f"""\
# TYPE tgi_batch_current_size gauge
tgi_batch_current_size {len(server.batch)}
# TYPE tgi_batch_inference_count counter
tgi_batch_inference_count{{method="prefill"}} 12
tgi_batch_inference_count{{method="decode"}} {server.passes}
# TYPE tgi_request_input_length histogram
tgi_request_input_length_bucket{{le="+Inf"}} 3
tgi_request_input_length_sum {server.came}
tgi_request_input_length_count 3
# TYPE tgi_request_generated_tokens histogram
tgi_request_generated_tokens_sum {server.ended_wrote}
tgi_request_generated_tokens_count 3
"""
