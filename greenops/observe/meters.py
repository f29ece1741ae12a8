"""The energy meters of one process: read together, and let go once; a driver may fail or hang."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from greenops.domain.energy import EnergyReading, MeterInfo

if TYPE_CHECKING:
    from greenops.ports import DeferredMeter, EnergyMeter

Answer = tuple["EnergyMeter", object]
"""A meter, and its reading, its note of one, or the error it raised."""

_log = logging.getLogger(__name__)


def _question(meter: EnergyMeter) -> Callable[[], object]:
    """What to ask it at a look: a note where it can be worked out later. The port itself is too heavy to import here."""
    found: Callable[[], object] = getattr(meter, "note", meter.read)
    return found


class Meters:
    """Opened meters; one thread at a time may read them."""

    def __init__(self, opened: Sequence[EnergyMeter]) -> None:
        self._left = [(meter, _question(meter)) for meter in opened]
        self.infos: Sequence[MeterInfo] = tuple(meter.info for meter in opened)
        self.reading: EnergyMeter | None = None
        """The meter whose driver has been asked and has not answered yet."""
        self._failing: set[str] = set()

    def ask(self) -> list[Answer]:
        """What each says now, in its own form."""
        answers: list[Answer] = []
        for meter, read in self._left:
            self.reading = meter
            try:
                answers.append((meter, read()))
            except Exception as error:  # noqa: BLE001 - a driver may raise anything
                answers.append((meter, error))
            finally:
                self.reading = None
        return answers

    def readings(self, answers: Sequence[Answer]) -> dict[str, EnergyReading | None]:
        """What was said, by device; none where a meter could not be read."""
        return {meter.info.device: self._reading(meter, said) for meter, said in answers}

    def _reading(self, meter: EnergyMeter, said: object) -> EnergyReading | None:
        device = meter.info.device
        if not isinstance(said, EnergyReading | Exception):
            try:
                said = cast("DeferredMeter", meter).noted(said)
            except Exception as error:  # noqa: BLE001 - a driver may raise anything
                said = error
        if isinstance(said, EnergyReading):
            self._failing.discard(device)
            return said
        if device not in self._failing:
            self._failing.add(device)
            _log.warning("GO0702 energy meter `%s` cannot be read: %s", device, said)
        return None

    def close(self) -> None:
        """Let go of all but one that is being read: its driver would wait for itself. Twice is once."""
        busy = self.reading
        left, self._left = self._left, [each for each in self._left if each[0] is busy]
        for meter, _ in left:
            if meter is not busy:
                self._close(meter)

    def _close(self, meter: EnergyMeter) -> None:
        try:
            meter.close()
        except Exception:  # noqa: BLE001 - a driver may raise anything
            _log.warning(
                "GO0702 energy meter `%s` cannot be closed", meter.info.device, exc_info=True
            )
