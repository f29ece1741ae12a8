"""The energy meters of one process: read together, and let go once; a driver may fail or hang."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from greenops.domain.energy import EnergyReading, MeterInfo

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

_log = logging.getLogger(__name__)


class Meters:
    """Opened meters; one thread at a time may read them."""

    def __init__(self, opened: Sequence[EnergyMeter]) -> None:
        self._left = list(opened)
        self.infos: Sequence[MeterInfo] = tuple(meter.info for meter in opened)
        self.reading: EnergyMeter | None = None
        """The meter whose driver has been asked and has not answered yet."""
        self._failing: set[str] = set()

    def read(self) -> dict[str, EnergyReading | None]:
        """By device; none where a meter cannot be read."""
        return {meter.info.device: self._read(meter) for meter in list(self._left)}

    def _read(self, meter: EnergyMeter) -> EnergyReading | None:
        device = meter.info.device
        self.reading = meter
        try:
            reading = meter.read()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            if device not in self._failing:
                self._failing.add(device)
                _log.warning("GO0702 energy meter `%s` cannot be read: %s", device, error)
            return None
        finally:
            self.reading = None
        self._failing.discard(device)
        return reading

    def close(self) -> None:
        """Let go of all but one that is being read: its driver would wait for itself. Twice is once."""
        busy = self.reading
        left, self._left = self._left, [meter for meter in self._left if meter is busy]
        for meter in left:
            if meter is not busy:
                self._close(meter)

    def _close(self, meter: EnergyMeter) -> None:
        try:
            meter.close()
        except Exception:  # noqa: BLE001 - a driver may raise anything
            _log.warning(
                "GO0702 energy meter `%s` cannot be closed", meter.info.device, exc_info=True
            )
