"""What Arrow holds: a process that serves for months holds little more memory than it uses."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.abc
import os
import sys
from typing import Final

M_ARENA_MAX: Final = -8
"""Number of `mallopt`'s option. Source: malloc.h of glibc."""
ARENAS: Final = 2
"""Heaps that threads share [1]; glibc's own limit is eight a core, and each keeps what its threads gave back."""
ONE_POOL: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Lets Arrow take its memory from the C library; it looks once, as it is loaded. What is chosen later is for what Python
asks for alone: writing Parquet still had 26 MB of its own. Source: the environment variables of Arrow's C++ library."""


def hold_little() -> None:
    """Take Arrow's memory from the C library, let that keep few heaps, and leave pandas alone.

    For processes that are ours alone. Call it before Arrow is loaded, and before threads start. Arrow's own allocator is
    faster by little and keeps more by much: a receiver of 10,000 spans a second grew from 330 MB to 410 in four minutes
    with it. Where the C library is another, it keeps its ways.
    """
    _load_arrow()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    _leave_pandas()


def give_back() -> None:
    """Return what lies free between used memory to the system: 1 ms idle, 4 to 10 after 20,000 spans were written."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _load_arrow() -> None:
    """With one pool, unless whoever started us chose another; what we start hears nothing of it."""
    before = dict(os.environ)
    os.environ.update(ONE_POOL | before)
    importlib.import_module("pyarrow")
    for name in ONE_POOL.keys() - before.keys():
        del os.environ[name]


def _leave_pandas() -> None:
    """Let Arrow look for pandas, which it does once, at its first array, and find none.

    Where pandas is installed, with Streamlit for one, Arrow would load it to know its kinds of arrays: 32 MB that nothing
    here uses.
    """
    import pyarrow as pa

    absent = _NoPandas()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([""])
    finally:
        sys.meta_path.remove(absent)


class _NoPandas(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)
