"""`pytest --energy`, in a pytest of its own, on a meter whose truth is known."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from greenops.adapters.clock import SystemClock
from greenops.adapters.energy_baseline import write_baseline
from greenops.cli import pytest_energy
from greenops.domain.energy_baseline import Baseline
from greenops.errors import Unreachable
from greenops.observe.observer import Observer
from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import alone, burn

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.slow, pytest.mark.feature("J9")]

SUITE = """
import threading
def test_much(work): work("a", 0.06)
def test_little(work): work("b", 0.01)
def test_in_a_thread(work):
    thread = threading.Thread(target=work, args=("a", 0.03))
    thread.start()
    thread.join()
def test_that_fails(work):
    work("a", 0.01)
    assert False
"""


class Bench:
    """What the inner tests burn; `more` multiplies their work."""

    def __init__(self) -> None:
        self.more = 1.0
        self.name = "rapl"
        self.meter = SyntheticMeter(idle=2.0, watts={"a": 5.0, "b": 8.0})

    @pytest.fixture
    def work(self) -> Any:
        return lambda operation, cpu_s: burn(self.meter, operation, cpu_s * self.more)

    def observer(self) -> Observer:
        return Observer(lambda: [self.meter], clock=SystemClock(), host=alone)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Bench:
    made = Bench()
    monkeypatch.setattr(pytest_energy, "open_observer", made.observer)
    pytester.makepyfile(SUITE)
    return made


def run(pytester: pytest.Pytester, bench: Bench, *options: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:randomly", *options, plugins=[bench])


def told(result: pytest.RunResult) -> dict[str, float]:
    lines = re.findall(r"^ *(\S+) J \(.*::(\w+)$", "\n".join(result.outlines), re.MULTILINE)
    return {test: float(joules) for joules, test in lines}


def test_energy_tells_the_joules_of_each_test_with_range_and_method(
    pytester: pytest.Pytester, bench: Bench
) -> None:
    result = run(pytester, bench, "--energy")

    found = told(result)
    result.assert_outcomes(passed=3, failed=1)
    assert list(found) == ["test_much", "test_in_a_thread", "test_little"]
    assert found["test_much"] == pytest.approx(0.30, rel=0.15)
    assert found["test_in_a_thread"] == pytest.approx(0.15, rel=0.2)
    assert found["test_little"] == pytest.approx(0.08, rel=0.3)
    result.stdout.re_match_lines([r".* J \(\S+ to \S+ J, measured by rapl, 1 run\).*test_much"])


def test_a_test_that_rose_above_its_baseline_fails(pytester: pytest.Pytester, bench: Bench) -> None:
    run(pytester, bench, "--energy-save", "--energy-repeat=3").assert_outcomes(passed=3, failed=1)
    saved = json.loads((pytester.path / "energy-baseline.json").read_text())

    same = run(pytester, bench, "--energy-max=50", "--energy-repeat=3")
    bench.more = 3.0
    risen = run(pytester, bench, "--energy-max=50", "--energy-repeat=3", "-rf")

    assert saved["source"] == "rapl"
    assert len(saved["cases"]) == 3
    same.assert_outcomes(passed=3, failed=1)
    same.stdout.fnmatch_lines(["*3 of 3 tests are in the baseline"])
    risen.assert_outcomes(failed=4)
    assert risen.ret == pytest.ExitCode.TESTS_FAILED
    risen.stdout.re_match_lines([r"energy \S+ J, \S+ J in the baseline \(\+\d+%\); 50 % are"])


def test_ini_options_stand_for_the_flags(pytester: pytest.Pytester, bench: Bench) -> None:
    pytester.makeini(
        "[pytest]\nenergy_max = 50\nenergy_baseline = accepted.json\nenergy_repeat = 3\n"
    )
    run(pytester, bench, "--energy-save", "-k", "much")
    bench.more = 3.0

    result = run(pytester, bench, "--energy", "-k", "much")

    assert (pytester.path / "accepted.json").is_file()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*3 runs*test_much"])


def test_a_test_that_is_not_in_the_baseline_is_only_told(
    pytester: pytest.Pytester, bench: Bench
) -> None:
    run(pytester, bench, "--energy-save", "-k", "little")

    result = run(pytester, bench, "--energy-max=1", "--energy-repeat=3", "-k", "much")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["0 of 1 tests are in the baseline"])


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "GO0430"), ("[]", "GO0431"), ('{"source":"nvml","method":"m","cases":{}}', "GO0433")],
)
def test_a_baseline_that_cannot_be_compared_with_stops_the_run(
    content: str | None, code: str, pytester: pytest.Pytester, bench: Bench
) -> None:
    if content is not None:
        (pytester.path / "energy-baseline.json").write_text(content)

    result = run(pytester, bench, "--energy-max=10")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{code}*"])


def test_without_a_meter_it_says_so(
    pytester: pytest.Pytester, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pytest_energy, "open_observer", lambda: Observer(list, clock=SystemClock(), host=alone)
    )

    result = run(pytester, bench, "--energy", "-k", "little")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["no energy: *"])


def test_without_an_option_nothing_is_measured(pytester: pytest.Pytester, bench: Bench) -> None:
    result = run(pytester, bench, "-k", "little")

    assert "energy of tests" not in "\n".join(result.outlines)


def test_fixtures_are_set_up_anew_for_each_run(pytester: pytest.Pytester, bench: Bench) -> None:
    pytester.makepyfile(
        """
        import pytest
        seen = []
        @pytest.fixture
        def thing():
            seen.append("up")
            yield
            seen.append("down")
        def test_it(thing): seen.append("run")
        def test_after(): assert seen == ["up", "run", "down"] * 3
        """
    )

    result = run(pytester, bench, "--energy", "--energy-repeat=3")

    result.assert_outcomes(passed=2)


def test_junit_files_and_workers_carry_the_energy(pytester: pytest.Pytester, bench: Bench) -> None:
    run(pytester, bench, "--energy", "--junitxml=out.xml", "-k", "little")

    assert 'name="greenops_energy"' in (pytester.path / "out.xml").read_text()


def test_the_plugin_opens_the_meters_of_this_machine() -> None:
    observer = pytest_energy.open_observer()
    observer.close()

    assert isinstance(observer, Observer)


def test_pytest_finds_the_plugin(tmp_path: Path) -> None:
    (found,) = entry_points(group="pytest11", name="greenops")

    assert found.load() is pytest_energy


def test_a_baseline_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="GO0432"):
        write_baseline(tmp_path / "no" / "baseline.json", Baseline("rapl", "measured", {}))
