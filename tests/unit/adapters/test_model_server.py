"""Pages of vLLM, SGLang, Text Generation Inference and llama.cpp as their sources write them, and pages that lie."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenops.adapters.model_server import ModelServer, address
from greenops.domain.model_server import Work
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.model_server import FakeModelServer, sglang_page, tgi_page, vllm_page

ONE = """\
vllm:prompt_tokens_total{engine="0",model_name="m"} 100.0
vllm:generation_tokens_total{engine="0",model_name="m"} 50.0
"""


def told(text: str) -> ModelServer:
    return ModelServer("http://gpu-1:8000", lambda _: text)


def test_two_engines_of_one_server_are_one_model():
    look = told(ONE + ONE.replace('engine="0"', 'engine="1"')).look()

    assert look.server == "vllm"
    assert look.work == {"m": Work(200.0, 0.0, 100.0, None)}
    assert look.running is None


def test_vllm_is_read_as_a_collector_renames_it():
    assert told(ONE.replace("vllm:", "vllm_")).look() == told(ONE).look()


def test_an_older_vllm_and_a_newer_one_tell_their_cache_under_two_names():
    older = ONE + 'vllm:prefix_cache_hits_total{engine="0",model_name="m"} 40.0\n'
    newer = older + 'vllm:prompt_tokens_cached_total{engine="0",model_name="m"} 30.0\n'

    assert told(older).look().work["m"].cached == 40
    assert told(newer).look().work["m"].cached == 30


def test_hits_that_were_once_counted_in_blocks_are_not_taken_for_tokens():
    text = ONE + 'vllm:gpu_prefix_cache_hits_total{engine="0",model_name="m"} 40.0\n'

    assert told(text).look().work["m"].cached == 0


def test_several_models_are_told_apart():
    look = told(ONE + ONE.replace('"m"', '"n"').replace("100.0", "7")).look()

    assert {name: work.read for name, work in look.work.items()} == {"m": 100, "n": 7}


@pytest.mark.parametrize("start", ["sglang:", "sglang_"])
def test_sglang_is_read_under_both_of_its_prefixes(start):
    text = sglang_page(served(sglang_page)).replace("sglang:", start)

    look = told(text).look()

    assert look.server == "sglang"
    assert look.lag == 2
    work = look.work["qwen3-8b"]
    assert work.read > work.cached > 0
    assert work.wrote > 0


def test_sglang_without_live_counts_is_read_by_its_finished_requests():
    server = served(sglang_page)
    live = sglang_page(server).splitlines()
    text = "\n".join(line for line in live if "realtime" not in line)

    look = told(text).look()

    assert look.lag == 10
    assert look.work["qwen3-8b"].wrote == server.ended_wrote


def test_ranks_that_share_the_same_tokens_count_once():
    server = served(sglang_page)
    text = sglang_page(server)
    second = text.replace('tp_rank="0"', 'tp_rank="1"').splitlines()
    both = text + "\n".join(line for line in second if 'tp_rank="1"' in line)

    assert told(both).look().work == told(text).look().work


def test_tgi_names_no_model_and_counts_output_as_requests_end():
    server = served(tgi_page)

    look = told(tgi_page(server)).look()

    assert look.server == "tgi"
    assert look.at_end
    assert look.work == {None: Work(server.came, 0.0, server.ended_wrote, server.passes)}


def test_llama_cpp_counts_what_it_read_without_what_was_cached():
    text = """\
llamacpp:prompt_tokens_total 33
llamacpp:prompt_tokens_cached_total 31
llamacpp:prompt_seconds_total 2.70193
llamacpp:tokens_predicted_total 21
llamacpp:n_decode_total 21
llamacpp:requests_processing 1
"""

    look = told(text).look()

    assert look.server == "llama.cpp"
    assert look.at_end
    assert look.work == {None: Work(64.0, 31.0, 21.0, 21.0)}
    assert look.running == 1


def served(page: Callable[[FakeModelServer], str]) -> FakeModelServer:
    from datetime import timedelta

    server = FakeModelServer(page)
    server.advance(timedelta(seconds=60))
    return server


def test_buckets_creation_times_and_comments_are_no_counters():
    server = served(vllm_page)

    look = told(vllm_page(server)).look()

    assert look.work == {
        "meta-llama/Llama-3.1-8B-Instruct": Work(
            server.read, server.cached, server.wrote, server.passes
        )
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no counters of"),
        ("<html>not found</html>", "no counters of"),
        (ONE.splitlines()[0], "no counters of"),
        (ONE.replace("100.0", "NaN"), "cannot be"),
        (ONE.replace("100.0", "-1"), "cannot be"),
        (ONE.replace("100.0", "+Inf"), "cannot be"),
        (ONE.replace("100.0", "1e18"), "cannot be"),
        (ONE.replace("100.0", "many"), "cannot be"),
        (ONE + ONE, "twice"),
        (ONE + ONE.replace("engine", 'instance="b:1",engine').replace('"0"', '"1"')
         + ONE.replace("engine", 'instance="c:1",engine').replace('"0"', '"2"'), "several servers"),
        (ONE.replace('"m"', f'"{"m" * 300}"'), "names a model"),
        (ONE.replace('"m"', '"\x1b[2J"'), "names a model"),
        (ONE.splitlines()[0] + "\n" + ONE.splitlines()[1].replace('"m"', '"n"'), "names its models"),
        ("\n".join(ONE.replace('"m"', f'"m{i}"') for i in range(17)), "names its models"),
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused_as_a_whole(text, why):
    with pytest.raises(AdapterUnavailable, match=why) as caught:
        told(text).look()

    assert caught.value.code == "GO0719"


def test_a_server_that_does_not_answer_says_so_under_its_own_code():
    def gone(_: str) -> str:
        raise AdapterUnavailable("GO0715", "`http://x` does not answer: status 503")

    with pytest.raises(AdapterUnavailable, match=r"GO0719 .*status 503"):
        ModelServer("http://x", gone).look()


def test_a_password_in_the_address_is_not_shown():
    with pytest.raises(AdapterUnavailable) as caught:
        ModelServer("http://me:hunter2@gpu-1:8000/metrics?token=hunter2", lambda _: "").look()

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ("http://gpu-1:8000", "http://gpu-1:8000/metrics"),
        ("http://gpu-1:8000/", "http://gpu-1:8000/metrics"),
        ("https://gpu-1/v1/metrics", "https://gpu-1/v1/metrics"),
    ],
)
def test_an_address_without_a_path_means_its_metrics(given, page):
    assert address(given) == page


@pytest.mark.parametrize("given", ["gpu-1:8000", "ftp://gpu-1", "http://", "http://[::", ""])
def test_an_address_that_is_none_is_refused(given):
    with pytest.raises(AdapterUnsupported, match="http"):
        address(given)
