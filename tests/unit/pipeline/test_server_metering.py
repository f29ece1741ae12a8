"""Metering a simulated server of which the joules per token are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from greenops.adapters.language_model_file import add_measured, shipped, with_own
from greenops.adapters.model_server import ModelServer
from greenops.domain.energy import Boundary, Method
from greenops.domain.language_model import CallEnergy, Tokens, Trust
from greenops.domain.model_server import MeteredServer, TokenEnergy
from greenops.errors import AdapterUnavailable, DataMissing, InvalidFile, Unreachable, UsageError
from greenops.observe.language_model import LanguageModels
from greenops.pipeline.server_metering import ServerMetering, meter_for, rows
from greenops.testing.meters import SyntheticMeter
from greenops.testing.model_server import FakeModelServer, sglang_page, tgi_page, vllm_page

SECOND = timedelta(seconds=1)


def metering(server: FakeModelServer, fetch: Callable[[str], str] | None = None) -> ServerMetering:
    page = ModelServer("http://gpu-1:8000", fetch or (lambda _: server.page))
    return ServerMetering(page, [server.meter], 0.02, server.monotonic_ns)


def metered(server: FakeModelServer, minutes: float = 10) -> MeteredServer:
    made = metering(server)
    meter_for(made, timedelta(minutes=minutes), SECOND, server)
    return made.result()


def truth(server: FakeModelServer, found: MeteredServer) -> tuple[float, float]:
    """Joules of an output and an input token, with their part of the idle draw."""
    drawn = server.meter.truth
    static = found.energy / sum(drawn.values())
    output = (drawn["wrote"] + drawn["pass"]) / server.wrote
    return output * static, drawn["read"] / (server.read - server.cached) * static


@pytest.mark.parametrize(
    ("page", "cached"), [(vllm_page, 0.25), (sglang_page, 0.25), (tgi_page, 0.0)]
)
@pytest.mark.parametrize("seed", [1, 2])
def test_joules_per_token_come_within_a_twentieth_of_the_truth(page, cached, seed):
    server = FakeModelServer(page, cached=cached, seed=seed)

    found = metered(server)

    model, (output, reading) = found.models[0], truth(server, found)
    assert model.apart
    assert model.output == pytest.approx(output, rel=0.05)
    assert model.input == pytest.approx(reading, rel=0.05)
    assert output / model.factor <= model.output <= output * model.factor
    assert reading / model.factor <= model.input <= reading * model.factor


@pytest.mark.parametrize("rated", [None, 300.0])
def test_a_counter_that_steps_once_in_five_seconds_is_waited_for(rated):
    # A tick without work and without a step is no sign of a server that draws nothing, nor is a step of five seconds
    # more than the rated power can draw.
    server = FakeModelServer(vllm_page, seed=2)
    server.meter = SyntheticMeter(
        watts={"read": 1.0, "wrote": 1.0, "pass": 1.0},
        idle=90.0,
        rated=rated,
        update_s=5.0,
        device="GPU-a",
        device_kind="gpu",
        monotonic_ns=server.monotonic_ns,
    )

    found = metered(server, 30)

    output, reading = truth(server, found)
    assert found.models[0].output == pytest.approx(output, rel=0.01)
    assert found.models[0].input == pytest.approx(reading, rel=0.01)
    assert found.idle == pytest.approx(90, rel=0.05)
    assert found.lost == 0


def test_what_it_draws_at_rest_is_told_and_not_laid_on_tokens():
    server = FakeModelServer(vllm_page)
    server.rate = 0.15

    found = metered(server)

    assert found.idle == pytest.approx(90, rel=0.01)
    assert found.busy < 500
    whole = found.models[0]
    assert whole.output * whole.work.wrote < found.energy
    assert found.energy < sum(server.meter.truth.values()) + 90 * found.busy * 1.01


def test_a_restart_costs_the_tick_it_falls_into_and_no_more():
    server = FakeModelServer(vllm_page)
    made = metering(server)
    meter_for(made, timedelta(minutes=5), SECOND, server)
    wrote = server.wrote
    server.restart()
    meter_for(made, timedelta(minutes=5), SECOND, server)

    found = made.result()

    assert found.lost == 1
    assert found.ticks > 580
    whole = found.energy / sum(server.meter.truth.values())
    output = (server.meter.truth["wrote"] + server.meter.truth["pass"]) / (wrote + server.wrote)
    assert found.models[0].output == pytest.approx(output * whole, rel=0.05)


def test_a_server_that_vanishes_for_a_while_is_covered_by_the_next_look():
    server = FakeModelServer(vllm_page)
    gone: list[bool] = []

    def fetch(_: str) -> str:
        gone.append(60 <= len(gone) < 90)
        if gone[-1]:
            raise AdapterUnavailable("GO0715", "does not answer")
        return str(server.page)

    made = metering(server, fetch)
    meter_for(made, timedelta(minutes=10), SECOND, server)

    found = made.result()

    assert found.lost == 30
    assert found.models[0].work.wrote == pytest.approx(server.wrote, rel=0.01)
    assert found.models[0].output == pytest.approx(truth(server, found)[0], rel=0.05)


def test_it_is_told_once_that_a_server_is_gone(caplog):
    server = FakeModelServer(vllm_page)
    pages = iter([server.page, "", "", "", server.page])
    made = metering(server, lambda _: next(pages))

    looks = []
    for _ in range(5):
        looks.append(made.look())
        server.sleep(SECOND)

    assert looks == [True, False, False, False, True]
    assert len(caplog.records) == 1


def test_a_meter_that_fails_and_one_that_was_reset_lose_their_ticks():
    server = FakeModelServer(vllm_page)
    made = metering(server)
    meter_for(made, timedelta(minutes=2), SECOND, server)
    server.meter.fails = True
    assert not made.look()
    server.meter.fails = False
    server.meter.reset()
    server.sleep(SECOND)
    assert not made.look()
    server.sleep(SECOND)
    meter_for(made, timedelta(minutes=2), SECOND, server)

    found = made.result()

    assert found.lost == 2
    assert found.models[0].output == pytest.approx(truth(server, found)[0], rel=0.05)


def test_a_driver_that_raises_anything_only_loses_the_look():
    server = FakeModelServer(vllm_page)
    made = metering(server, lambda _: dict[str, str]()["x"])

    assert not made.look()
    with pytest.raises(Unreachable, match="KeyError"):
        made.result()


def test_a_counter_that_leaps_beyond_its_rated_power_is_not_believed():
    server = FakeModelServer(vllm_page)
    server.meter = SyntheticMeter(
        watts={"leap": 1.0, "read": 1.0, "wrote": 1.0, "pass": 1.0}, rated=700.0, device="GPU-a", device_kind="gpu", monotonic_ns=server.monotonic_ns
    )  # fmt: skip
    made = metering(server)
    made.look()
    server.meter.work("leap", 1e6)
    server.sleep(SECOND)

    assert not made.look()


def test_a_server_that_did_nothing_gives_no_number():
    server = FakeModelServer(vllm_page)
    server.rate = 0.0

    with pytest.raises(DataMissing, match="worked in 0 of"):
        metered(server, 1)


def test_ctrl_c_keeps_what_was_found():
    server = FakeModelServer(vllm_page)
    looks: list[int] = []

    def fetch(_: str) -> str:
        looks.append(1)
        if len(looks) > 200:
            raise KeyboardInterrupt
        return str(server.page)

    made = metering(server, fetch)
    meter_for(made, timedelta(hours=10), SECOND, server)

    assert made.result().ticks > 150


@pytest.mark.parametrize(
    ("kinds", "why"), [((), "no energy meter"), (("gpu", "host"), "cannot be added")]
)
def test_meters_that_make_no_sum_are_refused(kinds, why):
    server = FakeModelServer(vllm_page)
    meters = []
    for kind in kinds:
        meter = SyntheticMeter(device=kind, device_kind=kind)
        if kind == "host":
            meter._info = replace(meter.info, boundary=Boundary.NODE)
        meters.append(meter)

    with pytest.raises(UsageError, match=why):
        ServerMetering(
            ModelServer("http://x", lambda _: server.page), meters, 0.02, server.monotonic_ns
        )


def test_a_model_of_a_processor_is_no_meter_of_tokens():
    server = FakeModelServer(vllm_page)
    server.meter._info = replace(server.meter.info, method=Method.MODELED)

    with pytest.raises(UsageError, match="modeled"):
        metering(server)


def test_calls_of_that_server_are_measured_ones_from_then_on(tmp_path):
    server = FakeModelServer(vllm_page)
    found, path = metered(server), tmp_path / "own.json"
    add_measured(shipped(), path, rows(found, "llm.internal", server.wall(), None))

    models = LanguageModels(with_own(shipped(), path))
    here = models.estimate("Llama-3.1-8B-Instruct", Tokens(100, 50, 20), server="llm.internal")
    there = models.estimate("Llama-3.1-8B-Instruct", Tokens(100, 50, 20), server="api.other.com")

    model = found.models[0]
    assert isinstance(here, CallEnergy)
    assert isinstance(there, CallEnergy)
    assert (here.trust, there.trust) == (Trust.OWN_SERVER, Trust.TOKEN_MODEL)
    chip = 20 * model.output + (100 + 0.02 * 50) * model.input
    assert here.energy == pytest.approx(chip * 1.57 * 1.09, rel=1e-6)
    row = json.loads(path.read_text())["measured"][0]
    assert f"{found.ticks} ticks" in row["source"]
    assert "J" in row["source"]
    assert row["date"] == f"{server.wall():%Y-%m-%d}"


def test_a_later_metering_takes_the_place_of_an_earlier_one_and_of_nothing_else(tmp_path):
    path = tmp_path / "own.json"
    other = {"model": "phi-4", "output_j": 0.2, "boundary": "node", "factor": 1.1, "source": "s",
             "date": "2026-11", "licence": "own"}  # fmt: skip
    path.write_text(json.dumps({"hosted": [], "measured": [other]}))
    server = FakeModelServer(vllm_page)
    made = rows(metered(server, 2), "llm.internal", server.wall(), None)

    add_measured(shipped(), path, made)
    add_measured(shipped(), path, made)

    own = json.loads(path.read_text())
    assert [row["model"] for row in own["measured"]] == [
        "phi-4",
        "meta-llama/Llama-3.1-8B-Instruct",
    ]
    assert "hosted" in own
    assert [each.name for each in tmp_path.iterdir()] == ["own.json"]


@pytest.mark.parametrize("text", ["[]", "{", '{"figures": {}}', '{"measured": 3}'])
def test_a_file_that_is_none_is_left_as_it_is(tmp_path, text):
    path = tmp_path / "own.json"
    path.write_text(text)

    with pytest.raises(InvalidFile, match="GO0731"):
        add_measured(shipped(), path, [])

    assert path.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["own.json"]


def test_a_server_that_names_no_model_needs_a_name():
    server = FakeModelServer(tgi_page)
    found = metered(server, 2)

    with pytest.raises(UsageError, match="--model"):
        rows(found, "llm.internal", server.wall(), None)
    assert rows(found, "llm.internal", server.wall(), "mistral-7b")[0].model == "mistral-7b"


def test_one_name_does_not_fit_two_models():
    server = FakeModelServer(vllm_page)
    found = metered(server, 2)
    one: TokenEnergy = found.models[0]
    two = replace(found, models=(one, replace(one, model="other")))

    with pytest.raises(UsageError, match="several models"):
        rows(two, "llm.internal", server.wall(), "mine")
