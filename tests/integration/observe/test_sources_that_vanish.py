"""Sources of energy that go bad while a service runs, one by one, with their own adapters; the systems are fakes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenops.adapters import (
    amd_smi,
    cpu_model,
    hwmon,
    nvml,
    perf_events,
    powercap,
    prometheus_meter,
    redfish,
)
from greenops.errors import AdapterUnavailable
from greenops.observe import attributes as names
from greenops.pipeline.polled_meter import PolledMeter
from greenops.ports import EnergyMeter
from greenops.testing.http_pages import FakePages
from greenops.testing.meter_systems import (
    FakeAmdSmi,
    FakeNvml,
    FakePerf,
    perf_tree,
    rapl_tree,
    rapl_zone,
    write_tree,
)
from tests.integration.observe.traced import Service, number

PERIOD_S = 0.02
COUNTER_WIDTH = 20
"""Characters of a counter's file, so that a new text covers the whole of the last."""
System = tuple[EnergyMeter, Callable[[object], None]]
"""A meter, and a way to set what its system shows: joules, or something that is none."""


def counter_file(file: Path) -> Callable[[object], None]:
    """A way to set what a file that counts microjoules shows; it begins at 0."""

    def show(what: object) -> None:
        # In one step: a file that is emptied first could be read before it is written, by the meter thread.
        text = str(int(what * 1e6)) if isinstance(what, float) else str(what)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, text.ljust(COUNTER_WIDTH).encode(), 0)
        finally:
            os.close(descriptor)

    show(0.0)
    return show


def rapl(folder: Path) -> System:
    rapl_zone(folder, "intel-rapl:0", "package-0")
    show = counter_file(folder / "intel-rapl:0/energy_uj")
    return powercap.discover(folder)[0], show


def memory(folder: Path) -> System:
    show = counter_file(rapl_tree(folder) / "intel-rapl:0:2/energy_uj")
    package, dram = powercap.discover(folder)
    package.close()
    return dram, show


def nvidia(folder: Path) -> System:
    library = FakeNvml({0: 0})

    def show(what: object) -> None:
        library.boards[0] = int(what * 1e3) if isinstance(what, float) else None

    return nvml.discover(library)[0], show


def counter(folder: Path) -> System:
    write_tree(folder / "hwmon0", {"name": "xe", "energy1_input": "0"})
    show = counter_file(folder / "hwmon0/energy1_input")
    return hwmon.discover(folder)[0], show


def board(folder: Path) -> System:
    library = FakeAmdSmi({"a": 0}, resolution=1.0)
    library.limits["a"] = 750

    def show(what: object) -> None:
        library.boards["a"] = int(what * 1e6) if isinstance(what, float) else None

    return amd_smi.discover(library)[0], show


def exporter(pages: FakePages) -> System:
    def show(what: object) -> None:
        text = f"scaph_socket_energy_microjoules {what * 1e6}" if isinstance(what, float) else what
        pages.answers["/metrics"] = (200, str(text).encode())

    show(0.0)
    here = {prometheus_meter.URL: f"{pages.url}/metrics"}
    return PolledMeter(prometheus_meter.discover(here)[0], period_s=PERIOD_S), show


def controller(pages: FakePages) -> System:
    path = "/redfish/v1/Chassis/1/EnvironmentMetrics"

    def show(what: object) -> None:
        text = f'{{"EnergyJoules": {{"Reading": {what}}}}}' if isinstance(what, float) else what
        pages.answers[path] = (200, str(text).encode())

    show(0.0)
    here = {redfish.URL: f"{pages.url}/redfish/v1/Chassis/1"}
    return PolledMeter(redfish.discover(here)[0], period_s=PERIOD_S), show


each_counter = pytest.mark.parametrize(
    "make", [rapl, memory, counter, board, nvidia], ids=lambda make: make.__name__
)


@pytest.fixture
def pages() -> Iterator[FakePages]:
    with FakePages({}) as made:
        yield made


def work(service: Service) -> None:
    with service.tracer.start_as_current_span("a"):
        sum(range(200_000))
        time.sleep(0.03)
    service.provider.force_flush()


def answers(meter: EnergyMeter) -> bool:
    try:
        meter.read()
    except AdapterUnavailable:
        return False
    return True


def wait_for(meter: EnergyMeter, show: Callable[[object], None], what: object) -> None:
    """Let the system show something until the meter has seen it: joules that go on rising, or nonsense."""
    until = time.monotonic() + 10
    while answers(meter) is not isinstance(what, float):
        assert time.monotonic() < until
        what = what + 0.01 if isinstance(what, float) else what
        show(what)
        time.sleep(PERIOD_S / 2)


def told(service: Service) -> list[str]:
    return [
        str((span.attributes or {}).get(names.ENERGY_UNKNOWN, "known"))
        for span in service.spans.get_finished_spans()
    ]


@pytest.mark.parametrize("nonsense", ["", "nonsense", "-5", "\x00\x01", "NaN"], ids=repr)
@each_counter
def test_a_source_that_goes_bad_makes_spans_unknown_until_it_is_well_again(
    make: Callable[[Path], System], nonsense: str, tmp_path: Path
) -> None:
    meter, show = make(tmp_path)
    service = Service(lambda: [meter])

    show(5.0)
    work(service)
    show(nonsense)
    work(service)
    show(9.0)
    service.observer.look()
    work(service)

    assert told(service) == ["known", "meter_failed", "known"]
    service.finish()
    assert sum(service.points(names.METRIC_ENERGY).values()) == pytest.approx(9.0)


@pytest.mark.network
@pytest.mark.parametrize(
    "nonsense",
    ["", "<html>", "scaph_socket_energy_microjoules NaN", '{"EnergyJoules": []}', "[" * 9999],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("make", [exporter, controller], ids=lambda make: make.__name__)
def test_a_server_that_answers_nonsense_makes_spans_unknown_until_it_is_well_again(
    make: Callable[[FakePages], System],
    nonsense: str,
    pages: FakePages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prometheus_meter, "NS_PER_S", 0)
    meter, show = make(pages)
    wait_for(meter, show, 5.0)
    service = Service(lambda: [meter])

    work(service)
    wait_for(meter, show, nonsense)
    work(service)
    wait_for(meter, show, 9.0)
    service.observer.look()
    work(service)

    assert told(service) == ["known", "meter_failed", "known"]
    service.finish()
    assert sum(service.points(names.METRIC_ENERGY).values()) <= 20.0


def test_an_event_that_stops_makes_spans_unknown(tmp_path: Path) -> None:
    kernel = FakePerf(*(2**32 * each for each in range(1, 4)))
    (meter,) = perf_events.discover(perf_tree(tmp_path), kernel)
    service = Service(lambda: [meter])

    for _ in kernel.counts:
        service.observer.look()
    work(service)

    assert told(service) == ["meter_failed"]
    service.finish()


@each_counter
def test_a_counter_that_jumps_by_more_than_can_be_drawn_is_refused_once(
    make: Callable[[Path], System], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meter, show = make(tmp_path)
    service = Service(lambda: [meter])

    with service.tracer.start_as_current_span("a"):
        # The look that a span's start wakes may come before or after the jump.
        service.observer.look()
        show(100_000.0)
        service.observer.look()
    work(service)

    assert told(service) == ["meter_failed", "known"]
    assert service.points(names.METRIC_REFUSED)["jump"] == 1
    assert "GO0706" in caplog.text
    assert sum(service.points(names.METRIC_ENERGY).values()) == 0.0
    assert number(service.finish()[1], names.ENERGY_SELF) == 0.0


@each_counter
def test_a_counter_that_a_driver_reset_is_refused_once_and_counts_on(
    make: Callable[[Path], System], tmp_path: Path
) -> None:
    meter, show = make(tmp_path)
    service = Service(lambda: [meter])

    with service.tracer.start_as_current_span("a"):
        service.observer.look()
        show(0.5)
        service.observer.look()
        show(0.1)
        service.observer.look()
        show(0.3)
        service.observer.look()
    work(service)

    assert told(service) == ["meter_failed", "known"]
    assert service.points(names.METRIC_REFUSED)["reset"] == 1
    service.finish()
    assert sum(service.points(names.METRIC_ENERGY).values()) == pytest.approx(0.5 + 0.2)


def test_cpu_times_that_vanish_make_a_models_spans_unknown_until_they_are_back(
    tmp_path: Path,
) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 0 100 0 0 0 0 0 0\n")
    (meter,) = cpu_model.discover_tdp(tmp_path / "no-cpuinfo", stat, {})
    service = Service(lambda: [meter])

    def count(ticks: int) -> None:
        stat.write_text(f"cpu  {100 + ticks} 0 0 {100 + ticks} 0 0 0 0 0 0\n")

    count(1_000)
    work(service)
    stat.write_text("")
    work(service)
    count(2_000)
    service.observer.look()
    work(service)

    assert told(service) == ["known", "meter_failed", "known"]
    service.finish()


@pytest.mark.network
def test_a_server_that_hangs_holds_up_neither_spans_nor_the_end(
    pages: FakePages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waited for it would wait for a minute.
    monkeypatch.setattr(prometheus_meter, "TIMEOUT_S", (60.0, 60.0))
    meter, show = exporter(pages)
    wait_for(meter, show, 5.0)
    service = Service(lambda: [meter])
    work(service)
    pages.slow.clear()

    started = time.monotonic()
    work(service)
    service.finish()
    lasted = time.monotonic() - started

    assert lasted < 20.0
    pages.slow.set()
