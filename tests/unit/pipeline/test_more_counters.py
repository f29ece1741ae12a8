"""What spans carry beside metered energy: apart, never falling, going on after a start."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.evidence import AvoidedEmissions, Grade
from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.more_counters import series
from greenops.pipeline.spent import own_share
from greenops.units import Grams, Joules

NOW = datetime(2021, 9, 17, 8, tzinfo=UTC)


def span(
    number: int | str,
    parent: str | None = None,
    said: dict[str, object] | None = None,
    **given: object,
) -> SpanRow:
    facts = dict.fromkeys(SpanRow.__dataclass_fields__)
    facts |= {"trace_id": "t", "span_id": str(number), "parent_id": parent, "service": "s"}
    facts |= {"workload": "w", "name": "op", "kind": "SERVER", "region": "r"}
    facts |= {"start": NOW, "end": NOW, "time": NOW, "energy_j": 10.0, "carbon_g": 2.0}
    attributes = {name: json.dumps(value) for name, value in (said or {}).items()}
    return SpanRow(**{**facts, "attributes": attributes, **given})


def call(number: int | str, **given: object) -> SpanRow:
    said = {names.ENERGY_REMOTE: 100.0, names.ENERGY_REMOTE_LOW: 50.0, names.CARBON_REMOTE: 3.0}
    said |= {names.ENERGY_REMOTE_HIGH: 200.0, names.ENERGY_REMOTE_METHOD: "estimated"}
    return span(number, kind="CLIENT", said=said, energy_j=0.5, carbon_g=0.1, **given)


def account(category: str, joules: float, host="h", service="s", at=NOW) -> EnergyAccount:
    return EnergyAccount(
        service, f"{service}-1", "w", "cpu", category, at, Joules(joules), "modeled", "x", host
    )


def shown(sums: Footprint) -> dict[tuple[str, str | None], float]:
    return {series(key)[1:]: value for key, value in sums.more_counters().items()}


@pytest.mark.feature("A2", "D3")
def test_energy_drawn_elsewhere_is_a_counter_of_its_own_and_in_no_metered_one():
    sums = Footprint()
    sums.add([span(1), call(2)], [account("attributed", 10.5)])

    assert shown(sums)[names.METRIC_REMOTE, "estimated"] == 100.0
    assert shown(sums)[names.METRIC_REMOTE_LOW, "estimated"] == 50.0
    assert shown(sums)[names.METRIC_REMOTE_HIGH, "estimated"] == 200.0
    assert shown(sums)[names.METRIC_CARBON_REMOTE, "estimated"] == 3.0
    assert sum(sums.energy().values()) == 10.5
    assert sums.services()[0].energy_j == 10.5
    assert sums.fleet().energy_j == 10.5


def test_a_counter_does_not_fall_when_a_call_turns_out_to_be_metered():
    sums = Footprint()
    sums.add([call("a"), call("b")], [])
    before = shown(sums)[names.METRIC_REMOTE, "estimated"]
    sums.add([span("served", "a", service="llm")], [])
    after = shown(sums)[names.METRIC_REMOTE, "estimated"]
    sums.add([call("c")], [])

    assert (before, after) == (200.0, 200.0)
    assert shown(sums)[names.METRIC_REMOTE, "estimated"] == 200.0
    (exact,) = sums.remote()
    assert (exact.calls, exact.energy_j, exact.superseded) == (2, 200.0, 1)


@pytest.mark.feature("H3", "J5")
def test_making_of_machines_is_told_per_request_only_where_all_that_emits_tells_it():
    said, sums = {names.CARBON_EMBODIED: 0.25}, Footprint()
    sums.add([span(1, said=said), span(2, said=said)], [])
    (all_of_it,) = sums.services()
    sums.add([span(3)], [])
    (a_part,) = sums.services()

    assert (all_of_it.embodied_g, all_of_it.embodied_g_per_request) == (0.5, 0.25)
    assert (a_part.embodied_g, a_part.embodied_g_per_request) == (0.5, None)
    # The page and the console tell one score.
    (score,) = sums.scores().values()
    assert (score.operational, score.embodied) == (a_part.carbon_g_per_request, None)


@pytest.mark.feature("H3", "I1")
def test_making_of_machines_and_the_network_are_in_no_other_sum():
    said = {names.CARBON_EMBODIED: 0.25, names.NETWORK_LOW: 1.0, names.NETWORK_HIGH: 60.0}
    sums = Footprint()
    sums.add([span(1, said=said), span(2, said=said), span(3)], [])

    (service,) = sums.services()
    assert (service.embodied_g, service.carbon_g) == (0.5, 6.0)
    assert (service.network_low_j, service.network_high_j, service.energy_j) == (2.0, 120.0, 30.0)
    assert shown(sums)[names.METRIC_EMBODIED, None] == 0.5
    assert shown(sums)[names.METRIC_NETWORK_HIGH, None] == 120.0


def test_where_nothing_carries_a_part_there_is_no_counter_and_no_figure():
    sums = Footprint()
    sums.add([span(1)], [])

    assert sums.more_counters() == {("w", "greenops.carbon.location r"): 2.0}
    (service,) = sums.services()
    assert (service.embodied_g, service.network_low_j, service.energy_j_per_item) == (None,) * 3
    assert (sums.remote(), sums.caches(), sums.curves()) == ((), (), ())


@pytest.mark.feature("J6")
def test_energy_per_item_and_per_token_is_that_of_the_spans_that_tell_them():
    sums = Footprint()
    rows = [
        span(1, said={names.ITEMS: 4}),
        span(2, said={names.ITEMS: 16}),
        span(3, said={"gen_ai.usage.output_tokens": 5}),
        span(4, said={names.ITEMS: -1}),
    ]
    rows.append(
        call(5, attributes=call(5).attributes | {"gen_ai.usage.output_tokens": "50"}),
    )
    sums.add(rows, [])

    (service,) = sums.services()
    assert service.energy_j_per_item == 1.0
    assert service.energy_j_per_output_token == 2.0
    assert sums.remote()[0].energy_j_per_output_token == 2.0


@pytest.mark.feature("G5")
def test_idle_grams_are_idle_joules_at_what_spans_on_the_same_machine_emit():
    sums = Footprint()
    sums.add(
        [span(1), span(2, service="dirty", carbon_g=9.0)],
        [
            account("attributed", 10.0),
            account("idle", 30.0),
            account("overhead", 1.0),
            account("attributed", 10.0, host="other", service="dirty"),
            account("idle", 5.0, host="other", service="dirty"),
        ],
    )

    carbon = sums.carbon()

    assert carbon["attributed"] == 11.0
    assert carbon["idle"] == pytest.approx(30 * 0.2 + 5 * 0.9)
    assert carbon["overhead"] == pytest.approx(0.2)
    assert shown(sums)[names.METRIC_CARBON_IDLE, None] == carbon["idle"]


def test_grams_of_a_machine_whose_spans_have_none_are_not_known():
    sums = Footprint()
    sums.add([span(1, carbon_g=None)], [account("idle", 30.0)])

    assert sums.carbon() == {}
    assert sums.fleet().carbon_g is None


@pytest.mark.feature("O2")
def test_what_greenops_took_itself_is_set_against_what_it_avoided():
    sums = Footprint()
    sums.add([span(1)], [account("attributed", 10.0), account("overhead", 2.0)])

    def avoided(grams: float) -> AvoidedEmissions:
        return AvoidedEmissions(Grams(grams), Grams(0.0), Grams(grams), Grade.B)

    own = sums.carbon()["overhead"]
    assert own_share(own, avoided(100.0)) == pytest.approx(0.004)
    assert own_share(own, avoided(-1.0)) is None
    assert own_share(own, None) is None
    assert own_share(None, avoided(100.0)) is None


@pytest.mark.feature("J7")
def test_the_fleet_knows_its_requests_and_users_from_its_spans_alone():
    empty, sums = Footprint(), Footprint()
    sums.add(
        [
            span(1, said={names.USER_ID: "a"}),
            span(2, said={names.USER_ID: "b"}),
            span(3, said={names.USER_ID: "a"}),
            span(4, parent="3"),
            span(5, kind="INTERNAL"),
        ],
        [account("attributed", 50.0), account("idle", 10.0)],
    )

    assert (empty.fleet().requests, empty.fleet().users) == (0, None)
    assert (empty.fleet().energy_j, empty.fleet().carbon_g) == (None, None)
    fleet = sums.fleet()
    assert (fleet.requests, fleet.users, fleet.energy_j) == (3, 2, 60.0)
    assert fleet.carbon_g == pytest.approx(10.0 + 10 * 0.2)


def test_counters_go_on_after_a_start_though_rows_are_gone():
    sums = Footprint()
    sums.add([call(1), span(2, said={names.CARBON_EMBODIED: 0.5})], [account("idle", 5.0)])
    kept = sums.counters()

    fewer = Footprint()
    fewer.add([call(1)], [])
    fewer.resume(kept)
    fewer.add([call(9)], [account("idle", 1.0, at=NOW + timedelta(minutes=1))])

    assert shown(fewer)[names.METRIC_REMOTE, "estimated"] == 200.0
    assert shown(fewer)[names.METRIC_EMBODIED, None] == 0.5
    assert fewer.energy_by_workload()[None, "idle"] == 6.0
