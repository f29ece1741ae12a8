"""Joules per token from ticks of which the truth is known."""

from __future__ import annotations

import random

import pytest

from greenops.domain.model_server import Work
from greenops.observe.server_tokens import NOT_APART, ServerTokens, row_seconds
from greenops.units import Joules, Watts

READ_J, WROTE_J, IDLE_W = 0.02, 0.4, 80.0


def tick(dice: random.Random, *, mixed: bool) -> tuple[Joules, dict[str | None, Work]]:
    wrote = dice.randrange(200, 2_000)
    read = dice.randrange(500, 9_000) if mixed else 4 * wrote
    return Joules(READ_J * read + WROTE_J * wrote + IDLE_W), {"m": Work(read, 0.0, wrote, None)}


def gathered(ticks: int, *, mixed: bool = True, idle: bool = True) -> ServerTokens:
    dice, tokens = random.Random(3), ServerTokens(0.02, 0.05)
    for _ in range(10 if idle else 0):
        tokens.record(Joules(IDLE_W), 1.0, {"m": Work(0.0, 0.0, 0.0, None)}, 0.0)
    for _ in range(ticks):
        energy, work = tick(dice, mixed=mixed)
        tokens.record(energy, 1.0, work, 5.0)
    return tokens


def test_input_and_output_are_told_apart_where_their_mix_changes():
    tokens = gathered(400)

    found = tokens.learn(1.0)[0]

    scale = tokens.energy / (tokens.energy - IDLE_W * 400)
    assert found.apart
    assert tokens.idle == pytest.approx(IDLE_W)
    assert found.output == pytest.approx(WROTE_J * scale, rel=0.02)
    assert found.input == pytest.approx(READ_J * scale, rel=0.02)
    assert found.factor < 1.1


@pytest.mark.parametrize(("ticks", "mixed"), [(400, False), (30, True)])
def test_a_mix_that_does_not_change_and_a_short_time_are_split_by_assumption(ticks, mixed):
    tokens = gathered(ticks, mixed=mixed)

    found = tokens.learn(1.0)[0]

    assert not found.apart
    assert found.factor == NOT_APART
    assert found.input == pytest.approx(0.3 * found.output, rel=0.35)


@pytest.mark.parametrize("idle", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_tokens_times_their_energy_are_what_was_metered(mixed, idle):
    tokens = gathered(400, mixed=mixed, idle=idle)

    found = tokens.learn(1.0)[0]

    whole = found.output * found.work.wrote + found.input * found.work.read
    assert whole == pytest.approx(tokens.energy, rel=1e-9)


def test_a_cached_token_counts_as_the_part_that_it_costs():
    dice, tokens = random.Random(5), ServerTokens(0.02, 0.05)
    for _ in range(300):
        read, wrote = dice.randrange(1_000, 9_000), dice.randrange(200, 2_000)
        cached = int(read * dice.random() * 0.8)
        energy = READ_J * (read - cached + 0.02 * cached) + WROTE_J * wrote
        tokens.record(Joules(energy), 1.0, {"m": Work(read, cached, wrote, 1.0)}, 4.0)

    found = tokens.learn(1.0)[0]

    assert found.input == pytest.approx(READ_J, rel=0.03)
    assert found.output == pytest.approx(WROTE_J, rel=0.03)


def test_two_models_on_one_card_have_energies_of_their_own():
    dice, tokens = random.Random(7), ServerTokens(0.02, 0.05, Watts(0.0))
    for _ in range(600):
        small, large = dice.randrange(100, 1_000), dice.randrange(100, 1_000)
        read = dice.randrange(100, 3_000)
        work: dict[str | None, Work] = {
            "small": Work(read, 0.0, small, 20.0),
            "large": Work(read // 2, 0.0, large, 20.0),
        }
        tokens.record(Joules(0.1 * small + 1.0 * large + 0.01 * read), 1.0, work, 4.0)

    found = {each.model: each for each in tokens.learn(1.0)}

    assert found["large"].output / found["small"].output == pytest.approx(10, rel=0.15)


def test_a_model_that_wrote_nothing_has_no_energy_per_token():
    tokens = ServerTokens(0.02, 0.05)
    for _ in range(20):
        tokens.record(Joules(5.0), 1.0, {"embedder": Work(100.0, 0.0, 0.0, None)}, None)

    assert tokens.learn(1.0) == []


def test_idle_power_is_the_meters_where_the_server_never_rests():
    tokens = ServerTokens(0.02, 0.05, Watts(70.0))
    tokens.record(Joules(300.0), 1.0, {"m": Work(10.0, 0.0, 10.0, None)}, 3.0)

    assert tokens.idle == 70
    assert ServerTokens(0.02, 0.05).idle is None


@pytest.mark.parametrize(
    ("update", "lag", "tick", "row"), [(0.1, 0.2, 1.0, 1.0), (5.0, 0.2, 1.0, 25.0), (0.1, 2.0, 1.0, 10.0)]
)  # fmt: skip
def test_a_row_outlasts_what_comes_late(update, lag, tick, row):
    assert row_seconds(update, lag, tick) == row
