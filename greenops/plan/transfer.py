"""What moving a run's data emits: energy of the network, drawn half in the home's grid, half in the other's."""

from __future__ import annotations

from typing import Any, Final

from greenops.units import Kwh, emissions, to_joules

LEAST: Final = Kwh(0.001)
"""Energy of moving data, the least that sources say [kWh/GB]. Source: Cloud Carbon Footprint, network between large data centres."""
MOST: Final = Kwh(0.06)
"""The most that they say [kWh/GB]. Source: Aslan et al. 2018, J. Industrial Ecology 22(4), fixed-line networks in 2015."""
NETWORK: Final = {"low": LEAST, "values": MOST, "high": MOST}
"""What the ends of a way's range and its mean count with [kWh/GB]: a move is weighed by the most, so that it pays off by any source."""


def moving(gb: Any, here: Any, home: Any, kwh_per_gb: Kwh) -> Any:
    """Emissions of moving data [gCO2e]; numbers, or arrays of one shape. No site's PUE counts.

    Args:
        gb: Data [GB].
        here: Mean intensity over the run where it goes [gCO2e/kWh].
        home: That of the run's home [gCO2e/kWh].
        kwh_per_gb: Energy of the network.
    """
    half = to_joules(gb * kwh_per_gb / 2)
    return emissions(half, here) + emissions(half, home)
