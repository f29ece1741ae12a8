"""Who answers for what a device draws with nothing running: a choice of governance, told with every number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from greenops.domain.energy import MeterInfo, Method
from greenops.units import Watts


class IdlePolicy(StrEnum):
    """The value of `greenops.idle.policy`."""

    SEPARATE = "separate"
    """Nobody: idle energy is a line of its own."""
    BY_RESERVATION = "by_reservation"
    """Who reserved the device, used or not: this process's part falls to what runs in it, as its dynamic energy does."""
    BY_DYNAMIC_SHARE = "by_dynamic_share"
    """Who used it, in proportion to dynamic energy."""


@dataclass(frozen=True, slots=True)
class Idle:
    """A policy, the part of each device that this process reserved [1], and idle power by device or kind [W]."""

    policy: IdlePolicy = IdlePolicy.SEPARATE
    reserved: float = 1.0
    watts: Mapping[str, Watts] = field(default_factory=dict)

    def told(self, info: MeterInfo) -> MeterInfo:
        """A meter with the idle power that was told for it; a model has one of its own."""
        power = self.watts.get(info.device, self.watts.get(info.device_kind))
        if power is None or info.method is not Method.MEASURED:
            return info
        return replace(info, idle_power=power)

    def given(self, idle: int, mine: int, dynamic: int) -> int:
        """Quanta of idle energy that fall to this process.

        Args:
            idle: Drawn with nothing running [quanta].
            mine: Dynamic energy of this process [quanta].
            dynamic: Dynamic energy of all processes [quanta].
        """
        if self.policy is IdlePolicy.BY_RESERVATION:
            return int(idle * min(1.0, max(0.0, self.reserved)))
        if self.policy is IdlePolicy.BY_DYNAMIC_SHARE and dynamic > 0:
            return idle * mine // dynamic
        return 0


SEPARATE = Idle()
