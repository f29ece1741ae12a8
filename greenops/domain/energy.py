"""Energy: what a meter is, what it read, what a span got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from greenops.units import Joules, Seconds, Watts

SLOWEST_UPDATE: Final = Seconds(0.1)
"""Time between two steps of a counter of which nothing else is known [s]; NVML's, the slowest in use."""


class Method(StrEnum):
    """How a number came about; every number that leaves the process has one."""

    MEASURED = "measured"
    MODELED = "modeled"
    ESTIMATED = "estimated"
    REPORTED = "reported"


class Boundary(StrEnum):
    """What a number covers; different boundaries are different quantities and never add."""

    CHIP = "chip"
    MODULE = "module"
    """A processor, an accelerator and the memory of both on one board, as on NVIDIA's GH200."""
    NODE = "node"
    SITE = "site"
    NETWORK = "network"
    """What carries bytes between sites; known as a range without a middle, and in no sum with what was metered."""


class Category(StrEnum):
    """Where the energy of a device went; the parts add up to what the meter read."""

    ATTRIBUTED = "attributed"
    IDLE = "idle"
    UNATTRIBUTED = "unattributed"
    OTHER_PROCESS = "other_process"
    OVERHEAD = "overhead"


@dataclass(frozen=True, slots=True)
class MeterInfo:
    """What a meter is.

    Attributes:
        name: Short name of the mechanism, the value of `greenops.energy.source`: `rapl`, `nvml`,
            `spec_model`, `tdp_model` …
        device: Identity of the device, unique on this host: `package-0`, `GPU-…`, `cpu`.
        device_kind: `cpu`, `gpu`, `memory` or `host` (OpenTelemetry `hw.type`).
        method: Measured by a sensor or modeled.
        boundary: What the reading covers.
        uncertainty: Relative half width of the 90 % range, for example 0.20.
        wrap: Value at which the counter returns to zero [J]; none where it does not.
        rated_power: Largest plausible power [W]; none where unknown.
        idle_power: Power with nothing running [W]; none where it must be learned.
        update_period: Time between two steps of the counter [s]; a look sees whole steps only.
        note: What a person must know to read it, as `greenops doctor` tells; none where the rest says all.
    """

    name: str
    device: str
    device_kind: str
    method: Method
    boundary: Boundary
    uncertainty: float
    wrap: Joules | None = None
    rated_power: Watts | None = None
    idle_power: Watts | None = None
    update_period: Seconds = SLOWEST_UPDATE
    note: str | None = None


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """One look at a counter: `joules` is cumulative from an arbitrary zero [J]."""

    device: str
    at_ns: int
    """Monotonic clock (`time.monotonic_ns`) at the reading."""
    joules: Joules
    users: Mapping[int, float | None] | None = None
    """Processes on the device by id, with the part of its time that each kept it busy, if known; none where the device
    does not tell, or tells ids of another namespace."""


@dataclass(frozen=True, slots=True)
class SpanEnergy:
    """What one span got; `self_j` is summable over any set of spans, `total_j` never is.

    Attributes:
        self_j: Energy caused by the span, children excluded [J].
        total_j: With in-process descendants that ended before it [J].
        low_j: Lower end of the 90 % range of `self_j` [J].
        high_j: Upper end of the 90 % range of `self_j` [J].
        method: How `self_j` came about.
        attribution: Rule that shared it: `cpu_time`, `wall_share`, `exclusive` …
    """

    self_j: Joules
    total_j: Joules
    low_j: Joules
    high_j: Joules
    method: Method
    attribution: str


class Unknown(StrEnum):
    """Why a span has no energy; the value of `greenops.energy.unknown`."""

    NO_METER = "no_meter"
    NOT_OBSERVED = "not_observed"
    METER_FAILED = "meter_failed"
    FAULT = "fault"
