"""Inference servers' own counters of tokens, off their Prometheus page: vLLM, SGLang, TGI, llama.cpp.

Names were looked up in the servers' sources; each table says where. What a page lacks is absent, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from greenops.domain.model_server import ServerLook, Work
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import Seconds

CODE: Final = "GO0719"
MOST: Final = 1e15
"""Largest count that is believed; a server that writes a million tokens a second gets there in thirty years."""
MOST_MODELS: Final = 16
"""Language models told apart on one page."""
LONGEST_NAME: Final = 200
"""Characters of a model's name that are believed."""
PLACES: Final = ("instance", "node", "exported_instance", "pod", "namespace")
"""Labels that a collector adds, and that tell one server from another."""
RANKS: Final = ("tp_rank", "pp_rank", "moe_ep_rank")
"""Labels of parts that work on the same tokens: only the first counts."""

LINE: Final = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*")
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Fetch = Callable[[str], str]
"""Gets the text at an address; raises AdapterUnavailable."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value with its labels."""

    metric: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A series: its metric, and the values that one label may have; none where every label does."""

    metric: str
    label: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """The series of one kind of server; of several spellings the first on the page counts.

    Attributes:
        kind: Its name.
        lag: How much later than the work itself its counters may move [s].
        read: Input tokens.
        wrote: Output tokens.
        cached: Input tokens from the prefix cache.
        steps: Passes that write tokens.
        running: Requests in the batch.
        apart: True where `read` leaves out what was cached.
        at_end: True where `wrote` moves as a request ends, and `steps` with each pass.
    """

    kind: str
    lag: Seconds
    read: tuple[Name, ...]
    wrote: tuple[Name, ...]
    cached: tuple[Name, ...] = ()
    steps: tuple[Name, ...] = ()
    running: tuple[Name, ...] = ()
    apart: bool = False
    at_end: bool = False


VLLM: Final = tuple(
    Server(
        "vllm",
        Seconds(0.2),
        read=(Name(f"{start}prompt_tokens_total"),),
        wrote=(Name(f"{start}generation_tokens_total"),),
        cached=(
            Name(f"{start}prompt_tokens_cached_total"),
            Name(f"{start}prefix_cache_hits_total"),
        ),
        steps=(Name(f"{start}iteration_tokens_total_count"),),
        running=(Name(f"{start}num_requests_running"),),
    )
    for start in ("vllm:", "vllm_")
)
"""Counted pass by pass. Source: vllm-project/vllm, vllm/v1/metrics/loggers.py (`PrometheusStatLogger`, commit 005a810b) and,
with the same names, vllm/engine/metrics.py before it; `prompt_tokens_cached` is of 2026. Collectors write `vllm_`.
`gpu_prefix_cache_hits` is left out: its unit changed from blocks to tokens under one name."""
SGLANG: Final = tuple(
    Server(
        "sglang",
        Seconds(2.0),
        read=(Name(f"{start}realtime_tokens_total", "mode", ("prefill_compute",)),),
        wrote=(Name(f"{start}realtime_tokens_total", "mode", ("decode",)),),
        cached=(Name(f"{start}realtime_tokens_total", "mode", ("prefill_cache",)),),
        running=(Name(f"{start}num_running_reqs"),),
        apart=True,
    )
    for start in ("sglang:", "sglang_")
)
"""Counted at each line of its log, some 40 passes. Source: sgl-project/sglang, python/sglang/srt/metrics/collector.py
(`SchedulerMetricsCollector`, commit 00ae9c15). Newer pages begin with `sglang_`."""
SGLANG_REQUESTS: Final = tuple(
    Server(
        "sglang",
        Seconds(10.0),
        read=(Name(f"{start}prompt_tokens_total"),),
        wrote=(Name(f"{start}generation_tokens_total"),),
        cached=(Name(f"{start}cached_tokens_total"),),
        running=(Name(f"{start}num_running_reqs"),),
    )
    for start in ("sglang:", "sglang_")
)
"""Counted as a request ends. Source: the same file, `TokenizerMetricsCollector.observe_one_finished_request`."""
TGI: Final = Server(
    "tgi",
    Seconds(1.0),
    read=(Name("tgi_request_input_length_sum"),),
    wrote=(Name("tgi_request_generated_tokens_sum"),),
    steps=(Name("tgi_batch_inference_count", "method", ("decode", "next_token")),),
    running=(Name("tgi_batch_current_size"),),
    at_end=True,
)
"""Input is counted as a request comes, output as it ends. Source: huggingface/text-generation-inference,
docs/source/reference/metrics.md (commit 53fdbe61) and router/src/server.rs; `next_token` is what a fork of it writes.
It names no model, and tells nothing of its prefix cache."""
LLAMA_CPP: Final = Server(
    "llama.cpp",
    Seconds(1.0),
    read=(Name("llamacpp:prompt_tokens_total"),),
    wrote=(Name("llamacpp:tokens_predicted_total"),),
    cached=(Name("llamacpp:prompt_tokens_cached_total"),),
    steps=(Name("llamacpp:n_decode_total"),),
    running=(Name("llamacpp:requests_processing"),),
    apart=True,
    at_end=True,
)
"""Input is counted as its reading ends, output as a request ends. Source: ggml-org/llama.cpp, tools/server/README.md; held to a
real server by tests/integration/pipeline/test_a_real_model_server.py. It names no model."""
SERVERS: Final = (*VLLM, *SGLANG, *SGLANG_REQUESTS, TGI, LLAMA_CPP)
"""Finer counts before coarser ones."""


class ModelServer:
    """One server behind an address. Stability: beta.

    Args:
        url: Of its `/metrics` page; without a path, that is added.
        fetch: Gets a page, with bounds to its length and time.

    Raises:
        AdapterUnsupported: The address is none.
    """

    def __init__(self, url: str, fetch: Fetch) -> None:
        self.url = address(url)
        self._fetch = fetch

    @property
    def host(self) -> str:
        """Its `server.address`."""
        return urlsplit(self.url).hostname or ""

    @property
    def _shown(self) -> str:
        """The address without the password that may be in it, and without its query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def look(self) -> ServerLook:
        """Its counters now.

        Raises:
            AdapterUnavailable: It does not answer, not with its counters, or with those of several servers.
        """
        try:
            text = self._fetch(self.url)
        except AdapterUnavailable as error:
            raise AdapterUnavailable(CODE, error.message) from error
        samples = list(_samples(text))
        for server in SERVERS:
            if any(_of(samples, server.read)) and any(_of(samples, server.wrote)):
                return self._taken(server, samples)
        raise AdapterUnavailable(
            CODE,
            f"`{self._shown}` has no counters of vLLM, SGLang, TGI or llama.cpp",
            fix="SGLang writes them with `--enable-metrics`, llama.cpp with `--metrics`",
        )

    def _taken(self, server: Server, samples: Sequence[Sample]) -> ServerLook:
        self._check_one(server, samples)
        read, wrote = _by_model(samples, server.read), _by_model(samples, server.wrote)
        cached, steps = _by_model(samples, server.cached), _by_model(samples, server.steps)
        if read.keys() != wrote.keys() or len(read) > MOST_MODELS:
            raise self._odd(f"names its models in a way that cannot be: {len(read)}, {len(wrote)}")
        work = {}
        for model, count in read.items():
            hits = cached.get(model, 0.0)
            whole = count + hits if server.apart else count
            work[model] = Work(whole, min(hits, whole), wrote[model], steps.get(model))
        running = [each.value for each in _of(samples, server.running)]
        batch = sum(running) if running else None
        return ServerLook(server.kind, server.lag, work, batch, server.at_end)

    def _check_one(self, server: Server, samples: Sequence[Sample]) -> None:
        mine = [each for names in _series(server) for each in _of(samples, names)]
        for label in PLACES:
            if len({each.labels[label] for each in mine if label in each.labels}) > 1:
                raise self._odd(f"is of several servers, told apart by `{label}`")
        keys = [(each.metric, frozenset(each.labels.items())) for each in mine]
        if len(set(keys)) < len(keys):
            raise self._odd("has a series twice")
        for each in mine:
            if not (isfinite(each.value) and 0 <= each.value <= MOST):
                raise self._odd(f"counts `{each.metric}` with a number that cannot be")
            name = each.labels.get("model_name", "")
            if len(name) > LONGEST_NAME or not name.isprintable():
                raise self._odd("names a model in a way that cannot be")

    def _odd(self, why: str) -> AdapterUnavailable:
        return AdapterUnavailable(CODE, f"`{self._shown}` {why}")


def address(url: str) -> str:
    """The address of the page that holds the counters.

    Raises:
        AdapterUnsupported: It is no http address.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable:
        raise AdapterUnsupported(CODE, "a server's address begins with `http://` or `https://`")
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") or "/metrics"))


def _samples(text: str) -> Iterator[Sample]:
    """What we know the meaning of; a line that is none is left out, a number that is none is NaN."""
    for line in text.splitlines():
        if line.startswith(STARTS) and (found := LINE.fullmatch(line)):
            yield Sample(found[1], dict(LABEL.findall(found[2] or "")), _number(found[3]))


def _series(server: Server) -> tuple[tuple[Name, ...], ...]:
    return (server.read, server.wrote, server.cached, server.steps, server.running)


STARTS: Final = tuple(
    {name.metric for server in SERVERS for names in _series(server) for name in names}
)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _of(samples: Sequence[Sample], names: Sequence[Name]) -> list[Sample]:
    """The samples of the first spelling that the page has."""
    for name in names:
        found = [each for each in samples if _is(each, name)]
        if found:
            return found
    return []


def _is(sample: Sample, name: Name) -> bool:
    if sample.metric != name.metric:
        return False
    if name.label and sample.labels.get(name.label) not in name.values:
        return False
    return all(sample.labels.get(rank, "0") in {"", "0"} for rank in RANKS)


def _by_model(samples: Sequence[Sample], names: Sequence[Name]) -> Mapping[str | None, float]:
    """Sums over engines, replicas of one process and streams, by model."""
    found: dict[str | None, float] = {}
    for each in _of(samples, names):
        model = each.labels.get("model_name") or None
        found[model] = found.get(model, 0.0) + each.value
    return found
