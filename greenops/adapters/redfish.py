"""A whole machine as its management controller sees it: power or energy of one Redfish chassis."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.domain.power import LARGEST_NODE, PowerCounter, plausible_joules, plausible_watts
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import Joules, Kwh, Seconds, Watts, to_joules

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

URL: Final = "GREENOPS_METER_REDFISH"
"""Environment variable: address of the chassis, as `https://bmc/redfish/v1/Chassis/1`; without it nothing is asked."""
USER: Final = "GREENOPS_METER_REDFISH_USER"
PASSWORD: Final = "GREENOPS_METER_REDFISH_PASSWORD"  # noqa: S105 - the variable's name
AUTHORITY: Final = "GREENOPS_METER_REDFISH_CA"
"""Environment variable: file with the certificate that signed the controller's; else the system's authorities."""
MEND: Final = f"check `{URL}`, `{USER}`, `{PASSWORD}` and `{AUTHORITY}`"
TIMEOUT_S: Final = (1.0, 2.0)
"""How long a connection and one piece of an answer may take [s]; controllers are slow machines."""
DEADLINE_S: Final = 4.0
"""How long a whole answer may take [s]."""
LONGEST: Final = 2**20
"""Longest answer that is read [bytes]; a `Power` resource is about 10 kB."""
UNCERTAINTY: Final = 0.10
"""Relative 90 % half width: supplies state 1-5 %, and controllers sample them every 1-60 s."""
UPDATE_PERIOD: Final = Seconds(10.0)
"""Time between two steps [s]: controllers sample every 1-60 s, and to be asked more often would only load them."""

Fetch = Callable[[str], Any]
"""Gets the JSON of a resource below the chassis; none where there is none; raises AdapterUnavailable."""


@dataclass(frozen=True, slots=True)
class Property:
    """Where a number stands. Source: DMTF DSP8010, schemas EnvironmentMetrics 1.4 and Power 1.7."""

    resource: str
    path: tuple[str | int, ...]
    unit: str


PROPERTIES: Final = (
    Property("EnvironmentMetrics", ("EnergyJoules", "Reading"), "J"),
    Property("EnvironmentMetrics", ("PowerWatts", "Reading"), "W"),
    Property("Power", ("PowerControl", 0, "PowerConsumedWatts"), "W"),
    Property("EnvironmentMetrics", ("EnergykWh", "Reading"), "kWh"),
)
"""The best first: kilowatt hours step seldom, since controllers give them in thousandths at best."""
CAPACITY: Final = ("PowerControl", 0, "PowerCapacityWatts")


class RedfishMeter:
    """One chassis. Reading it asks the network, so it wants a thread of its own. Stability: beta."""

    def __init__(self, fetch: Fetch, given: Property, device: str, rated: Watts) -> None:
        self._fetch, self._property, self._open = fetch, given, True
        self._power = PowerCounter()
        self._info = MeterInfo(
            name="redfish",
            device=device,
            device_kind="host",
            method=Method.MEASURED,
            boundary=Boundary.NODE,
            uncertainty=UNCERTAINTY,
            rated_power=rated,
            update_period=UPDATE_PERIOD,
        )

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Ask the controller now.

        Raises:
            AdapterUnavailable: It does not answer, or with what is no energy and no power.
        """
        if not self._open:
            raise AdapterUnavailable("GO0716", "the redfish meter is closed")
        value = _number(self._fetch(self._property.resource), self._property.path)
        at_ns = time.monotonic_ns()
        if value is None:
            raise AdapterUnavailable("GO0716", f"redfish gives no `{self._property.path[0]}` now")
        try:
            joules = self._joules(value, at_ns)
        except ValueError as error:
            raise AdapterUnavailable("GO0716", f"redfish gives nonsense: {error}") from error
        return EnergyReading(self._info.device, at_ns, joules)

    def _joules(self, value: float, at_ns: int) -> Joules:
        match self._property.unit:
            case "W":
                return self._power.add(plausible_watts(value), at_ns)
            case "kWh":
                return plausible_joules(to_joules(Kwh(value)))
            case _:
                return plausible_joules(value)

    def close(self) -> None:
        """Ask no more; twice is once."""
        self._open = False


def discover(
    environ: Mapping[str, str] = os.environ, fetch: Fetch | None = None
) -> Sequence[EnergyMeter]:
    """The chassis that is set.

    Raises:
        AdapterUnsupported: None is set, or it tells neither power nor energy.
        AdapterUnavailable: It does not answer.
    """
    url = environ.get(URL, "").rstrip("/")
    if not url:
        raise AdapterUnsupported(
            "GO0716",
            "no controller to ask",
            fix=f"set `{URL}` to the address of the machine's chassis",
        )
    if not _is_http(url):
        raise AdapterUnsupported(
            "GO0716", f"`{URL}` must be an http address, as `https://bmc/redfish/v1/Chassis/1`"
        )
    fetch = fetch or _fetcher(url, environ)
    resources = {each: fetch(each) for each in ("EnvironmentMetrics", "Power")}
    for given in PROPERTIES:
        if _number(resources[given.resource], given.path) is not None:
            rated = _number(resources["Power"], CAPACITY)
            most = Watts(rated) if rated is not None and rated > 0 else LARGEST_NODE
            return [RedfishMeter(fetch, given, f"redfish-{url.rpartition('/')[2]}", most)]
    raise AdapterUnsupported(
        "GO0716", f"chassis `{url.rpartition('/')[2]}` tells neither power nor energy"
    )


def _number(resource: Any, path: Sequence[str | int]) -> float | None:
    """The number at a path; none where something on the way is missing or of another kind."""
    for step in path:
        try:
            resource = resource[step]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(resource, bool) or not isinstance(resource, int | float):
        return None
    try:
        return float(resource)
    except OverflowError:
        return None


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _fetcher(url: str, environ: Mapping[str, str]) -> Fetch:
    import requests

    def fetch(resource: str) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = environ.get(AUTHORITY) or True
            if USER in environ:
                session.auth = (environ[USER], environ.get(PASSWORD, ""))
            try:
                answer = session.get(
                    f"{url}/{resource}", timeout=TIMEOUT_S, stream=True, allow_redirects=False
                )
                return _answer(answer)
            except (requests.RequestException, OSError, ValueError) as error:
                # Words of the error may hold the address, and it a password.
                why = str(error) if type(error) is ValueError else type(error).__name__
                raise AdapterUnavailable(
                    "GO0716", f"redfish `{resource}` does not answer: {why}", fix=MEND
                ) from error

    return fetch


def _answer(answer: Any) -> Any:
    """The JSON of an answer; none where the controller has no such resource."""
    until, text = time.monotonic() + DEADLINE_S, bytearray()
    if answer.status_code == 404:  # noqa: PLR2004 - HTTP
        return None
    if answer.status_code != 200:  # noqa: PLR2004 - HTTP
        raise ValueError(f"status {answer.status_code}")
    for piece in answer.iter_content(65_536):
        text += piece
        if len(text) > LONGEST or time.monotonic() > until:
            raise ValueError("the answer is too long")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
