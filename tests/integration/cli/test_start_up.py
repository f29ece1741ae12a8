"""What an import of `greenops` and a call of its help cost.

Both bounds are of CPU time, since neither waits for anything, and others on the machine are not in it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TURNS = 7
IMPORT_MS = 30.0
"""Most CPU time that `import greenops` may add to what every traced service imports anyway [ms]."""
HELP_MS = 200.0
"""Most CPU time that `greenops --help` may take [ms]."""


def spent():
    """CPU time of all children that have ended [s]: others on the machine are not in it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def least(tmp_path_factory):
    """Measures commands in turns; the least CPU time of each [ms]: what else runs on the cores only adds to it.

    `of` reads a command's time from what it printed, instead of all that its process took.
    """
    # Compiled files are kept, as they are after every installation.
    compiled = str(tmp_path_factory.getbasetemp() / "compiled")
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}

    def once(command, of):
        began = spent()
        done = subprocess.run(
            [sys.executable, *command], env=environ, capture_output=True, timeout=20, check=False
        )
        taken = (spent() - began) * 1000
        assert done.returncode == 0, done.stderr
        return of(done.stdout) if of else taken

    def measure(*commands, of=None):
        for command in commands:
            once(command, of)
        turns = [[once(command, of) for command in commands] for _ in range(TURNS)]
        return [min(column) for column in zip(*turns, strict=True)]

    return measure


def test_an_import_adds_little_to_a_service_that_is_traced(least):
    # Timed within one process: between two, the start of Python alone differs by more than the bound where others run.
    code = (
        "import opentelemetry.sdk.trace, time; began = time.process_time();"
        "import greenops; print(1000 * (time.process_time() - began))"
    )

    (taken,) = least(["-c", code], of=float)

    assert taken <= IMPORT_MS, f"{taken:.1f} ms"


def test_help_is_there_at_once(least):
    nothing, help_ = least(["-c", "import argparse"], ["-m", "greenops.cli.main", "--help"])

    # A machine on which Python alone takes longer than 50 ms gets as much time more.
    allowed = HELP_MS + max(0.0, nothing - 50.0)
    assert help_ <= allowed, f"{help_:.0f} ms; python with argparse alone {nothing:.0f} ms"


@pytest.mark.parametrize(
    "heavy", ["numpy", "pyarrow", "grpc", "requests", "opentelemetry", "yaml", "celpy", "pandas"]
)
def test_help_loads_nothing_heavy(heavy):
    code = (
        "import sys; from greenops.cli.main import build_parser; build_parser().format_help();"
        f"sys.exit({heavy!r} in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)

    assert done.returncode == 0, f"{heavy} is loaded for a help text"
