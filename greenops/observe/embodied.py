"""What making a machine emitted, shared out; and what carrying bytes takes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from greenops.units import Grams, Joules, Kwh, Seconds, to_joules

YEAR_S: Final = 365.25 * 86_400
"""A year [s]. Source: IAU, Julian year."""
BYTES_PER_GB: Final = 1e9
"""Bytes of a gigabyte, decimal, as networks count."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine's making emitted, over how long, and how many vCPUs share it.

    Attributes:
        grams: Emissions of making, carrying and discarding it [gCO2e].
        lifetime: How long it is expected to serve [s].
        vcpus: All of its vCPUs, sold or not.
    """

    grams: Grams
    lifetime: Seconds
    vcpus: float


def embodied(
    total: Grams, reserved_for: Seconds, lifetime: Seconds, reserved: float, resources: float
) -> Grams:
    """M = TE x (TiR / EL) x (RR / ToR) [gCO2e].

    Args:
        total: TE, emissions of the whole machine.
        reserved_for: TiR, how long it was reserved.
        lifetime: EL, how long it is expected to serve.
        reserved: RR, resources reserved.
        resources: ToR, all of its resources.

    Raises:
        ValueError: A number is negative, or lifetime or resources are not above zero.

    Source: Software Carbon Intensity specification, ISO/IEC 21031:2024.
    """
    if lifetime <= 0 or resources <= 0:
        raise ValueError("lifetime and resources must be above zero")
    if min(total, reserved_for, reserved) < 0:
        raise ValueError("emissions, time and resources must not be negative")
    return Grams(total * (reserved_for / lifetime) * (reserved / resources))


def embodied_of(machine: Machine, cpu: Seconds) -> Grams:
    """A span's part of its machine, by CPU time [gCO2e]: one vCPU reserved for as long as it was used."""
    return embodied(machine.grams, cpu, machine.lifetime, 1.0, machine.vcpus)


def network_energy(carried: int, low: Kwh, high: Kwh) -> tuple[Joules, Joules]:
    """Range of what carrying bytes takes [J]; `low` and `high` are of one gigabyte [kWh].

    No middle is given: sources differ sixtyfold, by what they count and by year.
    """
    gigabytes = carried / BYTES_PER_GB
    return Joules(gigabytes * to_joules(low)), Joules(gigabytes * to_joules(high))
