"""Where a called language model runs: elsewhere, so that its energy is an estimate, or where a meter counts it already."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

ADDRESS: Final = ("server.address", "net.peer.name", "http.host")
URL: Final = ("url.full", "http.url", "gen_ai.openai.api_base", "llm.openai.api_base")
LONGEST: Final = 2_000
"""Characters of an address that is looked at."""
HOSTED: Final = frozenset(
    {
        "ai21",
        "anthropic",
        "aws.bedrock",
        "aws_bedrock",
        "az.ai.inference",
        "az.ai.openai",
        "azure",
        "azure.ai.inference",
        "azure.ai.openai",
        "bedrock",
        "cohere",
        "deepseek",
        "gcp.gemini",
        "gcp.gen_ai",
        "gcp.vertex_ai",
        "gemini",
        "google",
        "groq",
        "ibm.watsonx.ai",
        "mistral",
        "mistral_ai",
        "mistralai",
        "openai",
        "perplexity",
        "together",
        "togetherai",
        "vertex_ai",
        "vertexai",
        "x_ai",
        "xai",
    }
)
"""Providers whose models run at the provider, as `gen_ai.provider.name` and `gen_ai.system` spell them."""
OWN: Final = frozenset(
    {
        "huggingface",
        "llama.cpp",
        "llama_cpp",
        "llamacpp",
        "lm_studio",
        "ollama",
        "sglang",
        "tgi",
        "transformers",
        "triton",
        "vllm",
    }
)
"""Servers that anyone runs: without an address they may run in this very process."""
NAMED_HERE: Final = frozenset(
    {"localhost", "ip6-localhost", "host.docker.internal", "host.containers.internal"}
)


class Place(Enum):
    """Where a call's energy is drawn."""

    ELSEWHERE = auto()
    HERE = auto()
    """On this machine or on a server that has a meter: its energy is counted there."""
    UNKNOWN = auto()


class Places:
    """Tells where servers are.

    Args:
        metered: Hosts whose own energy is metered, as they stand in `server.address`.
        all_calls: Takes every call for one elsewhere, whatever its address.
    """

    def __init__(self, metered: Iterable[str] = (), *, all_calls: bool = False) -> None:
        self._here = NAMED_HERE | {each.strip().lower() for each in metered if each.strip()}
        self._here |= {platform.node().lower()} - {""}
        self._all = all_calls

    def of(self, kind: SpanKind, provider: str | None, address: str | None) -> Place:
        """Where a call went.

        Args:
            kind: Of the span; a call to elsewhere is a `CLIENT`.
            provider: Who serves the model, in lower case.
            address: Host that was called.
        """
        if self._all:
            return Place.ELSEWHERE
        if address is not None:
            return Place.HERE if address in self._here or _loops(address) else Place.ELSEWHERE
        if provider in OWN:
            return Place.HERE
        if kind is SpanKind.CLIENT and provider in HOSTED:
            return Place.ELSEWHERE
        return Place.UNKNOWN


def address(said: Mapping[str, object]) -> str | None:
    """Host that a span says it called, in lower case; none where it does not say."""
    for name in ADDRESS:
        value = said.get(name)
        if isinstance(value, str) and 0 < len(value) <= LONGEST:
            return value if value.startswith("/") else _host(f"//{value}")
    for name in URL:
        value = said.get(name)
        if isinstance(value, str) and 0 < len(value) <= LONGEST:
            return _host(value)
    return None


def _host(url: str) -> str | None:
    try:
        # An address of IPv6 stands in brackets in a URL, and without them in an attribute.
        if url.count(":") > 1 and url.startswith("//") and "[" not in url:
            url = f"//[{url[2:]}]"
        return urlsplit(url).hostname
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _loops(host: str) -> bool:
    if host.startswith("/") or host.endswith(".localhost"):
        return True
    try:
        found = ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified
