"""Shared by all tests: the feature report."""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from greenops.demo import processes

# Where a test of gRPC came before, a command that is forked here would start gRPC's poller anew in its child, whose
# descriptors are closed: it aborts. Children here start other programs and need no gRPC.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# How long an example takes says how busy the machine is, and in a fresh clone how long tables of characters take to make.
hypothesis.settings.register_profile(
    "greenops", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("greenops")

# Workers that test side by side listen on ports of their own.
WORKER, WORKERS = (
    int(re.sub(r"\D", "", os.environ.get(name, default)))
    for name, default in (("PYTEST_XDIST_WORKER", "0"), ("PYTEST_XDIST_WORKER_COUNT", "1"))
)
processes.PORTS = processes.PORTS[WORKER::WORKERS]  # type: ignore[misc]

TRACED_CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""Variable by which a coverage run traces the processes that are started in it. Source: coverage's `patch = subprocess`."""

REFERENCE = Path(
    os.environ.get("GREENOPS_REFERENCE_DATA", Path(__file__).parents[2] / "shared" / "data")
)
ROW = re.compile(r"^\| (?P<id>[A-P]\d+) \| [^|]* \| (?P<item>[^|]*) \|", re.MULTILINE)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder of the reference data, or a skip that says how to get it."""
    if not REFERENCE.is_dir():
        pytest.skip("no reference data; set GREENOPS_REFERENCE_DATA to its folder")
    return REFERENCE


@pytest.fixture(autouse=True)
def _same_main() -> Iterator[None]:
    """Streamlit's pages run as `__main__` in this process, and what starts processes later would run a page in them."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(autouse=True)
def _untraced(request: pytest.FixtureRequest) -> Iterator[None]:
    """Repetitions of what other tests show once run without a coverage run's tracer, which multiplies their time.

    So do the processes that they start.
    """
    tracer = sys.gettrace()
    if request.node.get_closest_marker("untraced") is None or tracer is None:
        yield
        return
    sys.settrace(None)
    children = os.environ.pop(TRACED_CHILDREN, None)
    yield
    sys.settrace(tracer)
    if children is not None:
        os.environ[TRACED_CHILDREN] = children


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--feature-report", action="store_true", help="list feature rows with tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("network") or item.get_closest_marker("peer"):
            item.add_marker(pytest.mark.enable_socket)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not config.getoption("--feature-report"):
        return
    outcome = {
        report.nodeid: report.outcome
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and (report.when == "call" or report.skipped)
    }
    tests: defaultdict[str, list[str]] = defaultdict(list)
    for item in getattr(terminalreporter._session, "items", []):
        for mark in item.iter_markers("feature"):
            for row in mark.args:
                tests[row].append(f"{outcome.get(item.nodeid, 'not run')}: {item.nodeid}")
    table = REFERENCE.parent / "FEATURES.md"
    titles = dict(ROW.findall(table.read_text())) if table.is_file() else {}
    terminalreporter.section("features")
    for row in sorted(tests, key=lambda r: (r[0], int(r[1:]))):
        terminalreporter.write_line(f"{row} {titles.get(row, '').strip()}")
        for line in tests[row]:
            terminalreporter.write_line(f"   {line}")
    rows = f" of {len(titles)}" if titles else ""
    terminalreporter.write_line(f"{len(tests)}{rows} rows have tests")
