"""Calls of language models through the real SDK: what goes on the caller's span, and what never does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from math import fsum
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, use_span

from greenops.adapters.language_model_file import shipped, version
from greenops.demo.chat import ChatClient
from greenops.domain.energy import Category
from greenops.observe import attributes as names
from greenops.observe import remote_call
from greenops.observe.span_parts import SpanParts
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.span_parts import span_parts as from_environment
from greenops.service.rows import span_rows
from greenops.testing.meters import SyntheticMeter
from greenops.units import Joules, emissions
from tests.integration.observe.test_init import run
from tests.integration.observe.traced import TABLE, Service, burn, number

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
}
HOSTED_J = 1.57 * 1.09 * (300 * 2.7314 + 1000 * 2 * 88e9 / (989e12 * 0.4) * 700)
"""`CALL` by hand: 88B active of 440B at fp8 on 8 accelerators, 90 requests at once [J]."""
Start = Callable[..., Service]


@pytest.fixture
def start(meter: SyntheticMeter) -> Iterator[Start]:
    """A traced process with parts as its environment says."""
    made: list[Service] = []

    def begin(environ: Mapping[str, str] | None = None, **more: Any) -> Service:
        made.append(Service(lambda: [meter], parts=from_environment(environ or {}), **more))
        return made[-1]

    yield begin
    for each in made:
        each.provider.shutdown()


def called(
    service: Service, said: Mapping[str, Any], kind: SpanKind = SpanKind.CLIENT
) -> ReadableSpan:
    with service.tracer.start_as_current_span("chat gpt-4o", kind=kind, attributes=said):
        pass
    (span,) = service.finish()
    return span


def remote(span: ReadableSpan) -> dict[str, Any]:
    return {
        name: value
        for name, value in (span.attributes or {}).items()
        if ".remote" in name and name != names.ENERGY_REPORTED
    }


@pytest.mark.parametrize(
    "said",
    [
        CALL,
        {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 300,
        },
        {
            "gen_ai.system": "openai",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "llm.usage.prompt_tokens": 1000,
            "llm.usage.completion_tokens": 300,
        },
        {
            "server.address": "api.openai.com",
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 1000,
            "llm.token_count.completion": 300,
        },
    ],
    ids=["new", "old", "openllmetry", "openinference"],
)
def test_a_hosted_call_carries_its_estimate_in_every_spelling(start: Start, said):
    span = called(start(), said)

    low, high = number(span, names.ENERGY_REMOTE_LOW), number(span, names.ENERGY_REMOTE_HIGH)
    energy = number(span, names.ENERGY_REMOTE)
    assert low < energy < high
    assert energy == pytest.approx(HOSTED_J, rel=0.001)
    assert remote(span)[names.ENERGY_REMOTE_METHOD] == "estimated"
    assert remote(span)[names.ENERGY_REMOTE_SOURCE] == "tier"
    assert (span.attributes or {})[names.FACTORS_VERSION] == f"sha256:1+{version(shipped())}"


@pytest.mark.feature("D3")
def test_what_a_call_draws_elsewhere_is_in_no_account_of_this_process(
    start: Start, meter: SyntheticMeter
):
    service = start()
    with service.tracer.start_as_current_span("parent"):
        burn(meter, "parent", 0.02)
        with service.tracer.start_as_current_span("a", kind=SpanKind.CLIENT, attributes=CALL):
            burn(meter, "a", 0.02)

    spans = service.finish()

    on_spans = fsum(number(span, names.ENERGY_SELF) for span in spans)
    (account,) = service.observer.accounts()
    assert on_spans == account.parts[Category.ATTRIBUTED]
    assert account.residual == 0
    assert on_spans < 10 < number(spans[0], names.ENERGY_REMOTE)


def test_what_a_call_draws_elsewhere_reaches_the_lake_and_no_sum_of_metered_energy(
    start: Start, meter: SyntheticMeter
):
    service = start()
    with service.tracer.start_as_current_span("a", kind=SpanKind.CLIENT, attributes=CALL):
        burn(meter, "a", 0.02)

    spans = service.finish()
    rows = list(span_rows(encode_spans(spans), lambda wall: wall))
    footprint = Footprint()
    footprint.add(rows, [])

    (calls,) = footprint.remote()
    (metered,) = footprint.services()
    assert (calls.calls, calls.energy_j) == (1, number(spans[0], names.ENERGY_REMOTE))
    assert metered.energy_j == number(spans[0], names.ENERGY_SELF)


@pytest.mark.slow
def test_init_alone_estimates_calls_to_elsewhere(tmp_path: Path):
    said = run(
        f"""
from opentelemetry.trace import SpanKind
provider = join()
greenops.init()
tracer = trace.get_tracer("t")
for address in ("api.openai.com", "127.0.0.1"):
    said = {CALL!r} | {{"server.address": address}}
    with tracer.start_as_current_span(address, kind=SpanKind.CLIENT, attributes=said):
        pass
provider.shutdown()
show()
""",
        tmp_path,
    )

    spans = dict(json.loads(said))
    assert spans["api.openai.com"][names.ENERGY_REMOTE] == pytest.approx(HOSTED_J, rel=0.001)
    assert names.ENERGY_REMOTE not in spans["127.0.0.1"]


@pytest.mark.parametrize(
    ("more", "provider"),
    [
        ({"server.address": "127.0.0.1"}, "openai"),
        ({"server.address": "localhost"}, "openai"),
        ({"url.full": "http://[::1]:8080/v1/chat/completions"}, "openai"),
        ({"server.address": "gpu-1.internal"}, "vllm"),
        ({}, "llama.cpp"),
    ],
)
def test_a_call_whose_server_is_metered_is_not_counted_twice(start: Start, more, provider):
    service = start({"GREENOPS_METERED_SERVERS": "gpu-1.internal"})

    span = called(service, {**CALL, "gen_ai.provider.name": provider, **more})

    assert remote(span) == {}
    assert number(span, names.ENERGY_SELF) >= 0


def test_the_demos_own_chat_client_gets_no_estimate_for_the_server_in_its_process(start: Start):
    class Answering:
        def post(self, *_: object, **__: object) -> Answering:
            return self

        def raise_for_status(self) -> None:
            pass

        def json(self) -> dict[str, Any]:
            usage = {"prompt_tokens": 9, "completion_tokens": 24}
            return {"usage": usage, "choices": [{"message": {"content": "yes"}}]}

    service = start({"GREENOPS_LANGUAGE_MODEL_TIER": "small"})
    client = ChatClient("http://127.0.0.1:1")
    client._tracer, client._session = service.tracer, Answering()  # type: ignore[assignment]

    client.ask("is it green?")

    (span,) = service.finish()
    assert (span.attributes or {})["gen_ai.usage.output_tokens"] == 24
    assert remote(span) == {}


def test_a_call_that_two_instrumentations_tell_is_counted_once(start: Start):
    service = start()
    tracer = service.tracer
    with tracer.start_as_current_span(
        "agent", attributes={**CALL, "gen_ai.operation.name": "invoke_agent"}
    ):
        for _ in range(2):
            with (
                tracer.start_as_current_span("framework", kind=SpanKind.CLIENT, attributes=CALL),
                tracer.start_as_current_span("http"),
                tracer.start_as_current_span("client", kind=SpanKind.CLIENT, attributes=CALL),
            ):
                pass

    spans = service.finish()

    assert [span.name for span in spans if remote(span)] == ["client", "client"]


def test_marks_of_calls_whose_callers_never_end_are_bounded(start: Start, monkeypatch):
    monkeypatch.setattr(remote_call, "KEPT", 10)
    calls = from_environment({})._calls
    assert calls is not None
    service = start()
    parents = [service.tracer.start_span(f"p{number}") for number in range(30)]
    for parent in parents:
        with (
            use_span(parent),
            service.tracer.start_as_current_span("a", kind=SpanKind.CLIENT, attributes=CALL),
        ):
            pass
    spans = service.finish()

    for span in spans:
        calls.of(span, TABLE, None)

    assert len(spans) == 30
    assert len(calls._above) == 10


def test_calls_one_after_the_other_are_each_counted(start: Start):
    service = start(simple=True)
    with service.tracer.start_as_current_span("parent"):
        for _ in range(3):
            with service.tracer.start_as_current_span("a", kind=SpanKind.CLIENT, attributes=CALL):
                pass

    assert sum(bool(remote(span)) for span in service.finish()) == 3


@pytest.mark.feature("J2")
def test_carbon_of_a_call_is_that_of_the_called_region_and_its_pue_is_applied_once(start: Start):
    span = called(start(), {**CALL, names.CLOUD_REGION: "eu-north-1"})

    energy = number(span, names.ENERGY_REMOTE)
    assert number(span, names.CARBON_REMOTE) == emissions(Joules(energy), 30.0)  # type: ignore[arg-type]
    assert energy == pytest.approx(HOSTED_J * TABLE.regions["eu-north-1"].pue / 1.09, rel=0.001)


@pytest.mark.feature("J4")
@pytest.mark.parametrize(
    ("region", "why"),
    [(None, "no_remote_region"), ("mars-1", "no_remote_region"), ("nowhere", "no_zone")],
)
def test_where_the_called_region_is_not_known_carbon_is_unknown_and_counted(
    start: Start, region, why
):
    service = start()

    span = called(service, {**CALL, **({names.CLOUD_REGION: region} if region else {})})

    assert names.CARBON_REMOTE not in (span.attributes or {})
    assert (span.attributes or {})[names.CARBON_REMOTE_UNKNOWN] == why
    assert service.points(names.METRIC_UNKNOWN)[why] == 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"gen_ai.usage.output_tokens": float("nan")}, "bad_tokens"),
        ({"gen_ai.usage.output_tokens": -5}, "bad_tokens"),
        ({"gen_ai.usage.input_tokens": 10**18}, "bad_tokens"),
        ({"gen_ai.usage.input_tokens": "many"}, "bad_tokens"),
        ({"gen_ai.request.model": "x" * 10_000_000}, "unknown_model"),
        ({"gen_ai.request.model": "nobody-knows"}, "unknown_model"),
        ({"gen_ai.provider.name": "nobody"}, "unknown_server"),
        ({names.ENERGY_REPORTED: float("nan")}, "bad_report"),
        ({names.ENERGY_REPORTED: -1.0}, "bad_report"),
        ({names.ENERGY_REPORTED: "much"}, "bad_report"),
    ],
    ids=lambda each: (
        each if isinstance(each, str) else next(iter(each)) + str(next(iter(each.values())))[:9]
    ),
)
def test_a_call_that_cannot_be_estimated_says_why_and_is_counted(start: Start, more, why):
    service = start()

    span = called(service, {**CALL, **more})

    assert remote(span) == {names.ENERGY_REMOTE_UNKNOWN: why}
    assert service.points(names.METRIC_UNKNOWN)[why] == 1
    assert number(span, names.ENERGY_SELF) >= 0


def test_what_the_provider_reports_beats_every_estimate(start: Start):
    span = called(start(), {**CALL, names.ENERGY_REPORTED: 800.0, "gen_ai.request.model": "?"})

    assert number(span, names.ENERGY_REMOTE) == 800.0
    assert remote(span)[names.ENERGY_REMOTE_METHOD] == "reported"


def test_a_call_has_its_estimate_where_no_meter_reads():
    service = Service(list, parts=from_environment({}))

    span = called(service, CALL)

    assert (span.attributes or {})[names.ENERGY_UNKNOWN] == "no_meter"
    assert number(span, names.ENERGY_REMOTE) > 0


def test_calls_can_be_left_out(start: Start):
    assert remote(called(start({"GREENOPS_LANGUAGE_MODEL_CALLS": "off"}), CALL)) == {}


def test_without_parts_spans_carry_their_own_energy_alone(meter: SyntheticMeter):
    service = Service(lambda: [meter])

    assert remote(called(service, CALL)) == {}


def test_a_part_that_fails_costs_the_span_no_energy(meter: SyntheticMeter, caplog):
    class Failing(SpanParts):
        def of(self, *_: object):
            raise RuntimeError("no")

    service = Service(lambda: [meter], parts=Failing())

    span = called(service, CALL)

    assert number(span, names.ENERGY_SELF) >= 0
    assert "GO0732" in caplog.text


@pytest.mark.feature("J3")
def test_operations_of_a_call_are_an_estimate_and_say_so(start: Start):
    span = called(
        start({"GREENOPS_SPAN_PARTS": "flops"}), {**CALL, "gen_ai.request.model": "llama-3.1-70b"}
    )

    assert number(span, names.FLOPS) == pytest.approx(2 * 70.6e9 * 1300)
    assert (span.attributes or {})[names.FLOPS_ESTIMATED] is True


def test_operations_of_a_model_of_unknown_size_are_not_told(start: Start):
    said = {**CALL, names.ENERGY_REPORTED: 800.0, "gen_ai.request.model": "nobody-knows"}

    span = called(start({"GREENOPS_SPAN_PARTS": "flops"}), said)

    assert number(span, names.ENERGY_REMOTE) == 800.0
    assert names.FLOPS not in (span.attributes or {})


def test_a_call_at_no_time_has_energy_and_no_carbon(start: Start):
    service = start()
    said = {**CALL, names.CLOUD_REGION: "eu-north-1"}
    span = service.tracer.start_span("a", kind=SpanKind.CLIENT, attributes=said)
    span.end(end_time=2**80)

    (ended,) = service.finish()

    assert number(ended, names.ENERGY_REMOTE) > 0
    assert (ended.attributes or {})[names.CARBON_REMOTE_UNKNOWN] == "no_time"


@pytest.mark.feature("J6")
def test_energy_per_output_token_and_per_item_are_exported(start: Start, meter: SyntheticMeter):
    service = start({"GREENOPS_SPAN_PARTS": "per_unit"})
    with service.tracer.start_as_current_span("call", kind=SpanKind.CLIENT, attributes=CALL):
        pass
    with service.tracer.start_as_current_span("a", attributes={names.ITEMS: 500}):
        burn(meter, "a", 0.02)

    call, scored = service.finish()

    assert number(call, names.ENERGY_PER_OUTPUT) == number(call, names.ENERGY_REMOTE) / 300
    assert number(scored, names.ENERGY_PER_ITEM) == number(scored, names.ENERGY_SELF) / 500


@pytest.mark.feature("H3")
def test_embodied_emissions_are_on_spans_only_where_they_were_asked_for(
    start: Start, meter: SyntheticMeter
):
    asked = {"GREENOPS_EMBODIED_G": "1000000", "GREENOPS_EMBODIED_VCPUS": "1"}
    found = []
    for environ in (asked, {}):
        service = start(environ)
        with service.tracer.start_as_current_span("a"):
            burn(meter, "a", 0.02)
        found.append(service.finish()[0].attributes or {})

    with_it, without = found
    assert with_it[names.CARBON_EMBODIED] == pytest.approx(
        1e6 * 0.02 / (4 * 365.25 * 86_400), rel=0.3
    )
    assert names.CARBON_EMBODIED not in without


@pytest.mark.feature("H3")
def test_embodied_emissions_need_no_meter():
    service = Service(list, parts=from_environment({"GREENOPS_EMBODIED_G": "1000000"}))
    with service.tracer.start_as_current_span("a"):
        burn(SyntheticMeter(watts={"a": 1.0}), "a", 0.02)

    (span,) = service.finish()

    assert (span.attributes or {})[names.ENERGY_UNKNOWN] == "no_meter"
    assert number(span, names.CARBON_EMBODIED) > 0


@pytest.mark.feature("I1")
@pytest.mark.parametrize(
    "said",
    [
        {"http.request.body.size": 1_000_000, "http.response.body.size": 9_000_000},
        {"http.request_content_length": 1_000_000, "http.response_content_length": 9_000_000},
    ],
)
def test_bytes_of_an_outgoing_call_are_a_band_and_never_a_point(start: Start, said):
    span = called(
        start({"GREENOPS_SPAN_PARTS": "network"}), {**said, "server.address": "x.example"}
    )

    assert number(span, names.NETWORK_LOW) == pytest.approx(36.0)
    assert number(span, names.NETWORK_HIGH) == pytest.approx(2160.0)
    assert [
        name for name in span.attributes or {} if name.startswith("greenops.energy.network")
    ] == [
        names.NETWORK_LOW,
        names.NETWORK_HIGH,
    ]


@pytest.mark.feature("I1")
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"http.response.body.size": 9, "server.address": "localhost"}, SpanKind.CLIENT),
        ({"http.response.body.size": 9}, SpanKind.SERVER),
        ({"http.response.body.size": -9}, SpanKind.CLIENT),
        ({"http.response.body.size": "9"}, SpanKind.CLIENT),
        ({}, SpanKind.CLIENT),
    ],
)
def test_bytes_that_stay_here_or_that_the_caller_counts_have_no_energy(start: Start, said, kind):
    span = called(start({"GREENOPS_SPAN_PARTS": "network"}), said, kind)

    assert names.NETWORK_LOW not in (span.attributes or {})
