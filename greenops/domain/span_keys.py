"""One number of 64 bits that stands for the ids of a span: two spans of a million share one once in 10^7 times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

BEGIN: Final = np.random.default_rng().integers(0, 2**64, None, np.uint64)
"""Another one in each process, so that nobody can send spans whose keys are taken for those of others."""
SHIFT: Final = np.uint64(33)
FACTORS: Final = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
"""Source: the finalizer of MurmurHash3, 64 bits (public domain)."""


def keys_of(*ids: Sequence[Any], padded: bool = False) -> Any:
    """Keys of spans.

    Args:
        ids: Trace ids, then span ids: of each the words of eight bytes, arrays of shape (span) of uint64.
        padded: Words of zeros fill ids up, and the width that they are filled up to does not count.
    """
    found = np.full(len(ids[0][0]), BEGIN, np.uint64)
    for words in ids:
        for word in words:
            mixed = _mixed(found ^ word)
            found = np.where(word == 0, found, mixed) if padded else mixed
        # So that a word at the end of one id is another than at the beginning of the next.
        found = _mixed(found)
    return found


def _mixed(keys: Any) -> Any:
    # A bijection that carries every bit to every other: ids in a row, or with most of their bits alike, come to
    # lie as far apart as random ones, and stay apart when further words are mixed in.
    for factor in FACTORS:
        keys ^= keys >> SHIFT
        keys *= factor
    keys ^= keys >> SHIFT
    return keys
