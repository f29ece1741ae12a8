"""Which meters this machine has: every source is asked in order, and no two that overlap are used."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenops import plugins
from greenops.domain.energy import Boundary, MeterInfo
from greenops.errors import GreenOpsError, UsageError, nearest
from greenops.pipeline.polled_meter import SELDOM, PolledMeter

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

METERS: Final = "GREENOPS_METERS"
"""Environment variable: sources to ask, in this order, instead of all; as `redfish,spec_model`."""
OWN: Final = {
    "nvml": "greenops.adapters.nvml:discover",
    "amdsmi": "greenops.adapters.amd_smi:discover",
    "perf": "greenops.adapters.perf_events:discover",
    "rapl": "greenops.adapters.powercap:discover",
    "hwmon": "greenops.adapters.hwmon:discover",
    "redfish": "greenops.adapters.redfish:discover",
    "prometheus": "greenops.adapters.prometheus_meter:discover",
    "spec_model": "greenops.adapters.cpu_model:discover_family",
    "tdp_model": "greenops.adapters.cpu_model:discover_tdp",
}
"""Our own sources, in the order they are asked: the closer to the silicon the earlier.

They are named here too, so that a source tree without package metadata measures as well.
"""
MODELS: Final = ("spec_model", "tdp_model")
"""Sources that come after those of other distributions."""
OF_PROCESSOR: Final = ("perf", "rapl", *MODELS)
"""Sources that know processors alone; not asked where the processor is metered already."""
BESIDE: Final = (frozenset({"nvml", "amdsmi"}), frozenset({"nvml", "hwmon"}))
"""Sources of boards that never see the same one: NVIDIA's driver shows no power in hwmon, AMD's and Intel's do."""

Discover = Callable[[], "Sequence[EnergyMeter]"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one source.

    Attributes:
        source: Its name.
        chosen: Its meters that are used, opened.
        why: Why none is, or not all are.
        mend: What would change that; none where nothing is known to.
    """

    source: str
    chosen: tuple[EnergyMeter, ...] = ()
    why: str | None = None
    mend: str | None = None


def discover(service: str = "service") -> Sequence[EnergyMeter]:
    """The meters of this machine, no two of which overlap; models only where nothing is read.

    Raises:
        UsageError: `GREENOPS_METERS` names a source that is not known.
    """
    found = [meter for asked in survey() for meter in asked.chosen]
    return _logged(found, service)


def survey(
    environ: Mapping[str, str] = os.environ,
    sources: Mapping[str, Callable[[], Discover]] | None = None,
) -> list[Asked]:
    """Every source, with the meters that are used and why the others are not.

    Raises:
        UsageError: `GREENOPS_METERS` names a source that is not known.
    """
    taken: list[MeterInfo] = []
    said: list[Asked] = []
    for name, load in _wanted(sources or _sources(), environ).items():
        asked = _ask(name, load, taken)
        taken += [meter.info for meter in asked.chosen]
        said.append(asked)
    return said


def _wanted(
    sources: Mapping[str, Callable[[], Discover]], environ: Mapping[str, str]
) -> Mapping[str, Callable[[], Discover]]:
    names = [name.strip() for name in environ.get(METERS, "").split(",") if name.strip()]
    for name in names:
        if name not in sources:
            near = nearest(name, sources) or ", ".join(sources)
            raise UsageError("GO0802", f"`{METERS}` names no `{name}`", fix=f"known: {near}")
    return {name: sources[name] for name in names} if names else sources


def _ask(name: str, load: Callable[[], Discover], taken: Sequence[MeterInfo]) -> Asked:
    other = next((info for info in taken if _has_processor(info)), None)
    if name in OF_PROCESSOR and other is not None:
        return Asked(name, why=f"`{other.name}` measures the processor already")
    try:
        return _choose(name, load()(), taken)
    except GreenOpsError as error:
        _log.info("%s", error)
        return Asked(name, why=error.message, mend=error.fix)
    except Exception as error:  # noqa: BLE001 - a driver may raise anything when it loads
        _log.warning("GO0702 energy meters `%s` cannot be used", name, exc_info=True)
        return Asked(name, why=repr(error))


def _has_processor(info: MeterInfo) -> bool:
    return info.device_kind in {"cpu", "host"} or info.boundary is Boundary.MODULE


def _choose(name: str, found: Sequence[EnergyMeter], taken: Sequence[MeterInfo]) -> Asked:
    chosen: list[EnergyMeter] = []
    passed: list[str] = []
    for meter in found:
        mine = [each.info for each in chosen]
        clash = next((info for info in (*taken, *mine) if overlap(info, meter.info)), None)
        if clash is None:
            chosen.append(PolledMeter(meter) if meter.info.update_period >= SELDOM else meter)
        else:
            passed.append(f"`{meter.info.device}`: `{clash.name}` has {_what(clash, meter.info)}")
            _let_go(meter)
    mend = f"`{METERS}={name}` would use it alone" if passed and not chosen else None
    return Asked(name, tuple(chosen), "; ".join(passed) or None, mend)


def _what(clash: MeterInfo, info: MeterInfo) -> str:
    if clash.boundary is Boundary.MODULE:
        return "the whole module already, with its processor and memory"
    if clash.device_kind == info.device_kind:
        return f"the {info.device_kind} already"
    if info.device_kind == "host":
        return f"the {clash.device_kind} already, which is a part of the whole machine"
    return "the whole machine already"


def overlap(one: MeterInfo, other: MeterInfo) -> bool:
    """Whether energy of one may be energy of the other too, so that both together would count it twice."""
    if one.device == other.device or "host" in {one.device_kind, other.device_kind}:
        return True
    if Boundary.MODULE in {one.boundary, other.boundary}:
        # Modules lie beside each other; each holds a processor, its memory and a board.
        return one.name != other.name
    if one.device_kind != other.device_kind or one.name == other.name:
        return False
    return one.device_kind != "gpu" or frozenset({one.name, other.name}) not in BESIDE


def _let_go(meter: EnergyMeter) -> None:
    try:
        meter.close()
    except Exception:  # noqa: BLE001 - a driver may raise anything
        _log.warning("GO0702 energy meter `%s` cannot be closed", meter.info.device, exc_info=True)


def _sources() -> dict[str, Callable[[], Discover]]:
    """Loaders by name: our own, then those of other distributions, models last."""
    found: dict[str, Callable[[], Discover]] = {
        name: partial(_own, place) for name, place in OWN.items()
    }
    for name, entry in plugins.registered(plugins.METERS).items():
        found.setdefault(name, entry.load)
    return dict(sorted(found.items(), key=lambda each: each[0] in MODELS))


def _own(place: str) -> Discover:
    module, _, function = place.partition(":")
    found: Discover = getattr(import_module(module), function)
    return found


def _logged(meters: list[EnergyMeter], service: str) -> list[EnergyMeter]:
    folder = os.environ.get("GREENOPS_METER_LOG")
    if not folder:
        return meters
    from greenops.adapters.meter_log import MeterLog

    path = Path(folder) / f"{service}-{os.getpid()}.jsonl"
    return [MeterLog(meter, path) for meter in meters]
