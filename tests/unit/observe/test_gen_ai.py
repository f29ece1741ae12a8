"""Attributes of a call in every spelling, and attributes that no call has."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind

from greenops.domain.language_model import CallUnknown, Tokens
from greenops.observe.call_place import Place, Places, address
from greenops.observe.gen_ai import call, is_call, tokens

NEW = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}


@pytest.mark.parametrize(
    "said",
    [
        NEW,
        {"gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.completion_tokens": 50},
        {"llm.usage.prompt_tokens": 1000, "llm.usage.completion_tokens": 50},
        {"llm.token_count.prompt": 1000, "llm.token_count.completion": 50},
        {**NEW, "gen_ai.usage.prompt_tokens": 7, "gen_ai.usage.completion_tokens": 7},
        {"gen_ai.usage.input_tokens": 1000.0, "gen_ai.usage.output_tokens": 50.0},
    ],
)
def test_every_spelling_says_the_same_tokens(said):
    assert tokens(said) == Tokens(1000, 0, 50)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"gen_ai.usage.cache_read.input_tokens": 800}, Tokens(200, 800, 50)),
        ({"gen_ai.usage.cache_read_input_tokens": 800}, Tokens(200, 800, 50)),
        ({"gen_ai.usage.details.cache_read_tokens": 800}, Tokens(200, 800, 50)),
        ({"llm.token_count.prompt_details.cache_read": 800}, Tokens(200, 800, 50)),
        (
            {
                "gen_ai.usage.cache_read.input_tokens": 600,
                "gen_ai.usage.cache_creation.input_tokens": 400,
            },
            Tokens(400, 600, 50),
        ),
        ({"gen_ai.usage.reasoning.output_tokens": 40}, Tokens(1000, 0, 50)),
        ({"gen_ai.usage.reasoning_tokens": 50}, Tokens(1000, 0, 50)),
    ],
)
def test_cached_tokens_are_in_the_input_and_reasoning_in_the_output(more, expected):
    assert tokens({**NEW, **more}) == expected


def test_where_the_cached_part_is_more_than_the_input_both_add_up_as_anthropic_counts():
    said = {
        "gen_ai.system": "anthropic",
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read_input_tokens": 5000,
        "gen_ai.usage.cache_creation_input_tokens": 300,
    }

    assert tokens(said) == Tokens(fresh=320, cached=5000, output=50)


def test_where_more_was_reasoned_than_written_both_add_up():
    assert tokens({**NEW, "gen_ai.usage.reasoning_tokens": 500}) == Tokens(1000, 0, 550)


def test_embeddings_write_nothing():
    said = {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 9}

    assert tokens(said) == Tokens(9, 0, 0)


@pytest.mark.parametrize(
    "said", [{}, {"gen_ai.usage.output_tokens": 5}, {"gen_ai.usage.input_tokens": 5}]
)
def test_tokens_that_are_not_told_are_not_zero(said):
    assert tokens(said) is CallUnknown.NO_TOKENS


@pytest.mark.parametrize(
    "bad",
    [-1, -1e18, 1e18, 10**18, 1.5, math.nan, math.inf, "5", "x" * 10_000_000, True, b"six", (5,)],
)
@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.reasoning_tokens",
    ],
)
def test_tokens_that_cannot_be_are_bad(name, bad):
    assert tokens({**NEW, name: bad}) is CallUnknown.BAD_TOKENS


ODD: list[object] = [
    None,
    True,
    -1,
    1.5,
    1e18,
    10**40,
    math.nan,
    -math.inf,
    "",
    "5",
    "http://[",
    b"x",
    (1, 2),
    [],
]
anything = st.sampled_from(ODD) | st.integers() | st.text(max_size=8)


@given(
    st.dictionaries(
        st.sampled_from(
            sorted(
                {
                    *NEW,
                    "gen_ai.request.model",
                    "gen_ai.system",
                    "gen_ai.usage.cache_read.input_tokens",
                    "gen_ai.usage.cache_creation.input_tokens",
                    "gen_ai.operation.name",
                    "server.address",
                    "url.full",
                }
            )
        ),
        anything,
    )
)
def test_whatever_stands_in_the_attributes_is_read_without_an_error(said):
    is_call(SpanKind.CLIENT, said)
    found = call(said)
    Places().of(SpanKind.CLIENT, found.provider, address(said))

    if isinstance(found.tokens, Tokens):
        assert min(found.tokens) >= 0


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        (SpanKind.CLIENT, {"gen_ai.request.model": "m"}, True),
        (SpanKind.CLIENT, {"gen_ai.request.model": "m", "gen_ai.operation.name": "chat"}, True),
        (SpanKind.INTERNAL, {"llm.model_name": "m"}, True),
        (SpanKind.CLIENT, {"http.request.method": "GET"}, False),
        (SpanKind.SERVER, {"gen_ai.request.model": "m"}, False),
        (
            SpanKind.INTERNAL,
            {"gen_ai.request.model": "m", "gen_ai.operation.name": "invoke_agent"},
            False,
        ),
        (
            SpanKind.CLIENT,
            {"gen_ai.request.model": "m", "gen_ai.operation.name": "execute_tool"},
            False,
        ),
    ],
)
def test_a_call_is_a_callers_span_of_one_model_call(kind, said, expected):
    assert is_call(kind, said) is expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("m", "m"),
        ("", CallUnknown.NO_MODEL),
        (5, CallUnknown.NO_MODEL),
        ("x" * 10_000_000, CallUnknown.UNKNOWN_MODEL),
    ],
)
def test_a_name_that_no_model_has_is_told_apart(model, expected):
    assert call({"gen_ai.request.model": model}).model == expected


def test_the_model_that_answered_counts_before_the_one_that_was_asked_for():
    said = {"gen_ai.request.model": "auto", "gen_ai.response.model": "gpt-4o"}

    assert call(said).model == "gpt-4o"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"server.address": "API.openai.com"}, "api.openai.com"),
        ({"server.address": "::1"}, "::1"),
        ({"server.address": "localhost:8080"}, "localhost"),
        ({"server.address": "/run/llm.sock"}, "/run/llm.sock"),
        ({"net.peer.name": "127.0.0.1"}, "127.0.0.1"),
        ({"url.full": "http://[::1]:8080/v1"}, "::1"),
        ({"http.url": "https://api.x.ai/v1"}, "api.x.ai"),
        ({"gen_ai.openai.api_base": "http://localhost:11434/v1/"}, "localhost"),
        ({"url.full": "http://[bad"}, None),
        ({"server.address": 5}, None),
        ({}, None),
    ],
)
def test_the_called_host_is_found_in_every_spelling(said, expected):
    assert address(said) == expected


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "0.0.0.0",
        "x.localhost",
        "/run/s",
        "host.docker.internal",
    ],
)
def test_a_server_on_this_machine_is_here(host):
    assert Places().of(SpanKind.CLIENT, "openai", host) is Place.HERE


@pytest.mark.parametrize(
    ("provider", "host", "expected"),
    [
        ("openai", None, Place.ELSEWHERE),
        ("openai", "api.openai.com", Place.ELSEWHERE),
        ("vllm", "10.0.0.7", Place.ELSEWHERE),
        ("llama.cpp", None, Place.HERE),
        ("ollama", None, Place.HERE),
        ("my-gateway", None, Place.UNKNOWN),
        (None, None, Place.UNKNOWN),
        ("openai", "gpu-1.metered", Place.HERE),
    ],
)
def test_a_call_is_elsewhere_only_where_something_says_so(provider, host, expected):
    places = Places(metered=["gpu-1.metered", ""])

    assert places.of(SpanKind.CLIENT, provider, host) is expected


def test_an_internal_span_of_a_hosted_provider_does_not_say_where_it_went():
    assert Places().of(SpanKind.INTERNAL, "openai", None) is Place.UNKNOWN
    assert Places(all_calls=True).of(SpanKind.INTERNAL, None, "localhost") is Place.ELSEWHERE
