"""An independent log of what a meter said, for whoever checks the accounts against it."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from greenops.domain.energy import EnergyReading, MeterInfo

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter


class MeterLog:
    """Passes readings through and appends each as one JSON line. Stability: beta.

    Lines have `device`, `at_ns` (monotonic), `at` (wall), `joules`: cumulative [J], laps of the counter added.
    A log that cannot be written never stops the meter.
    """

    def __init__(self, meter: EnergyMeter, path: Path) -> None:
        self._meter, self._path = meter, path
        self._lock = threading.Lock()
        self._last: float | None = None
        self._laps = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)

    @property
    def info(self) -> MeterInfo:
        """What the meter is."""
        return self._meter.info

    def read(self) -> EnergyReading:
        """Read, write down, pass on.

        Raises:
            AdapterUnavailable: The meter cannot be read now.
        """
        reading = self._meter.read()
        with self._lock:
            wrap = self.info.wrap
            if wrap is not None and self._last is not None and reading.joules < self._last:
                self._laps += wrap
            self._last = reading.joules
            line = {
                "device": reading.device,
                "at_ns": reading.at_ns,
                "at": datetime.now(UTC).isoformat(),  # noqa: TID251 - wall time of the log itself
                "joules": self._laps + reading.joules,
            }
            with suppress(OSError, ValueError):
                self._file.write(json.dumps(line) + "\n")
        return reading

    def close(self) -> None:
        """Close log and meter; twice is once."""
        self._meter.close()
        self._file.close()
