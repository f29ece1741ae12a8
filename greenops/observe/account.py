"""Where the energy of one device went, in joules, as it leaves the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenops.domain.energy import Category, MeterInfo
from greenops.observe.device import DeviceAccount, joules
from greenops.units import Joules


@dataclass(frozen=True, slots=True)
class Account:
    """Cumulative energy of one device, that of open spans left out [J]; `residual` is what the parts leave of `measured` [1].

    `refused` counts readings that were faults of the meter, by kind; `taken` is the idle energy that fell to this
    process, and stands in its own parts [J].
    """

    info: MeterInfo
    parts: Mapping[Category, Joules]
    measured: Joules
    residual: float
    refused: Mapping[str, int]
    taken: Joules

    @classmethod
    def of(cls, device: DeviceAccount, held: int) -> Account:
        """What a device's books say now, less the quanta `held` by spans that may yet lose them.

        They count as attributed once their span is settled, else as unattributed: no part ever falls.
        """
        parts = {**device.parts}
        parts[Category.ATTRIBUTED] -= held
        return cls(
            info=device.info,
            parts={category: joules(quanta) for category, quanta in parts.items()},
            measured=joules(device.measured - held),
            residual=device.residual / device.measured if device.measured else 0.0,
            refused=device.refused,
            taken=joules(device.taken),
        )

    def after(self, earlier: Account) -> Account:
        """Both together, where the observer of the other one ended before this one's began."""
        measured = Joules(earlier.measured + self.measured)
        left = earlier.residual * earlier.measured + self.residual * self.measured
        return Account(
            info=self.info,
            parts={each: Joules(j + earlier.parts[each]) for each, j in self.parts.items()},
            measured=measured,
            residual=left / measured if measured else 0.0,
            refused={kind: n + earlier.refused[kind] for kind, n in self.refused.items()},
            taken=Joules(earlier.taken + self.taken),
        )
