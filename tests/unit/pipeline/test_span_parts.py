"""Which parts a traced process puts on its spans, from its environment."""

from __future__ import annotations

import logging

import pytest

from greenops.config import PREFIX, SPAN_PARTS, Settings, load_settings
from greenops.errors import UsageError
from greenops.observe.span_parts import Part
from greenops.pipeline.span_parts import VARIABLES
from greenops.pipeline.span_parts import span_parts as from_environment


def test_calls_to_elsewhere_are_estimated_and_all_else_is_asked_for():
    parts = from_environment({})

    assert parts._calls is not None
    assert (parts._machine, parts._network, parts.asked) == (None, None, frozenset())


def test_every_part_can_be_asked_for():
    parts = from_environment(
        {
            "GREENOPS_SPAN_PARTS": "range, cost,total,devices,attribution,network, flops ,per_unit",
            "GREENOPS_EMBODIED_G": "1200000",
            "GREENOPS_EMBODIED_VCPUS": "48",
            "GREENOPS_LANGUAGE_MODEL_CALLS": "off",
        }
    )

    assert parts._calls is None
    assert parts._machine is not None
    assert (parts._machine.grams, parts._machine.vcpus) == (1_200_000, 48)
    assert parts._machine.lifetime == 4 * 365.25 * 86_400
    assert parts._network is not None
    assert (parts._network.low, parts._network.high) == (0.001, 0.06)
    assert parts.asked == set(Part)


@pytest.mark.parametrize(
    "wrong",
    [
        {"GREENOPS_SPAN_PARTS": "netwrok"},
        {"GREENOPS_LANGUAGE_MODEL_CALLS": "perhaps"},
        {"GREENOPS_LANGUAGE_MODEL_TIER": "huge"},
        {"GREENOPS_EMBODIED_G": "-1"},
        {"GREENOPS_EMBODIED_G": "nan"},
        {"GREENOPS_EMBODIED_LIFETIME_YEARS": "0"},
        {"GREENOPS_LANGUAGE_MODELS": "/nowhere/models.json"},
    ],
    ids=lambda each: "=".join(*each.items()),
)
def test_a_wrong_setting_is_told_and_leaves_the_spans_their_own_energy(wrong, caplog):
    with caplog.at_level(logging.WARNING):
        parts = from_environment(wrong)

    assert "GO0730" in caplog.text
    assert parts._calls is None


def test_a_wrong_setting_of_another_process_is_none_of_its_business(caplog):
    assert from_environment({"GREENOPS_API_PORT": "many"})._calls is not None
    assert caplog.text == ""


def test_every_setting_it_reads_is_a_setting():
    known = {f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}

    assert {PREFIX + each for each in VARIABLES} <= known
    assert tuple(Part) == SPAN_PARTS


def test_a_part_that_does_not_exist_names_those_that_do(tmp_path):
    with pytest.raises(UsageError, match=r"may name `range`, `cost`, .*, `per_unit`, not `x`"):
        load_settings({"GREENOPS_SPAN_PARTS": "x"}, tmp_path)
