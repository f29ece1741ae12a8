"""pytest plugin: `--energy` tells the joules of each test, `--energy-max` fails those that rose."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from greenops.domain.energy_baseline import Baseline, CaseEnergy
    from greenops.observe.observer import Observer
    from greenops.observe.window import Used, Window

REPEAT: Final = 5
"""Runs of each test where a baseline is written or compared with."""
PROPERTY: Final = "greenops_energy"
"""Name of what a report carries, from a worker of pytest-xdist too; JUnit files show it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini twins."""
    group = parser.getgroup("energy", "energy of tests (GreenOps)")
    group.addoption("--energy", action="store_true", help="tell the energy of each test [J]")
    group.addoption(
        "--energy-max",
        type=float,
        metavar="PERCENT",
        help="fail a test whose energy is so much above its baseline, and above the noise",
    )
    group.addoption("--energy-save", action="store_true", help="write the baseline")
    group.addoption("--energy-baseline", metavar="FILE", help="default: energy-baseline.json")
    group.addoption(
        "--energy-repeat", type=int, metavar="N", help="run each test N times, take the median"
    )
    parser.addini("energy_max", "as --energy-max, where --energy is given")
    parser.addini("energy_baseline", "as --energy-baseline", default="energy-baseline.json")
    parser.addini("energy_repeat", "as --energy-repeat")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to measure where that was asked for."""
    option = config.option
    if option.energy or option.energy_save or option.energy_max is not None:
        config.pluginmanager.register(EnergyPlugin(config), "greenops-energy")


def open_observer() -> Observer:
    """Looks at the meters of this machine."""
    from greenops.adapters.clock import SystemClock
    from greenops.observe.observer import Observer
    from greenops.pipeline.meters import discover

    return Observer(lambda: discover("pytest"), clock=SystemClock())


class EnergyPlugin:
    """Measures the call of each test: its body, without fixtures."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        given = option.energy_max if option.energy_max is not None else config.getini("energy_max")
        self.save = bool(option.energy_save)
        self.percent = None if self.save or given in (None, "") else float(given)
        repeat = option.energy_repeat or config.getini("energy_repeat")
        gates = self.save or self.percent is not None
        self.repeat = int(repeat) if repeat else REPEAT if gates else 1
        self.file = config.rootpath / (option.energy_baseline or config.getini("energy_baseline"))
        self._worker = hasattr(config, "workerinput")
        self._runs: defaultdict[str, list[Used]] = defaultdict(list)
        self._found: dict[str, dict[str, Any]] = {}
        self._observer: Observer | None = None
        self._window: Window | None = None
        self._baseline: Baseline | None = None

    def pytest_sessionstart(self) -> None:
        """Open the meters, read the baseline."""
        from greenops.errors import GreenOpsError
        from greenops.observe.window import Window

        self._observer = open_observer()
        self._window = Window(self._observer)
        try:
            self._baseline = self._accepted(self._window.source)
        except GreenOpsError as error:
            raise pytest.UsageError(str(error)) from error
        self._observer.run()

    def _accepted(self, source: str) -> Baseline | None:
        if self.percent is None:
            return None
        from greenops.adapters.energy_baseline import read_baseline
        from greenops.errors import Location, UsageError

        baseline = read_baseline(self.file)
        if baseline.source != source:
            raise UsageError(
                "GO0433",
                f"the baseline was read from `{baseline.source}`, here is `{source or 'no meter'}`",
                at=Location(str(self.file)),
                fix="compare on one machine, or write a baseline here",
            )
        return baseline

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test as often as its median needs; what is reported is the last run."""
        from _pytest.runner import runtestprotocol

        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports: list[pytest.TestReport] = []
        for _ in range(self.repeat):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            if not all(report.passed for report in reports):
                break
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the body; garbage of earlier tests is collected before it."""
        assert self._window is not None  # noqa: S101 - the session has started
        gc.collect()
        self._window.begin()
        result = yield
        used = self._window.end()
        if used is not None:
            self._runs[item.nodeid].append(used)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the energy on the report of a test that passed, and fail it where it rose."""
        report = yield
        runs = self._runs.get(item.nodeid)
        if call.when == "call" and report.passed and runs:
            from greenops.prove.energy_gate import case_energy

            case = case_energy([each.joules for each in runs])
            kept = [each for each in item.user_properties if each[0] != PROPERTY]
            item.user_properties = [*kept, (PROPERTY, _told(case, runs))]
            report.user_properties = list(item.user_properties)
            self._judge(report, case)
        return report

    def _judge(self, report: pytest.TestReport, case: CaseEnergy) -> None:
        if self._baseline is None or self.percent is None or case.runs < self.repeat:
            return
        from greenops.prove.energy_gate import regression

        before = self._baseline.cases.get(report.nodeid)
        why = regression(case, before, self.percent) if before else None
        if why is not None:
            report.outcome, report.longrepr = "failed", why

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what reports carry, those of other processes too."""
        found: Any = dict(report.user_properties).get(PROPERTY)
        if found and report.when == "call":
            self._found[report.nodeid] = found

    def pytest_sessionfinish(self) -> None:
        """Let the meters go; write the baseline where that was asked for."""
        if self._observer is not None:
            self._observer.close()
        if self.save and self._found and not self._worker:
            self._write()

    def _write(self) -> None:
        from greenops.adapters.energy_baseline import write_baseline
        from greenops.domain.energy_baseline import Baseline, CaseEnergy
        from greenops.units import Joules

        last = list(self._found.values())[-1]
        cases = {
            test: CaseEnergy(Joules(each["joules"]), each["spread"], each["runs"])
            for test, each in self._found.items()
        }
        write_baseline(self.file, Baseline(last["source"], last["method"], cases))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List the tests, those that used most first."""
        terminalreporter.section("energy of tests")
        if not self._found:
            terminalreporter.write_line("no energy: no meter here, or no test passed")
            return
        order = sorted(self._found.items(), key=lambda each: -each[1]["joules"])
        for test, each in order:
            terminalreporter.write_line(f"{_line(each)}  {test}")
        kept = [test for test in self._found if self._baseline and test in self._baseline.cases]
        if self._baseline is not None:
            terminalreporter.write_line(f"{len(kept)} of {len(order)} tests are in the baseline")
        if self.save:
            terminalreporter.write_line(f"baseline written to {_short(self.file)}")


def _told(case: CaseEnergy, runs: list[Used]) -> dict[str, Any]:
    """What leaves the process with a report: plain values."""
    middle = min(runs, key=lambda each: abs(each.joules - case.joules))
    return {
        "joules": case.joules,
        "low": middle.low,
        "high": middle.high,
        "spread": case.spread,
        "runs": case.runs,
        "method": str(middle.method),
        "source": middle.source,
    }


def _line(each: dict[str, Any]) -> str:
    runs = "1 run"
    if each["runs"] > 1:
        spread = "" if each["spread"] is None else f" ±{each['spread']:.2g} J"
        runs = f"{each['runs']} runs{spread}"
    return (
        f"{each['joules']:9.3g} J ({each['low']:.3g} to {each['high']:.3g} J, "
        f"{each['method']} by {each['source']}, {runs})"
    )


def _short(path: Path) -> str:
    return path.name
