"""Joules of a call from its tokens: known answers, laws, and input that nobody should send."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.adapters.language_model_file import shipped
from greenops.domain.energy import Boundary, Method
from greenops.domain.language_model import (
    MOST_TOKENS,
    CallEnergy,
    CallUnknown,
    LanguageModel,
    LanguageModelTable,
    Measured,
    Tokens,
    Trust,
)
from greenops.observe.language_model import REMEMBERED, LanguageModels
from greenops.observe.per_token import Formula
from greenops.units import Joules, to_joules

TABLE = shipped()
MODELS = LanguageModels(TABLE)
WH = 3600.0
NAMES = ("llama-3.1-8b", "llama-3.1-70b", "qwen3-235b-a22b", "gpt-oss-120b", "gpt-4o", "o3-mini")

counts = st.integers(0, MOST_TOKENS)


def estimate(model: str, tokens: Tokens, **more: object) -> CallEnergy:
    found = MODELS.estimate(model, tokens, **more)
    assert isinstance(found, CallEnergy)
    return found


def dense(active: float, total: float, precision: str) -> LanguageModel:
    return LanguageModel("m", active, total, precision, "test", "2026-11", "fact")


@pytest.mark.parametrize(
    ("model", "watt_hours"),
    [
        (dense(8, 8, "bf16"), (0.031, 0.017, 0.011)),
        (dense(70, 70, "bf16"), (0.21, 0.12, 0.07)),
        (dense(22, 235, "fp8"), (0.29, 0.16, 0.10)),
        (dense(88, 440, "fp8"), (0.69, 0.39, 0.24)),
    ],
    ids=["8B", "70B", "235B-A22B", "88B of 440B"],
)
def test_three_hundred_tokens_take_what_the_sanity_lines_say(model, watt_hours):
    formula = Formula(TABLE)

    found = [300 * formula.output(model, batch) * 1.57 * 1.09 / WH for batch in (32, 90, 256)]

    digits = 3 if watt_hours[0] < 0.1 else 2
    assert [round(each, digits) for each in found] == list(watt_hours)


def test_an_estimate_at_the_middle_batch_is_the_sanity_line_of_seventy_billion():
    found = estimate("llama-3.1-70b-instruct", Tokens(0, 0, 300))

    assert found.energy / WH == pytest.approx(0.12, rel=0.02)
    assert (found.method, found.trust) == (Method.ESTIMATED, Trust.TOKEN_MODEL)


def test_an_input_token_of_seventy_billion_takes_three_tenths_of_an_output_token():
    wrote = estimate("llama-3.1-70b", Tokens(0, 0, 1000))
    read = estimate("llama-3.1-70b", Tokens(1000, 0, 0))

    assert read.energy / wrote.energy == pytest.approx(0.3, rel=0.02)
    assert read.energy == pytest.approx(
        1000 * 2 * 70.6e9 / (989e12 * 0.4) * 700 * 1.57 * 1.09, rel=1e-12
    )


def test_the_fit_gives_what_its_coefficients_say_worked_out_by_hand():
    found = Formula(TABLE).output(dense(8, 8, "bf16"), 90)

    by_hand = math.exp(
        -0.139
        + (0.238 + 0.354) * math.log(8)
        - 0.917 * math.log(90)
        + 0.046 * math.log(90) ** 2
        + 0.458 * math.log(1)
    )
    assert found == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(
    ("total", "precision", "gpus"),
    [(8, "bf16", 1), (70, "bf16", 4), (235, "fp8", 4), (440, "fp8", 8), (117, "mxfp4", 1)],
)
def test_weights_need_the_next_power_of_two_of_accelerators(total, precision, gpus):
    assert Formula(TABLE).gpus(total, precision) == gpus


def test_published_figures_of_short_prompts_lie_within_the_range_of_a_large_model():
    found = estimate("gpt-4o", Tokens(100, 0, 300))

    for watt_hours in (0.24, 0.30, 0.34, 0.42):
        assert found.low / WH < watt_hours < found.high / WH


def test_the_pue_of_a_region_takes_the_place_of_the_fleets():
    tokens = Tokens(100, 0, 300)

    fleet, region = estimate("gpt-4o", tokens), estimate("gpt-4o", tokens, pue=1.5)

    assert region.energy / fleet.energy == pytest.approx(1.5 / 1.09, rel=1e-12)


@given(st.sampled_from(NAMES), counts, counts, counts, st.integers(0, 10_000))
def test_more_tokens_never_take_less(model, fresh, cached, output, more):
    before = estimate(model, Tokens(fresh, cached, output))

    for after in (
        estimate(model, Tokens(fresh + more, cached, output)),
        estimate(model, Tokens(fresh, cached + more, output)),
        estimate(model, Tokens(fresh, cached, output + more)),
    ):
        assert after.energy >= before.energy


@given(st.sampled_from(NAMES), counts, counts, counts)
def test_the_middle_lies_in_the_range(model, fresh, cached, output):
    found = estimate(model, Tokens(fresh, cached, output))

    assert 0 <= found.low <= found.energy <= found.high < math.inf
    if fresh + cached + output:
        assert found.low < found.energy < found.high


@given(st.sampled_from(NAMES), counts, counts, st.integers(0, 1000))
def test_a_cached_token_never_takes_more_than_one_that_is_computed(model, fresh, output, cached):
    from_cache = estimate(model, Tokens(fresh, cached, output))
    computed = estimate(model, Tokens(fresh + cached, 0, output))

    assert from_cache.energy <= computed.energy


def test_a_call_without_tokens_takes_nothing():
    assert estimate("gpt-4o", Tokens(0, 0, 0))[:3] == (0.0, 0.0, 0.0)
    assert estimate("phi-4", Tokens(0, 0, 0))[:3] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "tokens", [Tokens(0, 0, 300), Tokens(2000, 0, 300), Tokens(50_000, 0, 100)]
)
def test_the_range_holds_nine_tenths_of_what_servers_may_be(tokens):
    """Batch and utilisation anywhere in their ranges, the fit as wrong as it was on models it had not seen."""
    generator = random.Random(7)
    formula, model = Formula(TABLE), dense(70, 70, "bf16")
    models = LanguageModels(_with_model(model))
    said = models.estimate("m", tokens)
    assert isinstance(said, CallEnergy)
    sigma = math.log(1.57) / 1.2816

    def truth():
        batch = math.exp(generator.uniform(math.log(32), math.log(256)))
        utilisation = generator.uniform(0.2, 0.6)
        read = 2 * 70e9 / (989e12 * utilisation) * 700
        whole = tokens.output * formula.output(model, batch) + tokens.fresh * read
        return whole * math.exp(generator.gauss(0, sigma)) * 1.57 * 1.09

    inside = sum(said.low <= truth() <= said.high for _ in range(4000)) / 4000

    assert 0.90 <= inside <= 0.97


def test_a_stated_range_of_sizes_widens_the_range():
    known = dense(20, 100, "fp8")
    vague = LanguageModel(
        "v", 20, 100, "fp8", "test", "2026-11", "fact", active_low_b=10, active_high_b=40
    )
    models = LanguageModels(_with_model(known, vague))
    narrow, wide = (models.estimate(name, Tokens(10, 0, 300)) for name in ("m", "v"))

    assert isinstance(narrow, CallEnergy)
    assert isinstance(wide, CallEnergy)
    assert wide.low < narrow.low < narrow.energy == wide.energy < narrow.high < wide.high


@pytest.mark.parametrize("tier", TABLE.tiers, ids=lambda tier: tier.name)
def test_the_sizes_that_a_tier_assumes_lie_within_its_range(tier):
    formula = Formula(TABLE)
    middle = formula.output(tier, 90)

    assert tier.active_low_b < tier.active_b < tier.active_high_b
    for end in (tier.active_low_b, tier.active_high_b):
        assert 1 / 3 < formula.output(tier, 90, end) / middle < 3


def test_a_tier_is_off_by_up_to_three_times_and_says_so():
    found = estimate("claude-sonnet-4-20250514", Tokens(1000, 0, 300))

    assert found.trust is Trust.TIER
    assert found.high / found.energy == pytest.approx(3)
    assert found.energy / found.low == pytest.approx(3)


def test_a_measured_server_beats_the_fit_and_the_fit_beats_the_tier():
    models = LanguageModels(_with_measured(measured("llama-3.1-70b", 0.5)))

    own = models.estimate("meta-llama/Llama-3.1-70B-Instruct", Tokens(100, 0, 10))
    fit = models.estimate("llama-3.1-8b", Tokens(100, 0, 10))
    tier = models.estimate("gpt-4o", Tokens(100, 0, 10))

    assert own == (
        pytest.approx(5.0 * 1.57 * 1.09),
        pytest.approx(5.0 * 1.57 * 1.09 / 1.2),
        pytest.approx(5.0 * 1.57 * 1.09 * 1.2),
        Method.MEASURED,
        Trust.OWN_SERVER,
    )
    assert [each.trust for each in (fit, tier) if isinstance(each, CallEnergy)] == [
        Trust.TOKEN_MODEL,
        Trust.TIER,
    ]


def test_what_was_measured_on_the_called_server_is_nearer_than_on_any():
    models = LanguageModels(
        _with_measured(
            measured("phi-4", 1.0),
            measured("phi-4", 2.0, server="a.example", boundary=Boundary.SITE),
            measured("phi-4", 9.0, server="a.example", boundary=Boundary.SITE, date="2020-01"),
        )
    )

    here, elsewhere = (
        models.estimate("phi-4", Tokens(0, 0, 1), server=server)
        for server in ("a.example", "b.example")
    )

    assert isinstance(here, CallEnergy)
    assert isinstance(elsewhere, CallEnergy)
    assert here.energy == 2.0
    assert elsewhere.energy == pytest.approx(1.57 * 1.09)


def test_energy_of_a_node_gets_its_pue_and_no_more():
    models = LanguageModels(_with_measured(measured("phi-4", 1.0, boundary=Boundary.NODE)))

    found = models.estimate("phi-4", Tokens(0, 0, 1), pue=1.3)

    assert isinstance(found, CallEnergy)
    assert found.energy == pytest.approx(1.3)


def test_what_a_provider_reports_stands_as_it_is():
    found = MODELS.reported(Joules(1000.0))

    assert found.energy == 1000.0
    assert found.low < 1000.0 < found.high
    assert (found.method, found.trust) == (Method.REPORTED, Trust.PROVIDER)


@pytest.mark.parametrize(
    ("spelling", "model"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("meta.llama3-1-70b-instruct-v1:0", "llama-3.1-70b"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "large"),
        ("claude-3-5-sonnet@20240620", "large"),
        ("accounts/fireworks/models/llama-v3p1-405b-instruct", "llama-3.1-405b"),
        ("gpt-4o-mini-2024-07-18", "small"),
        ("gpt-4o-2024-08-06", "large"),
        ("models/gemini-2.5-flash", "medium"),
        ("models/gemini-2.5-flash-lite", "small"),
        ("llama3.1:8b", "llama-3.1-8b"),
        ("deepseek-reasoner", "deepseek-chat"),
        ("  GPT-4O  ", "large"),
    ],
)
def test_a_spelling_of_any_provider_finds_its_model(spelling, model):
    found = MODELS.size(spelling)

    assert found is not None
    assert found.name == model


@pytest.mark.parametrize(
    "name", ["", " ", "/", "gpt", "gpt-4ox", "nobody-knows-7b", "\x00", "x" * 10_000_000, "🦙"]
)
def test_a_model_that_no_table_has_is_unknown(name):
    assert MODELS.estimate(name, Tokens(1, 0, 1)) is CallUnknown.UNKNOWN_MODEL
    assert MODELS.size(name) is None


def test_a_default_tier_is_for_models_that_no_table_has():
    models = LanguageModels(TABLE, "small")

    found = models.estimate("nobody-knows", Tokens(1, 0, 1))

    assert isinstance(found, CallEnergy)
    assert found.trust is Trust.TIER


def test_many_spellings_are_not_remembered_for_ever():
    models = LanguageModels(TABLE)

    for number in range(3 * REMEMBERED):
        models.estimate(f"gpt-4o-{number}", Tokens(1, 0, 1))
    models.estimate("y" * 1_000_000, Tokens(1, 0, 1))

    assert len(models._found) == REMEMBERED


def test_every_number_of_the_table_says_its_source_its_date_and_its_licence():
    rows = [*TABLE.figures.values(), *TABLE.precisions, *TABLE.tiers, *TABLE.models, *TABLE.hosted]

    assert all(each.source and each.date and each.licence for each in rows)
    assert {each.licence for each in rows} == {"fact", "assumption", "Apache-2.0"}
    assert all("assumption" in each.source for each in (*TABLE.hosted, *TABLE.tiers))


def test_every_name_of_the_table_is_in_it_once_and_finds_itself():
    names = [name for each in TABLE.models for name in (each.name, *each.aliases)]
    names += [each.name for each in TABLE.hosted]

    assert len(names) == len(set(names))
    for each in TABLE.models:
        for name in (each.name, *each.aliases):
            assert MODELS.size(name) is each


def test_a_gigabyte_on_the_network_is_a_range_of_sixty_times():
    network = TABLE.figures["network"]

    assert (network.low, network.high) == (0.001, 0.06)
    assert to_joules(0.001) == 3600.0  # type: ignore[arg-type]


def measured(
    model: str,
    joules: float,
    server: str | None = None,
    boundary: Boundary = Boundary.CHIP,
    date: str = "2026-11",
) -> Measured:
    return Measured(model, joules, "test", date, "own", boundary, 1.2, server=server)


def _with_model(*models: LanguageModel) -> LanguageModelTable:
    return LanguageModelTable(TABLE.figures, TABLE.precisions, TABLE.tiers, models, ())


def _with_measured(*rows: Measured) -> LanguageModelTable:
    return LanguageModelTable(
        TABLE.figures, TABLE.precisions, TABLE.tiers, TABLE.models, TABLE.hosted, rows
    )
