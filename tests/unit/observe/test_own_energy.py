"""What a span says of its own energy by default, when asked, and where it owes more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenops.domain.energy import Boundary, MeterInfo, Method, SpanEnergy
from greenops.observe import attributes as names
from greenops.observe.attribution import Finished
from greenops.observe.device import QUANTA_PER_JOULE
from greenops.observe.own_energy import WIDER, Stated, own_energy
from greenops.observe.span_parts import Part
from greenops.units import Joules

CPU = MeterInfo("rapl", "package-0", "cpu", Method.MEASURED, Boundary.CHIP, 0.05)
OTHER = replace(CPU, device="package-1")
GPU = MeterInfo("nvml", "GPU-1", "gpu", Method.MEASURED, Boundary.CHIP, 0.05)
NODE = MeterInfo("redfish", "node", "host", Method.MEASURED, Boundary.NODE, 0.02)
STATED = Stated.of([CPU])
NOTHING: frozenset[Part] = frozenset()


def energy(half: float = 0.05, **more: object) -> SpanEnergy:
    given = SpanEnergy(
        self_j=Joules(2.0),
        total_j=Joules(5.0),
        low_j=Joules(2.0 * (1 - half)),
        high_j=Joules(2.0 * (1 + half)),
        method=Method.MEASURED,
        attribution="cpu_time",
    )
    return replace(given, **more)


def told(
    each: SpanEnergy,
    *asked: Part,
    stated: Stated = STATED,
    devices: dict[str, int] | None = None,
) -> dict[str, object]:
    found = Finished(1, each, None, 0, {}, devices or {})
    return dict(own_energy(each, found, stated, frozenset(asked)))


def test_by_default_a_span_says_its_energy_and_no_more():
    assert told(energy()) == {names.ENERGY_SELF: 2.0}


def test_the_method_is_told_only_where_it_is_not_that_of_the_resource():
    assert told(energy(method=Method.MODELED))[names.ENERGY_METHOD] == "modeled"
    assert names.ENERGY_METHOD not in told(energy())


@pytest.mark.parametrize(
    ("half", "owed"),
    [(0.0, False), (0.05, False), (0.05 * WIDER * 0.99, False), (0.05 * WIDER * 1.01, True)],
)
def test_a_span_much_less_sure_than_its_resource_says_carries_its_own_range(half, owed):
    found = told(energy(half))

    assert (names.ENERGY_LOW in found, names.ENERGY_HIGH in found) == (owed, owed)
    if owed:
        assert found[names.ENERGY_HIGH] == pytest.approx(2.0 * (1 + half))


def test_a_range_can_be_asked_for():
    found = told(energy(), Part.RANGE)

    assert (found[names.ENERGY_LOW], found[names.ENERGY_HIGH]) == (1.9, 2.1)


def test_where_the_meter_cannot_say_how_sure_it_is_no_range_is_made_up():
    stated = replace(STATED, uncertainty=None)

    assert told(energy(9.0), Part.RANGE, stated=stated) == {names.ENERGY_SELF: 2.0}


def test_total_and_rule_are_told_where_they_are_asked_for():
    found = told(energy(), Part.TOTAL, Part.ATTRIBUTION)

    assert found == {
        names.ENERGY_SELF: 2.0,
        names.ENERGY_TOTAL: 5.0,
        names.ENERGY_ATTRIBUTION: "cpu_time",
    }


def test_by_device_the_parts_are_of_kinds_that_are_metered_and_add_up():
    quanta = {"package-0": QUANTA_PER_JOULE, "package-1": QUANTA_PER_JOULE // 2}
    quanta["GPU-1"] = QUANTA_PER_JOULE // 2

    found = told(energy(), Part.DEVICES, stated=Stated.of([CPU, OTHER, GPU, NODE]), devices=quanta)

    assert found["greenops.energy.cpu.self"] == 1.5
    assert found["greenops.energy.gpu.self"] == 0.5
    assert "greenops.energy.memory.self" not in found
    assert set(found) == {
        names.ENERGY_SELF,
        "greenops.energy.cpu.self",
        "greenops.energy.gpu.self",
    }


def test_a_metered_device_that_a_span_left_alone_gave_it_zero():
    found = told(
        energy(),
        Part.DEVICES,
        stated=Stated.of([CPU, GPU]),
        devices={"package-0": QUANTA_PER_JOULE},
    )

    assert found["greenops.energy.gpu.self"] == 0.0


def test_without_clocks_the_share_is_an_estimate_of_no_known_range():
    stated = Stated.of([CPU], clocks=False)

    found = told(energy(), Part.RANGE, Part.ATTRIBUTION, stated=stated)

    assert (stated.method, stated.uncertainty) == (Method.ESTIMATED, None)
    assert found == {names.ENERGY_SELF: 2.0, names.ENERGY_ATTRIBUTION: "wall_share"}


def test_a_rule_that_needs_no_clock_stays_what_it_is():
    stated, alone = Stated.of([GPU], clocks=False), energy(attribution="token_weights")

    found = told(alone, Part.ATTRIBUTION, stated=stated)

    assert found[names.ENERGY_ATTRIBUTION] == "token_weights"


def test_a_resource_states_the_weakest_method_and_the_widest_range_of_its_meters():
    model = replace(OTHER, method=Method.MODELED, uncertainty=0.36)

    assert Stated.of([CPU, model, GPU]) == Stated(
        Method.MODELED, 0.36, {"package-0": "cpu", "package-1": "cpu", "GPU-1": "gpu"}
    )
    assert Stated.of([]) == Stated(None, None, {})
