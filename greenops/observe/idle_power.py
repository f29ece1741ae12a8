"""What a device draws with nothing running, where nobody has said: seen at rest, or read off how power follows load."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import Final

from greenops.observe.rates import Z90

WINDOW_S: Final = 1.0
"""Power is a mean over windows this long [s]; before the first is over, of any step."""
REST: Final = 0.05
"""A window in which the device was busy for no more of its time was rest: the lowest of them is idle power [1]."""
MOST_WINDOWS: Final = 600
"""Windows kept to read idle power off: ten minutes."""
FIT_EVERY: Final = 30
"""Windows between two fits, and before the first."""
OUTLIER: Final = 3.0
"""A window that lies further off the line than so many robust standard deviations is left out."""
SURE: Final = 0.2
"""The 90 % range of a fitted idle power may be no wider to each side, as a part of the lowest power seen."""
MAD: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

Windows = Sequence[tuple[float, float]]


class IdlePower:
    """Learns from windows of power and load; never more than the lowest power seen. Not thread-safe.

    A device that is never at rest teaches no idle power by its lowest: then the straight line of power over load is
    followed down to no load, if it is sure enough.
    """

    def __init__(self) -> None:
        self.lowest: float | None = None
        """Lowest mean power of a whole window [W]."""
        self._first: float | None = None
        self._fitted: float | None = None
        self._rested = False
        self._energy = self._lasted = 0.0
        self._busy: float | None = 0.0
        """Time for which the device was busy in the window that runs [s]; none where nobody says."""
        self._windows: deque[tuple[float, float]] = deque(maxlen=MOST_WINDOWS)
        self._since_fit = 0

    @property
    def watts(self) -> float:
        """What is believed now [W]; zero before anything was seen."""
        lowest = self._first if self.lowest is None else self.lowest
        if lowest is None:
            return 0.0
        return lowest if self._rested or self._fitted is None else min(lowest, self._fitted)

    def forget(self) -> None:
        """Drop the window that runs: part of it is not known."""
        self._energy = self._lasted = self._busy = 0.0

    def ran(self, busy: float | None) -> None:
        """The device was busy for so long since the last call, all its parts together [s]; none where nobody says."""
        self._busy = None if busy is None or self._busy is None else self._busy + busy

    def learn(self, energy: float, lasted: float) -> None:
        """One step of the counter: what it counted [J] in which time, above zero [s]."""
        if self.lowest is None:
            power = energy / lasted
            self._first = power if self._first is None else min(self._first, power)
        self._energy += energy
        self._lasted += lasted
        if self._lasted >= WINDOW_S:
            self._close()

    def _close(self) -> None:
        power = self._energy / self._lasted
        self.lowest = power if self.lowest is None else min(self.lowest, power)
        if self._busy is not None:
            load = self._busy / self._lasted
            self._rested = self._rested or load <= REST
            self._windows.append((load, power))
            self._since_fit += 1
        self.forget()
        if self._since_fit >= FIT_EVERY and not self._rested:
            self._since_fit = 0
            self._fitted = fitted(self._windows, SURE * self.lowest)


def fitted(windows: Windows, sure: float) -> float | None:
    """Power at no load on the straight line of power [W] over load [1].

    Args:
        windows: Load and power of each.
        sure: Largest half width of its 90 % range [W].

    Returns:
        It, not below zero; none where the line does not rise, or leaves more doubt.
    """
    line = _line(windows)
    if line is None:
        return None
    offs = [abs(power - line[0] - line[1] * load) for load, power in windows]
    most = OUTLIER * MAD * median(offs)
    kept = [each for each, off in zip(windows, offs, strict=True) if off <= most]
    line = _line(kept) or line
    at_rest, slope, error = line
    if slope <= 0 or Z90 * error > sure:
        return None
    return max(0.0, at_rest)


def _line(windows: Windows) -> tuple[float, float, float] | None:
    """Least squares: power at no load [W], its slope, and the standard error of the first [W]."""
    count = len(windows)
    if count < FIT_EVERY // 2:
        return None
    load = sum(each for each, _ in windows) / count
    power = sum(each for _, each in windows) / count
    spread = sum((each - load) ** 2 for each, _ in windows)
    if spread <= 0:
        return None
    slope = sum((x - load) * (y - power) for x, y in windows) / spread
    at_rest = power - slope * load
    left = sum((y - at_rest - slope * x) ** 2 for x, y in windows) / (count - 2)
    return at_rest, slope, sqrt(left * (1 / count + load * load / spread))
