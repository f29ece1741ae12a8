"""Meters that are asked together, and what they say worked out later."""

from __future__ import annotations

from greenops.domain.energy import EnergyReading
from greenops.errors import AdapterUnavailable
from greenops.observe.meters import Meters
from greenops.testing.meters import SyntheticMeter
from greenops.units import Joules


class Noting(SyntheticMeter):
    """Notes count up from zero; the one told is worth nothing."""

    def __init__(self, worthless: int) -> None:
        super().__init__(device="noting")
        self._worthless, self._notes = worthless, -1

    def note(self) -> int:
        self._notes += 1
        return self._notes

    def noted(self, note: int) -> EnergyReading:
        if note == self._worthless:
            raise AdapterUnavailable("GO0710", "worth nothing")
        return EnergyReading("noting", note, Joules(note))


def test_a_meter_that_takes_notes_is_asked_for_those_and_the_others_for_readings() -> None:
    meters = Meters([Noting(worthless=9), SyntheticMeter(device="read")])

    asked = [meters.ask() for _ in range(3)]
    readings = [meters.readings(each) for each in asked]

    assert [each["noting"] for each in readings] == [
        EnergyReading("noting", n, Joules(n)) for n in range(3)
    ]
    assert all(isinstance(each["read"], EnergyReading) for each in readings)


def test_a_note_that_tells_nothing_is_no_reading_and_is_said_once(caplog) -> None:
    meters = Meters([Noting(worthless=1)])

    asked = [meters.ask() for _ in range(3)]
    readings = [meters.readings(each)["noting"] for each in asked]

    assert [each is None for each in readings] == [False, True, False]
    assert caplog.text.count("GO0702 energy meter `noting` cannot be read") == 1


def test_a_meter_that_cannot_be_read_is_said_once_until_it_can(caplog) -> None:
    meter = SyntheticMeter(device="failing")
    meters = Meters([meter])

    for fails in (True, True, False, True):
        meter.fails = fails
        meters.readings(meters.ask())

    assert caplog.text.count("GO0702 energy meter `failing` cannot be read") == 2
