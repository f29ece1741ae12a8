from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.service_sums import weakest

NOW = datetime(2021, 9, 17, 8, tzinfo=UTC)


def span(number: int, energy=1.0, **given) -> SpanRow:
    facts = {
        "trace_id": "t",
        "span_id": str(number),
        "parent_id": None,
        "service": "s",
        "instance": "s-1",
        "workload": "w",
        "name": "op",
        "kind": "SERVER",
        "start": NOW,
        "end": NOW,
        "time": NOW,
        "energy_j": energy,
        "energy_low_j": None if energy is None else energy * 0.8,
        "energy_high_j": None if energy is None else energy * 1.2,
        "carbon_g": None if energy is None else energy / 10,
        "cost_usd": None,
        "method": "modeled",
        "unknown": "no_meter" if energy is None else None,
        "region": "r",
        "grid_zone": None,
        "decision_id": None,
        "attributes": {},
        **given,
    }
    return SpanRow(**facts)


def account(category: str, joules: float, instance="s-1", host="h", workload="w") -> EnergyAccount:
    return EnergyAccount(
        "s", instance, workload, "cpu", category, NOW, joules, "modeled", "spec_model", host
    )


@pytest.mark.feature("J1")
def test_per_request_numbers_sum_to_the_total_in_any_order():
    rows = [span(i, energy=0.1 * i) for i in range(50)]
    shuffled = random.Random(1).sample(rows, len(rows))

    one, other = Footprint(), Footprint()
    one.add(rows, [])
    other.add(shuffled, [])

    (service,) = one.services()
    assert service == other.services()[0]
    assert service.energy_j_per_request * service.requests == pytest.approx(service.energy_j)
    assert service.energy_low_j < service.energy_j < service.energy_high_j


def test_the_same_span_again_is_one():
    sums = Footprint()

    first = sums.add([span(1)], [])
    again = sums.add([span(1)], [])

    assert (len(first), len(again), sums.spans) == (1, 0, 1)


def test_a_span_without_energy_is_counted_as_unknown_and_is_not_zero():
    sums = Footprint()
    sums.add([span(1, energy=None)], [])

    assert (sums.spans_with_energy, sums.spans_unknown) == (0, 1)
    assert sums.services()[0].energy_j is None
    assert sums.services()[0].energy_j_per_request is None


def test_a_service_without_servers_counts_its_roots_and_without_roots_nothing_per_request():
    sums = Footprint()
    sums.add([span(1, kind="INTERNAL"), span(2, kind="INTERNAL", parent_id="1")], [])
    child = Footprint()
    child.add([span(2, kind="INTERNAL", parent_id="1")], [])

    assert sums.services()[0].requests == 1
    assert child.services()[0].energy_j_per_request is None


def test_two_processes_of_one_host_do_not_add_up_its_idle_energy():
    sums = Footprint()
    sums.add(
        [],
        [
            account("attributed", 3.0),
            account("idle", 10.0),
            account("other_process", 7.0),
            account("attributed", 2.0, instance="s-2", workload="v"),
            account("idle", 9.0, instance="s-2", workload="v"),
            account("other_process", 4.0, instance="s-2", workload="v"),
        ],
    )

    energy = sums.energy()

    assert energy["idle"] == 10.0
    assert energy["attributed"] == 5.0
    # The host's meter read 20 J while the first process looked; 15 J of it are explained.
    assert energy["other_process"] == 5.0
    assert sum(energy.values()) == 20.0
    assert sums.energy_by_workload()["v", "attributed"] == 2.0


def test_two_hosts_add_up():
    sums = Footprint()
    sums.add([], [account("idle", 10.0), account("idle", 5.0, instance="s-2", host="other")])

    assert sums.energy()["idle"] == 15.0


def test_accounts_are_cumulative_and_the_newest_counts():
    sums = Footprint()
    late = replace(account("attributed", 3.5), at=NOW + timedelta(minutes=1))
    sums.add([], [account("attributed", 1.0), account("attributed", 4.0)])
    sums.add([], [late])
    sums.add([], [account("attributed", 4.0)])

    # Energy of spans that never ended moves to another category at the end: the sum may fall.
    assert sums.energy()["attributed"] == 3.5


def test_the_residual_is_what_spans_and_account_differ_by():
    sums = Footprint()
    sums.add([span(1, energy=3.0)], [account("attributed", 4.0), account("idle", 6.0)])

    assert sums.residual() == pytest.approx(0.1)
    assert sums.attributed_share() == 1.0


def test_before_anything_arrived_nothing_is_claimed():
    sums = Footprint()

    assert (sums.residual(), sums.attributed_share(), sums.services()) == (None, None, ())


def test_the_weakest_method_speaks_for_all():
    assert weakest(["measured", "estimated", "modeled"]) == "estimated"
    assert weakest([]) is None
