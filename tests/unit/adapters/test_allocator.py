"""A process that is ours alone has one pool of memory, loads no pandas because Arrow would, and returns what lies free."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
beside_pandas = pytest.mark.skipif(
    find_spec("pandas") is None, reason="no pandas; pip install pandas"
)

HELD = ("from greenops.adapters.allocator import hold_little", "hold_little()")
LOADED = "print('pandas' in sys.modules)"
USED = (
    "import io, os, pyarrow as pa, pyarrow.parquet as pq",
    "pq.write_table(pa.table({'a': ['x' * n for n in range(1000)]}), io.BytesIO())",
    "pools = {n: getattr(pa, n + '_memory_pool')() for n in pa.supported_memory_backends()}",
    "print(*(name for name, pool in pools.items() if pool.max_memory()))",
    "print(os.environ.get('ARROW_DEFAULT_MEMORY_POOL'))",
)
"""Prints the pools that were taken from, and what processes that are started would hear of it."""


def says(*lines: str, **environ: str) -> str:
    """What a new process prints."""
    code = "\n".join(("import sys", *lines))
    command = [sys.executable, "-c", code]
    ours = {**os.environ, **environ}
    done = subprocess.run(command, env=ours, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_what_serves_takes_memory_from_the_c_library_alone() -> None:
    asked = ("from greenops.cli.main import build_parser", "build_parser().parse_args(['serve'])")

    assert says(*asked, *HELD, "import greenops.service.serve", *USED) == "system\nNone"


def test_arrows_pool_stays_the_one_that_was_asked_for() -> None:
    assert says(*HELD, *USED, ARROW_DEFAULT_MEMORY_POOL="mimalloc") == "mimalloc\nmimalloc"


@beside_pandas
def test_arrow_loads_pandas_where_nobody_asks_it_not_to() -> None:
    assert says("import pyarrow as pa", "pa.array([1])", LOADED) == "True"


@beside_pandas
def test_what_serves_makes_arrays_without_pandas() -> None:
    serves = ("import greenops.service.serve, pyarrow as pa", "pa.array([1])")

    assert says(*HELD, *serves, LOADED) == "False"


@beside_pandas
def test_what_makes_roll_ups_loads_no_pandas(tmp_path: Path) -> None:
    work = (
        "from greenops.pipeline.rollup_worker import main",
        f"assert main([{str(tmp_path)!r}, '-']) == 0",
        "import pyarrow as pa",
        "pa.array([1])",
    )

    assert says(*work, LOADED) == "False"


@beside_pandas
def test_pandas_can_be_imported_afterwards() -> None:
    assert says(*HELD, "import pandas", LOADED) == "True"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked for it")
def test_what_lies_free_below_something_in_use_is_given_back() -> None:
    held = (
        "from greenops.adapters.allocator import give_back, hold_little",
        "from greenops.adapters.free_memory import held_memory",
        "import numpy as np",
        "hold_little()",
        "many = [np.ones(1000) for _ in range(8000)]",
        "last = many[-1]",
        "del many",
        "before = held_memory()",
        "give_back()",
        "print(before - held_memory())",
    )

    assert int(says(*held)) > 0.8 * 8000 * 8000
