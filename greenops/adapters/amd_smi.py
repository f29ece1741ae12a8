"""AMD devices: the energy counter of AMD SMI, through the `amdsmi` package where it can be imported."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.domain.power import plausible_joules
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

MICRO: Final = 1_000_000
UNCERTAINTY: Final = 0.05
"""Relative 90 % half width; taken to be that of NVML's counter, AMD states none."""
UPDATE_PERIOD: Final = Seconds(0.1)
"""Time between two steps of the counter [s]; not stated by AMD, taken to be no slower than NVML's."""
LEAST_MICROWATTS: Final = 10_000
"""A limit below this is in watts: libraries before ROCm 6 gave watts, later ones microwatts. No board draws 10 kW."""
MEND: Final = "install AMD's driver and the `amdsmi` package of the same ROCm (6.3 or later), and join group `render`"


class AmdSmiMeter:
    """One board. Stability: experimental, since no board of this kind was at hand.

    Args:
        library: The `amdsmi` module, initialised.
        handle: AMD SMI's handle of the device.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library, self._handle = library, handle
        self._open = True
        self._info = MeterInfo(
            name="amdsmi",
            device=f"AMD-{library.amdsmi_get_gpu_device_uuid(handle)}",
            device_kind="gpu",
            method=Method.MEASURED,
            boundary=Boundary.CHIP,
            uncertainty=UNCERTAINTY,
            rated_power=self._rated(),
            update_period=UPDATE_PERIOD,
        )
        self.read()

    def _rated(self) -> Watts | None:
        try:
            limit = float(self._library.amdsmi_get_power_cap_info(self._handle)["max_power_cap"])
        except (self._library.AmdSmiException, KeyError, TypeError, ValueError):
            return None
        watts = limit if limit < LEAST_MICROWATTS else limit / MICRO
        return Watts(watts) if watts > 0 else None

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Read the counter now: counts times the microjoules of one count.

        Raises:
            AdapterUnavailable: The driver does not answer, or gave what is no energy.
        """
        if not self._open:
            raise AdapterUnavailable("GO0717", f"amdsmi device `{self._info.device}` is closed")
        try:
            told = self._library.amdsmi_get_energy_count(self._handle)
            micro = told["energy_accumulator"] * told["counter_resolution"]
            joules = plausible_joules(micro / MICRO)
        except (self._library.AmdSmiException, KeyError, TypeError, ValueError) as error:
            raise AdapterUnavailable(
                "GO0717", f"amdsmi device `{self._info.device}` cannot be read: {error}"
            ) from error
        return EnergyReading(self._info.device, time.monotonic_ns(), joules)

    def close(self) -> None:
        """Give the library's reference back; twice is once."""
        if self._open:
            self._open = False
            with suppress(self._library.AmdSmiException):
                self._library.amdsmi_shut_down()


def discover(library: Any = None) -> Sequence[EnergyMeter]:
    """Every board with an energy counter.

    Raises:
        AdapterUnsupported: The package, the driver or a board with a counter is missing.
    """
    library = _imported() if library is None else library
    try:
        library.amdsmi_init()
    except library.AmdSmiException as error:
        raise AdapterUnsupported("GO0717", f"no amdsmi driver: {error}", fix=MEND) from error
    found: list[EnergyMeter] = []
    with suppress(library.AmdSmiException):
        for handle in library.amdsmi_get_processor_handles():
            with suppress(library.AmdSmiException, AdapterUnavailable):
                found.append(AmdSmiMeter(library, handle))
    # Each meter shuts down once; AMD SMI counts initialisations as NVML does.
    for _ in found:
        library.amdsmi_init()
    library.amdsmi_shut_down()
    if not found:
        raise AdapterUnsupported("GO0717", "no amdsmi device has an energy counter")
    return found


def _imported() -> Any:
    """The package; it looks for AMD's library when it is imported, and raises what it likes where there is none."""
    try:
        # Where it finds no library it prints so, and stdout is not ours.
        with redirect_stdout(StringIO()):
            return import_module("amdsmi")
    except ModuleNotFoundError as error:
        raise AdapterUnsupported(
            "GO0717", f"the `{error.name}` package is not installed", fix=MEND
        ) from error
    except Exception as error:
        raise AdapterUnsupported(
            "GO0717", f"`amdsmi` cannot be imported: {error!r}", fix=MEND
        ) from error
