"""The real SDK, real threads, real forks, a synthetic meter."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from math import fsum
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.export import (
    ConsoleSpanExporter,
)
from opentelemetry.trace import SpanKind

from greenops.adapters.meter_log import MeterLog
from greenops.domain.energy import Category
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.replay import Replay
from greenops.observe import attributes as names
from greenops.observe.span_parts import SpanParts
from greenops.service.rows import span_rows
from greenops.testing.clock import FakeClock
from greenops.testing.meters import SyntheticMeter
from greenops.units import GramsPerKwh, Joules, emissions
from tests.integration.observe.traced import Service, burn, number


@pytest.mark.feature("A2")
@pytest.mark.feature("J1")
def test_every_span_carries_energy_carbon_and_cost(service: Service, meter: SyntheticMeter) -> None:
    with service.tracer.start_as_current_span("parent"):
        burn(meter, "parent", 0.02)
        with service.tracer.start_as_current_span("child"):
            used = burn(meter, "child", 0.03)

    child, parent = service.finish()

    for span in (child, parent):
        assert number(span, names.ENERGY_SELF) > 0
        assert number(span, names.CARBON_SELF) > 0
        assert number(span, names.COST_SELF) > 0
        low, high = number(span, names.ENERGY_LOW), number(span, names.ENERGY_HIGH)
        assert low < number(span, names.ENERGY_SELF) < high
        assert span.resource.attributes[names.PUE] == 1.2
        assert span.resource.attributes[names.GRID_ZONE] == "DE"
        assert span.resource.attributes[names.FACTORS_VERSION] == "sha256:1"
        assert span.resource.attributes[names.ENERGY_METHOD] == "measured"
        assert span.resource.attributes[names.WORKLOAD] == "w"
    together = number(parent, names.ENERGY_SELF) + number(child, names.ENERGY_SELF)
    assert number(parent, names.ENERGY_TOTAL) == together
    assert number(child, names.COST_SELF) == pytest.approx(used * 0.05 / 3600, rel=0.2)


def test_by_default_a_span_carries_two_numbers_of_ours(meter: SyntheticMeter) -> None:
    service = Service(lambda: [meter], parts=SpanParts())
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.02)

    (span,) = service.finish()

    assert set(span.attributes or {}) == {names.ENERGY_SELF, names.CARBON_SELF}
    assert span.resource.attributes[names.IDLE_POLICY] == "separate"


def test_a_range_that_no_span_carries_reaches_the_lake_all_the_same(meter: SyntheticMeter) -> None:
    service = Service(lambda: [meter], parts=SpanParts())
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.02)
    spans = service.finish()

    (row,) = span_rows(encode_spans(spans), lambda wall: wall)

    energy = number(spans[0], names.ENERGY_SELF)
    assert (row.energy_low_j, row.energy_high_j) == pytest.approx((0.95 * energy, 1.05 * energy))


def test_a_cost_that_nobody_asked_for_is_not_missed(meter: SyntheticMeter) -> None:
    service = Service(lambda: [meter], region="nowhere", parts=SpanParts())
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.01)

    (span,) = service.finish()

    assert not {names.COST_SELF, names.COST_UNKNOWN} & set(span.attributes or {})
    assert set(service.points(names.METRIC_UNKNOWN)) == {"no_zone"}


def test_energy_by_device_adds_up_to_that_of_the_span(service: Service, meter: SyntheticMeter):
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.02)

    (span,) = service.finish()

    assert number(span, names.ENERGY_OF_KIND["cpu"]) == number(span, names.ENERGY_SELF) > 0
    assert (span.attributes or {})[names.ENERGY_ATTRIBUTION] == "cpu_time"


@pytest.mark.feature("J2")
def test_pue_is_applied_once(service: Service, meter: SyntheticMeter) -> None:
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.02)

    (span,) = service.finish()

    energy = Joules(number(span, names.ENERGY_SELF))
    assert number(span, names.CARBON_SELF) == energy / 3.6e6 * 1.2 * 400.0


@pytest.mark.feature("J4")
@pytest.mark.parametrize(("region", "why"), [("nowhere", "no_zone"), ("mars-1", "no_region")])
def test_where_no_grid_zone_fits_carbon_is_unknown_and_counted(
    meter: SyntheticMeter, region: str, why: str
) -> None:
    service = Service(lambda: [meter], region=region)
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.01)

    (span,) = service.finish()

    assert number(span, names.ENERGY_SELF) > 0
    assert names.CARBON_SELF not in (span.attributes or {})
    assert (span.attributes or {})[names.CARBON_UNKNOWN] == why
    assert service.points(names.METRIC_UNKNOWN)[why] >= 1


def test_carbon_uses_the_intensity_of_the_simulated_hour(meter: SyntheticMeter) -> None:
    start = datetime(2021, 10, 8, 8, tzinfo=UTC)
    kind = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
    values = tuple(GramsPerKwh(100.0 * (i + 1)) for i in range(48))
    series = IntensitySeries("DE", kind, start, timedelta(hours=1), values)
    table = FactorTable(
        "2", {"eu-central-1": RegionFactors("eu-central-1", "DE", 1.5, series=series)}
    )
    replay = Replay(start + timedelta(hours=3, minutes=5), datetime.now(UTC), 1.0)
    service = Service(lambda: [meter], replay=replay, table=table)

    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.01)
    (span,) = service.finish()

    energy = Joules(number(span, names.ENERGY_SELF))
    assert number(span, names.CARBON_SELF) == emissions(energy, GramsPerKwh(400.0), 1.5)
    assert str((span.attributes or {})[names.TIME]).startswith("2021-10-08T11:05:")
    assert (span.attributes or {})[names.COST_UNKNOWN] == "no_price"


def nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000_000


def test_a_span_across_hours_integrates_energy_and_intensity(meter: SyntheticMeter) -> None:
    start = datetime(2021, 10, 8, 8, tzinfo=UTC)
    kind = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
    series = IntensitySeries(
        "DE",
        kind,
        start,
        timedelta(hours=1),
        (GramsPerKwh(100.0), GramsPerKwh(900.0)),
    )
    table = FactorTable(
        "2", {"eu-central-1": RegionFactors("eu-central-1", "DE", 1.0, series=series)}
    )
    clock = FakeClock(start + timedelta(minutes=30))
    service = Service(lambda: [meter], clock=clock, table=table)

    span = service.tracer.start_span("a", start_time=nanoseconds(clock.now()))
    with trace.use_span(span):
        first = burn(meter, "a", 0.06)
        # The energy of the first hour is booked before the second begins.
        service.observer.look()
        clock.advance(timedelta(hours=1))
        second = burn(meter, "a", 0.02)
    span.end(nanoseconds(clock.now()))
    (ended,) = service.finish()

    mean = GramsPerKwh((100.0 * first + 900.0 * second) / (first + second))
    expected = emissions(Joules(number(ended, names.ENERGY_SELF)), mean)
    assert number(ended, names.CARBON_SELF) == pytest.approx(expected, rel=0.1)


def test_exported_spans_and_accounts_agree_with_the_meter(tmp_path: Path) -> None:
    meter = SyntheticMeter(idle=2.0, watts={"a": 5.0, "b": 8.0}, wrap=1.5)
    service = Service(lambda: [MeterLog(meter, tmp_path / "log.jsonl")])

    def request(i: int) -> None:
        with service.tracer.start_as_current_span("a"):
            burn(meter, "a", 0.003)
            with service.tracer.start_as_current_span("b"):
                burn(meter, "b", 0.004)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(request, range(60)))
    spans = service.finish()

    exported = fsum(number(span, names.ENERGY_SELF) for span in spans)
    parts = service.points(names.METRIC_ENERGY)
    log = [json.loads(line)["joules"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    measured = log[-1] - log[0]
    assert len(spans) == 120
    assert exported == parts[Category.ATTRIBUTED]
    assert abs(fsum(parts.values()) - measured) / measured <= 1e-9
    assert service.points(names.METRIC_RESIDUAL) == {"None": 0.0}
    covered = sum(names.ENERGY_SELF in (span.attributes or {}) for span in spans)
    assert covered / len(spans) >= 0.99


@pytest.mark.slow
def test_two_operations_get_their_share_of_real_work() -> None:
    meter = SyntheticMeter(idle=1.0, watts={"a": 6.0, "b": 6.0})
    service = Service(lambda: [meter])

    def work(i: int) -> None:
        with service.tracer.start_as_current_span("a"):
            burn(meter, "a", 0.02)
            time.sleep(0.002)
            with service.tracer.start_as_current_span("b"):
                burn(meter, "b", 0.04)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(40)))
    got: defaultdict[str, float] = defaultdict(float)
    for span in service.finish():
        got[span.name] += number(span, names.ENERGY_SELF)

    assert got["b"] / got["a"] == pytest.approx(meter.truth["b"] / meter.truth["a"], rel=0.05)


def test_dropped_counts_survive_and_console_and_otlp_take_the_spans(meter: SyntheticMeter) -> None:
    out = io.StringIO()
    limits = SpanLimits(max_span_attributes=2, max_events=1, max_links=1)
    service = Service(lambda: [meter], exporter=ConsoleSpanExporter(out=out), limits=limits)

    with service.tracer.start_as_current_span("a", attributes={"x": 1, "y": 2, "z": 3}) as span:
        span.add_event("one")
        span.add_event("two")
    (done,) = service.finish()

    assert (done.dropped_attributes, done.dropped_events, done.dropped_links) == (1, 1, 0)
    encoded = encode_spans([done]).resource_spans[0].scope_spans[0].spans[0]
    sent = {each.key: each.value.double_value for each in encoded.attributes}
    assert sent[names.ENERGY_SELF] == number(done, names.ENERGY_SELF)
    assert encoded.dropped_attributes_count == 1
    assert names.ENERGY_SELF in json.loads(out.getvalue())["attributes"]


def test_a_simple_processor_gets_energy_too(meter: SyntheticMeter) -> None:
    service = Service(lambda: [meter], simple=True)

    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.02)

    (span,) = service.spans.get_finished_spans()
    assert number(span, names.ENERGY_SELF) > 0
    service.finish()


def test_a_span_open_at_shutdown_leaves_its_energy_unattributed(
    service: Service, meter: SyntheticMeter
) -> None:
    left = service.tracer.start_span("left")
    burn(meter, "a", 0.15)

    service.finish()
    left.end()

    parts = service.points(names.METRIC_ENERGY)
    assert parts[Category.ATTRIBUTED] == 0
    assert parts[Category.UNATTRIBUTED] > 0.3


def test_a_span_may_end_on_another_thread(service: Service, meter: SyntheticMeter) -> None:
    span = service.tracer.start_span("a")
    burn(meter, "a", 0.02)
    ender = threading.Thread(target=span.end)
    ender.start()
    ender.join()

    (done,) = service.finish()

    parts = service.points(names.METRIC_ENERGY)
    assert number(done, names.ENERGY_SELF) == parts[Category.ATTRIBUTED]
    assert parts[Category.ATTRIBUTED] > parts[Category.UNATTRIBUTED] + parts[Category.OVERHEAD]


def test_a_failing_meter_leaves_the_service_alone(meter: SyntheticMeter) -> None:
    service = Service(lambda: [meter])
    meter.fails = True

    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.01)
    (span,) = service.finish()

    assert (span.attributes or {})[names.ENERGY_UNKNOWN] == "meter_failed"


def test_without_any_meter_spans_say_so() -> None:
    service = Service(list)

    with service.tracer.start_as_current_span("a"):
        pass
    (span,) = service.finish()

    assert (span.attributes or {})[names.ENERGY_UNKNOWN] == "no_meter"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_keeps_its_own_books(service: Service, meter: SyntheticMeter) -> None:
    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.02)
    reading, writing = os.pipe()

    child = os.fork()
    if child == 0:
        os.close(reading)
        with service.tracer.start_as_current_span("b"):
            burn(meter, "b", 0.15)
        got = {}
        try:
            service.spans.clear()
            service.provider.force_flush()
            alive = service.observer._thread is not None and service.observer._thread.alive
            (account,) = service.observer.accounts()
            got = {
                "spans": {
                    s.name: number(s, names.ENERGY_SELF) for s in service.spans.get_finished_spans()
                },
                "alive": alive,
                "attributed": account.parts[Category.ATTRIBUTED],
            }
        finally:
            os.write(writing, json.dumps(got).encode())
            os._exit(0)
    os.close(writing)
    told = json.loads(os.read(reading, 10_000))
    os.waitpid(child, 0)
    os.close(reading)
    parent_spans = service.finish()

    assert told["alive"]
    assert set(told["spans"]) == {"b"}
    assert told["attributed"] == told["spans"]["b"] > 0
    assert [span.name for span in parent_spans] == ["a"]


def test_a_refused_reading_is_counted_and_told_once(
    service: Service, meter: SyntheticMeter, caplog: pytest.LogCaptureFixture
) -> None:
    meter.work("a", 1.0)
    service.observer.tick()

    for _ in range(2):
        meter.reset()
        service.observer.tick()

    (account,) = service.observer.accounts()
    assert account.refused["reset"] >= 1
    assert service.points(names.METRIC_REFUSED)["reset"] == account.refused["reset"]
    assert caplog.text.count("GO0706") == 1


@pytest.mark.parametrize(("ended", "rate"), [(10**21, None), (7 * 10**18, 3600.0)])
def test_a_span_with_an_odd_time_keeps_its_energy_and_harms_no_other(
    meter: SyntheticMeter, ended: int, rate: float | None
) -> None:
    replay = Replay(datetime(2024, 1, 1, tzinfo=UTC), datetime.now(UTC), rate) if rate else None
    service = Service(lambda: [meter], replay=replay)

    with service.tracer.start_as_current_span("a"):
        burn(meter, "a", 0.01)
    odd = service.tracer.start_span("b")
    burn(meter, "b", 0.01)
    odd.end(ended)
    spans = {span.name: span for span in service.finish()}

    assert all(number(span, names.ENERGY_SELF) > 0 for span in spans.values())
    assert (spans["b"].attributes or {})[names.CARBON_UNKNOWN] == "no_time"
    assert number(spans["a"], names.CARBON_SELF) > 0


def test_a_span_that_cannot_be_enriched_is_the_only_one_without_energy(
    meter: SyntheticMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(lambda: [meter])
    take = service.observer.take
    for name in ("a", "b", "child"):
        with service.tracer.start_as_current_span(name) as span:
            burn(meter, name, 0.01)
        if name == "b":
            bad = span.get_span_context().span_id

    def broken(key: int) -> object:
        return None if key == bad else take(key)

    monkeypatch.setattr(service.observer, "take", broken)
    spans = {span.name: span for span in service.finish()}

    assert (spans["b"].attributes or {})[names.ENERGY_UNKNOWN] == "fault"
    assert all(number(spans[name], names.ENERGY_SELF) > 0 for name in ("a", "child"))
    assert service.points(names.METRIC_UNKNOWN) == {"fault": 1}


def test_a_span_in_another_region_says_whose_grid_and_pue_it_was_priced_with(
    service: Service, meter: SyntheticMeter
) -> None:
    with service.tracer.start_as_current_span("a", attributes={names.CLOUD_REGION: "eu-north-1"}):
        burn(meter, "a", 0.02)

    (span,) = service.finish()

    energy = Joules(number(span, names.ENERGY_SELF))
    assert number(span, names.CARBON_SELF) == emissions(energy, GramsPerKwh(30.0), 1.1)
    assert (span.attributes or {})[names.GRID_ZONE] == "SE"
    assert number(span, names.PUE) == 1.1
    assert span.resource.attributes[names.GRID_ZONE] == "DE"


@pytest.mark.parametrize("kind", [SpanKind.CLIENT, SpanKind.PRODUCER])
def test_the_region_of_a_called_service_is_not_where_the_caller_runs(
    service: Service, meter: SyntheticMeter, kind: SpanKind
) -> None:
    with service.tracer.start_as_current_span(
        "a", kind=kind, attributes={names.CLOUD_REGION: "eu-north-1"}
    ):
        burn(meter, "a", 0.02)

    (span,) = service.finish()

    energy = Joules(number(span, names.ENERGY_SELF))
    assert number(span, names.CARBON_SELF) == emissions(energy, GramsPerKwh(400.0), 1.2)
    assert names.GRID_ZONE not in (span.attributes or {})


def test_what_a_board_drew_while_no_span_was_open_is_not_of_the_next_one() -> None:
    board = SyntheticMeter(watts={"before": 100.0, "a": 50.0}, device="gpu-0", device_kind="gpu")
    service = Service(lambda: [board])
    log = service.observer._log
    # The meter thread finds nothing to do, and rests; a start wakes it, and it looks when the machine lets it.
    while log._note != log._wait:
        time.sleep(0.01)
    board.work("before", 10.0)

    with service.tracer.start_as_current_span("a"):
        while not service.observer.accounts()[0].measured:
            time.sleep(0.01)
        board.work("a", 1.0)
    (span,) = service.finish()

    assert number(span, names.ENERGY_SELF) == pytest.approx(board.truth["a"], rel=0.01)
    assert service.points(names.METRIC_ENERGY)[Category.UNATTRIBUTED] == pytest.approx(
        board.truth["before"], rel=0.01
    )


def test_a_short_span_on_a_counter_that_steps_seldom_has_its_energy_though_it_is_flushed_at_once() -> (
    None
):
    board = SyntheticMeter(watts={"a": 100.0}, update_s=0.2, device="gpu-0", device_kind="gpu")
    service = Service(lambda: [board])
    time.sleep(0.25)

    with service.tracer.start_as_current_span("a"):
        time.sleep(0.02)
        board.work("a", 0.02)
    service.provider.force_flush()
    (span,) = service.spans.get_finished_spans()
    service.finish()

    assert number(span, names.ENERGY_SELF) == pytest.approx(board.truth["a"], rel=0.01)


def test_a_request_whose_span_is_exported_at_once_waits_for_no_counter() -> None:
    board = SyntheticMeter(watts={"a": 100.0}, update_s=1.0, device="gpu-0", device_kind="gpu")
    service = Service(lambda: [board], simple=True)
    time.sleep(0.1)

    started = time.monotonic()
    for _ in range(5):
        with service.tracer.start_as_current_span("a"):
            pass
    lasted = time.monotonic() - started
    spans = service.finish()

    # It would wait for a second and a half at least: three steps of no more than half a second each.
    assert lasted < 1.2
    assert len(spans) == 5
