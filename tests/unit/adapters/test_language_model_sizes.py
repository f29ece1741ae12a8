"""Sizes in the shipped table, against what the models' published configurations add up to."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from greenops.adapters.language_model_file import shipped
from greenops.observe.language_model import LanguageModels


class Shape(NamedTuple):
    """`config.json` of a model: hidden size, layers, heads, key-value heads, head size, inner size, vocabulary, and so on."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    inner: int
    vocabulary: int
    tied: bool = False
    experts: int = 1
    chosen: int = 1

    def parameters(self, experts: int) -> float:
        """Parameters [1e9] with so many experts; norms and biases, a thousandth at most, are left out."""
        attention = 2 * self.hidden * self.head * (self.heads + self.kv_heads)
        inner = 3 * self.hidden * self.inner * experts
        ends = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return (self.layers * (attention + inner) + ends) / 1e9


SHAPES = {
    "llama-3.1-8b": Shape(4096, 32, 32, 8, 128, 14336, 128256),
    "llama-3.1-70b": Shape(8192, 80, 64, 8, 128, 28672, 128256),
    "llama-3.1-405b": Shape(16384, 126, 128, 8, 128, 53248, 128256),
    "llama-3.2-1b": Shape(2048, 16, 32, 8, 64, 8192, 128256, tied=True),
    "llama-3.2-3b": Shape(3072, 28, 24, 8, 128, 8192, 128256, tied=True),
    "llama-3.3-70b": Shape(8192, 80, 64, 8, 128, 28672, 128256),
    "qwen2.5-7b": Shape(3584, 28, 28, 4, 128, 18944, 152064),
    "qwen2.5-14b": Shape(5120, 48, 40, 8, 128, 13824, 152064),
    "qwen2.5-32b": Shape(5120, 64, 40, 8, 128, 27648, 152064),
    "qwen2.5-72b": Shape(8192, 80, 64, 8, 128, 29568, 152064),
    "qwen3-4b": Shape(2560, 36, 32, 8, 128, 9728, 151936, tied=True),
    "qwen3-8b": Shape(4096, 36, 32, 8, 128, 12288, 151936),
    "qwen3-14b": Shape(5120, 40, 40, 8, 128, 17408, 151936),
    "qwen3-32b": Shape(5120, 64, 64, 8, 128, 25600, 151936),
    "deepseek-r1-distill-llama-8b": Shape(4096, 32, 32, 8, 128, 14336, 128256),
    "deepseek-r1-distill-llama-70b": Shape(8192, 80, 64, 8, 128, 28672, 128256),
    "deepseek-r1-distill-qwen-1.5b": Shape(1536, 28, 12, 2, 128, 8960, 151936),
    "deepseek-r1-distill-qwen-7b": Shape(3584, 28, 28, 4, 128, 18944, 152064),
    "deepseek-r1-distill-qwen-14b": Shape(5120, 48, 40, 8, 128, 13824, 152064),
    "deepseek-r1-distill-qwen-32b": Shape(5120, 64, 40, 8, 128, 27648, 152064),
    "deepseek-r1-0528-qwen3-8b": Shape(4096, 36, 32, 8, 128, 12288, 151936),
    "mistral-7b": Shape(4096, 32, 32, 8, 128, 14336, 32000),
    "mistral-nemo": Shape(5120, 40, 32, 8, 128, 14336, 131072),
    "mistral-small": Shape(5120, 40, 32, 8, 128, 32768, 131072),
    "mistral-large": Shape(12288, 88, 96, 8, 128, 28672, 32768),
    "mixtral-8x7b": Shape(4096, 32, 32, 8, 128, 14336, 32000, experts=8, chosen=2),
    "mixtral-8x22b": Shape(6144, 56, 48, 8, 128, 16384, 32768, experts=8, chosen=2),
    "phi-4": Shape(5120, 40, 40, 10, 128, 17920, 100352),
    "phi-4-mini": Shape(3072, 32, 24, 8, 128, 8192, 200064, tied=True),
    "gemma-2-9b": Shape(3584, 42, 16, 8, 256, 14336, 256000, tied=True),
    "gemma-2-27b": Shape(4608, 46, 32, 16, 128, 36864, 256000, tied=True),
    "command-r": Shape(8192, 40, 64, 64, 128, 22528, 256000, tied=True),
    "command-r-08-2024": Shape(8192, 40, 64, 8, 128, 24576, 256000, tied=True),
    "command-r-plus": Shape(12288, 64, 96, 8, 128, 33792, 256000, tied=True),
}
SIZES = {model.name: model for model in shipped().models}


@pytest.mark.parametrize("name", SHAPES)
def test_a_size_is_what_the_configuration_adds_up_to(name):
    shape, model = SHAPES[name], SIZES[name]

    assert model.total_b == pytest.approx(shape.parameters(shape.experts), rel=0.011)
    assert model.active_b == pytest.approx(shape.parameters(shape.chosen), rel=0.011)


@pytest.mark.parametrize(
    ("spelling", "total"),
    [
        # Distilled models were taken for the model that taught them, 47 times their size.
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", 14.8),
        ("deepseek-r1-distill-qwen-7b", 7.62),
        ("DeepSeek-R1-Distill-Qwen-1.5B", 1.78),
        ("deepseek/deepseek-r1-0528-qwen3-8b:free", 8.2),
        ("deepseek-r1-0528", 671),
        # Names that go on as their models change.
        ("mistral-large-latest", 675),
        ("mistral-large-2512", 675),
        ("mistral.mistral-large-3-675b-instruct", 675),
        ("mistral-large-2407", 123),
        ("mistral-small-2603", 119),
        ("mistral-small-2506", 23.6),
        ("microsoft/Phi-4-multimodal-instruct", 5.6),
        ("phi-4-reasoning", 14.7),
        ("command-r-08-2024", 32.3),
        ("command-r-plus-08-2024", 104),
        ("glm-4.5-airx", 106),
        ("deepseek-v3.2", 671),
        ("deepseek-chat", 284),
    ],
)
def test_a_spelling_means_the_model_of_its_size(spelling, total):
    size = LanguageModels(shipped()).size(spelling)

    assert size is not None
    assert size.total_b == pytest.approx(total)


def test_every_row_has_a_source_and_a_date():
    table = shipped()
    for row in (*table.models, *table.hosted, *table.tiers, *table.precisions):
        assert row.source, row.name
        assert row.date[:4].isdigit(), row.name
