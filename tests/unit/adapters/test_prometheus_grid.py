"""Intensity through Prometheus; answers are made up after the documented shape of its HTTP interface."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.prometheus_grid import PrometheusGrid
from greenops.domain.grid import Factors, Signal
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.testing.web_service import FakeWebService, Reply

STEP = timedelta(minutes=5)
NOW = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
NOON = NOW - timedelta(minutes=2)
DE = {"__name__": "grid_intensity_carbon_average", "location": "DE", "units": "gCO2e per kWh"}
URL = "GREENOPS_GRID_PROMETHEUS"


class Prometheus:
    """Gives each series the same values, one a step, none where it says so, and the newest for five minutes more."""

    def __init__(self, *series, values=lambda at: 300 + at.minute):
        self.series, self.values = series, values

    def __call__(self, request):
        if request.headers.get("authorization") not in {None, "Bearer good"}:
            return Reply("Unauthorized", 401)
        first, last = (float(request.params[name]) for name in ("start", "end"))
        step = float(request.params["step"])
        points = []
        while first <= last:
            value = self.values(datetime.fromtimestamp(first, UTC))
            points += [] if value is None else [[first, f"{value:g}"]]
            first += step
        rows = [{"metric": labels, "values": points} for labels in self.series if points]
        return Reply({"status": "success", "data": {"resultType": "matrix", "result": rows}})


def asked(service, **more):
    environ = {URL: service.url, f"{URL}_FACTORS": "lifecycle"}
    return PrometheusGrid(
        environ | {f"{URL}_{key}": value for key, value in more.items()}, lambda: NOW
    )


@pytest.mark.network
def test_the_exporters_metric_is_average_by_its_name():
    with FakeWebService(Prometheus(DE)) as service:
        grid = asked(service)
        series = grid.actual("DE", NOON - STEP - STEP / 2, NOW)
        zones = [each.id for each in grid.zones()]

    assert (series.start, series.step, series.values) == (NOON - 2 * STEP, STEP, (350, 355, 300))
    assert (series.kind.signal, series.kind.factors) == (Signal.AVERAGE, Factors.LIFECYCLE)
    assert series.kind.source == "prometheus: grid_intensity_carbon_average"
    assert zones == ["DE"]


def test_what_a_metric_does_not_say_must_be_declared():
    ours = {URL: "http://p", f"{URL}_QUERY": "greenops_grid_carbon_intensity_grams_per_kwh"}

    with pytest.raises(
        AdapterUnsupported, match=r"_FACTORS` must be .* since the metric does not say"
    ):
        PrometheusGrid({URL: "http://p"})
    with pytest.raises(
        AdapterUnsupported, match=r"_SIGNAL` must be `average` or `marginal`, since"
    ):
        PrometheusGrid(ours | {f"{URL}_FACTORS": "direct"})
    with pytest.raises(AdapterUnsupported, match="`average` or `marginal`, not `mean`"):
        PrometheusGrid(ours | {f"{URL}_FACTORS": "direct", f"{URL}_SIGNAL": "mean"})
    with pytest.raises(AdapterUnsupported, match=f"`{URL}` is not set"):
        PrometheusGrid({})
    for step in ("7", "0", "5m", "-5"):
        with pytest.raises(AdapterUnsupported, match="seconds that divide a day"):
            PrometheusGrid({URL: "http://p", f"{URL}_FACTORS": "direct", f"{URL}_STEP_S": step})


@pytest.mark.network
def test_our_own_metric_is_read_by_its_zone_and_two_regions_of_a_zone_are_one():
    ours = [
        {"greenops_region": region, "greenops_zone": "PJM"} for region in ("us-east-1", "us-east4")
    ]
    query = "greenops_grid_carbon_intensity_grams_per_kwh"

    with FakeWebService(Prometheus(*ours)) as service:
        grid = asked(service, QUERY=query, SIGNAL="marginal")
        series = grid.actual("PJM", NOON, NOW)

    assert series.values == (300,)
    assert series.kind.signal is Signal.MARGINAL


@pytest.mark.network
def test_zones_may_have_other_names_there_and_then_no_others_are_known():
    with FakeWebService(Prometheus(DE, DE | {"location": "US-CAL-CISO"})) as service:
        grid = asked(service, ZONES="CISO=US-CAL-CISO, DE")
        before = len(service.asked)
        zones = [each.id for each in grid.zones()]
        assert len(service.asked) == before
        assert grid.actual("CISO", NOON, NOW).zone == "CISO"
        with pytest.raises(DataMissing, match=r"GO0302 .*names CISO, DE"):
            grid.actual("US-CAL-CISO", NOON, NOW)

    assert zones == ["CISO", "DE"]


@pytest.mark.network
def test_what_has_not_been_is_not_given():
    with (
        FakeWebService(Prometheus(DE)) as service,
        pytest.raises(DataMissing, match=r"GO0303 .*to 2026-03-01T12:05Z"),
    ):
        asked(service).actual("DE", NOON, NOON + 2 * STEP)


@pytest.mark.network
def test_a_gap_inside_is_a_gap_and_a_long_time_is_asked_in_parts():
    hole = NOON - timedelta(days=9)

    with FakeWebService(Prometheus(DE, values=lambda at: None if at == hole else 300)) as service:
        series = asked(service).actual("DE", NOON - timedelta(days=14), NOON)

    assert [i for i, value in enumerate(series.values) if value is None] == [5 * 288]
    assert len(series.values) == 14 * 288
    assert len(service.asked) == 3


@pytest.mark.network
def test_estimates_are_told_where_the_label_tells_them():
    with FakeWebService(Prometheus(DE | {"is_estimated": "true"})) as service:
        assert asked(service).actual("DE", NOON, NOW).estimated == (True,)
    with FakeWebService(Prometheus(DE)) as service:
        assert asked(service).actual("DE", NOON, NOW).estimated is None


class Two(Prometheus):
    """Two exporters of one zone that differ."""

    def __call__(self, request):
        reply = super().__call__(request)
        for row, value in zip(reply.body["data"]["result"], ("300", "301"), strict=True):
            row["values"] = [[at, value] for at, _ in row["values"]]
        return reply


@pytest.mark.network
def test_series_that_cannot_be_told_apart_or_are_of_no_zone_are_said():
    with (
        FakeWebService(Two(DE | {"node": "a"}, DE | {"node": "b"})) as service,
        pytest.raises(DataMissing, match=r"GO0336 .*node=.a.*node=.b.*as `max by \(location\)"),
    ):
        asked(service).actual("DE", NOON, NOW)
    with FakeWebService(Prometheus({"instance": "x"})) as service:
        with pytest.raises(DataMissing, match=r"GO0336 .*name no grid zone: .*name the label in"):
            asked(service).actual("DE", NOON, NOW)
        assert asked(service, LABEL="instance").actual("x", NOON, NOW).values == (300,)


@pytest.mark.network
@pytest.mark.parametrize("unit", ["percent", "lbCO2 per MWh", "gCO2 per MWh", "kgCO2e per kWh"])
def test_other_units_are_refused(unit):
    with (
        FakeWebService(Prometheus(DE | {"units": unit})) as service,
        pytest.raises(DataMissing, match=r"GO0336 .*not in g per kWh"),
    ):
        asked(service).actual("DE", NOON, NOW)


@pytest.mark.network
@pytest.mark.parametrize("unit", ["gCO2e per kWh", "gCO2 per kWh", "g/kWh", "gCO2eq/kWh"])
def test_spellings_of_our_unit_are_taken(unit):
    with FakeWebService(Prometheus(DE | {"units": unit})) as service:
        assert asked(service).actual("DE", NOON, NOW).values == (300,)


@pytest.mark.network
def test_a_value_that_cannot_be_and_an_answer_of_another_shape_are_one_line():
    for answer in (
        Prometheus(DE, values=lambda _: -3),
        Prometheus(DE, values=lambda _: 1e6),
        lambda _: Reply({"status": "success", "data": {"result": [{"values": []}]}}),
        lambda _: Reply({"status": "error"}),
        lambda _: Reply([]),
        lambda _: Reply("<html>Sign in</html>"),
    ):
        with (
            FakeWebService(answer) as service,
            pytest.raises(AdapterUnavailable, match="GO0322") as caught,
        ):
            asked(service).actual("DE", NOON, NOW)
        assert "\n" not in str(caught.value)


@pytest.mark.network
def test_a_token_is_sent_and_a_refused_one_is_not_told():
    with FakeWebService(Prometheus(DE)) as service:
        assert asked(service, TOKEN="good").actual("DE", NOON, NOW).values == (300,)
        with pytest.raises(AdapterUnavailable, match="GO0321") as caught:
            asked(service, TOKEN="bad-secret").actual("DE", NOON, NOW)

    assert "bad-secret" not in str(caught.value)


@pytest.mark.network
def test_it_has_no_forecast():
    with (
        FakeWebService(Prometheus(DE)) as service,
        pytest.raises(DataMissing, match="GO0305 `prometheus` has no forecasts"),
    ):
        asked(service).forecast("DE", NOON)
