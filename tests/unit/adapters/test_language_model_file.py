"""The shipped table of language models, and rows of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from greenops.adapters.language_model_file import shipped, version, with_own
from greenops.domain.language_model import CallEnergy, Tokens, Trust
from greenops.errors import InvalidFile
from greenops.observe.language_model import LanguageModels

ROW = {"source": "own test bench", "date": "2026-11", "licence": "own"}
MODEL = {"name": "in-house-7b", "active_b": 7, "total_b": 7, "precision": "bf16", **ROW}
MEASURED = {"model": "phi-4", "output_j": 0.2, "boundary": "node", "factor": 1.1, **ROW}


def test_a_changed_number_is_another_version(tmp_path):
    table = shipped()
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"models": [MODEL]}))

    assert version(table) == version(shipped())
    assert version(with_own(table, own)) != version(table)


def test_own_models_and_measurements_stand_beside_the_shipped_ones(tmp_path):
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"models": [MODEL], "measured": [MEASURED]}))

    models = LanguageModels(with_own(shipped(), own))

    trusts = [
        found.trust
        for name in ("in-house-7b", "phi-4", "gpt-4o")
        if isinstance(found := models.estimate(name, Tokens(5, 0, 5)), CallEnergy)
    ]
    assert trusts == [Trust.TOKEN_MODEL, Trust.OWN_SERVER, Trust.TIER]


def test_an_own_row_of_a_shipped_model_takes_its_place(tmp_path):
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"models": [{**MODEL, "name": "phi-4"}]}))

    size = LanguageModels(with_own(shipped(), own)).size("phi-4")

    assert size is not None
    assert size.active_b == 7


@pytest.mark.parametrize("name", ["deepseek-v3", "deepseek-chat", "gpt-4o"])
def test_an_own_tier_stands_above_a_shipped_size_whatever_its_spelling(tmp_path, name):
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"hosted": [{"name": name, "tier": "small", **ROW}]}))

    size = LanguageModels(with_own(shipped(), own)).size(name)

    assert size is not None
    assert size.name == "small"


def test_the_example_in_the_reference_is_a_table(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "reference" / "data.md").read_text()
    (example,) = re.findall(r"^    (\{\"models\".*?\]\})$", page, re.MULTILINE | re.DOTALL)
    own = tmp_path / "own.json"
    own.write_text(example)

    models = LanguageModels(with_own(shipped(), own))

    found = models.estimate("llama-3.1-70b", Tokens(1, 0, 1), server="llm.internal")
    assert isinstance(found, CallEnergy)
    assert found.trust is Trust.OWN_SERVER


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "language models"),
        ("[]", "object"),
        ('{"tiers": []}', "unknown key `tiers`"),
        (json.dumps({"models": [{**MODEL, "active_b": "7"}]}), "must be float"),
        (json.dumps({"models": [{**MODEL, "active_b": 9}]}), "sizes that cannot be"),
        (json.dumps({"models": [{**MODEL, "active_b": -1, "total_b": -1}]}), "sizes"),
        (json.dumps({"models": [{**MODEL, "precision": "fp1"}]}), "precision `fp1`"),
        (json.dumps({"models": [{"name": "x"}]}), "lacks"),
        (json.dumps({"hosted": [{"name": "x", "tier": "huge", **ROW}]}), "tier `huge`"),
        (json.dumps({"measured": [{**MEASURED, "factor": 0.5}]}), "cannot be"),
        (json.dumps({"measured": [{**MEASURED, "output_j": float("nan")}]}), "cannot be"),
        (json.dumps({"measured": [{**MEASURED, "boundary": "moon"}]}), "moon"),
        (json.dumps({"measured": [{**MEASURED, "boundary": "network"}]}), "of a network"),
    ],
)
def test_a_file_that_is_no_table_says_what_is_wrong(tmp_path, content, why):
    own = tmp_path / "own.json"
    own.write_text(content)

    with pytest.raises(InvalidFile, match=why) as caught:
        with_own(shipped(), own)

    assert caught.value.code == "GO0731"
    assert str(own) in str(caught.value)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(InvalidFile, match="No such file"):
        with_own(shipped(), tmp_path / "none.json")
