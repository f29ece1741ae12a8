"""Meters that others already read: energy series of Kepler, Scaphandre and DCGM, off a Prometheus page or query."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.domain.power import LARGEST_NODE, PowerCounter, plausible_joules, plausible_watts
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import NS_PER_S, Joules, Seconds

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

URL: Final = "GREENOPS_METER_PROMETHEUS"
"""Environment variable: address of a `/metrics` page or of an instant query; without it nothing is asked."""
TIMEOUT_S: Final = (0.5, 1.0)
"""How long a connection and one piece of an answer may take [s]; exporters run beside the service."""
DEADLINE_S: Final = 2.0
"""How long a whole answer may take [s]."""
LONGEST: Final = 8 * 2**20
"""Longest answer that is read [bytes]; Kepler's page is about 1 MB for 1,000 processes."""
UNCERTAINTY: Final = 0.10
"""Relative 90 % half width: 5 % of RAPL or NVML, and as much for the seconds between two of their looks."""
UPDATE_PERIOD: Final = Seconds(5.0)
"""Time between two steps [s]. Source: Kepler's default interval; Scaphandre and DCGM step when they are asked or more slowly."""
MACHINE: Final = ("instance", "node_name", "Hostname", "node", "exported_instance")
"""Labels that tell one machine from another."""

Fetch = Callable[[str], str]
"""Gets the text at an address; raises AdapterUnavailable."""


NONSENSE: Final = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What taking an answer apart may raise where it is not what was asked for."""


@dataclass(frozen=True, slots=True)
class Series:
    """What one metric is: `scale` makes joules or watts of it; `each` names the label that tells devices apart."""

    metric: str
    source: str
    kind: str
    scale: float = 1.0
    labels: Mapping[str, str] = field(default_factory=dict)
    each: str | None = None
    is_power: bool = False


SERIES: Final = (
    Series("kepler_node_cpu_joules_total", "kepler", "cpu", labels={"zone": "package"}),
    Series("kepler_node_cpu_joules_total", "kepler", "memory", labels={"zone": "dram"}),
    Series("kepler_node_package_joules_total", "kepler", "cpu"),
    Series("kepler_node_dram_joules_total", "kepler", "memory"),
    Series("scaph_socket_energy_microjoules", "scaphandre", "cpu", 1e-6),
    Series(
        "scaph_domain_energy_microjoules",
        "scaphandre",
        "memory",
        1e-6,
        labels={"domain_name": "dram"},
    ),
    Series("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "dcgm", "gpu", 1e-3, each="UUID"),
    Series("kepler_node_platform_joules_total", "kepler", "host"),
    Series("scaph_host_energy_microjoules", "scaphandre", "host", 1e-6),
    Series("scaph_host_power_microwatts", "scaphandre", "host", 1e-6, is_power=True),
)
"""Parts before the whole. Source: Kepler 0.11 and (second pair) 0.7, Scaphandre 1.0, dcgm-exporter 3.3."""
LINE: Final = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*")
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """One value with its labels."""

    metric: str
    labels: Mapping[str, str]
    value: float


class Page:
    """What is at the address; all its meters share one look a second."""

    def __init__(self, url: str, fetch: Fetch) -> None:
        self._url, self._fetch = url, fetch
        self._lock = threading.Lock()
        self._kept: tuple[int, list[Sample]] | None = None

    def samples(self) -> tuple[int, list[Sample]]:
        """When it was asked, on the monotonic clock [ns], and what we know the meaning of.

        Raises:
            AdapterUnavailable: It does not answer, or with something else.
        """
        with self._lock:
            kept, now = self._kept, time.monotonic_ns()
            if kept is None or now - kept[0] >= NS_PER_S:
                kept = self._kept = (now, list(self._read()))
            return kept

    def _read(self) -> Iterator[Sample]:
        text = self._fetch(self._url)
        try:
            yield from _query(text) if text.lstrip()[:1] == "{" else _page(text)
        except NONSENSE as error:
            raise AdapterUnavailable(
                "GO0715", f"`{shown(self._url)}` gives no series: {error}"
            ) from error


class PrometheusMeter:
    """One device behind the page. Reading it asks the network, so it wants a thread of its own. Stability: beta."""

    def __init__(self, page: Page, series: Series, device: str) -> None:
        self._page, self._series = page, series
        self._power, self._open = PowerCounter(), True
        self._info = MeterInfo(
            name=series.source,
            device=device,
            device_kind=series.kind,
            method=Method.REPORTED,
            boundary=Boundary.NODE if series.kind == "host" else Boundary.CHIP,
            uncertainty=UNCERTAINTY,
            rated_power=LARGEST_NODE,
            update_period=UPDATE_PERIOD,
        )

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Ask now, unless another meter of the page has within a second.

        Raises:
            AdapterUnavailable: The page does not answer, or no longer has the series.
        """
        if not self._open:
            raise AdapterUnavailable("GO0715", f"meter `{self._info.device}` is closed")
        at_ns, samples = self._page.samples()
        values = devices(samples, self._series).get(self._info.device)
        if not values:
            raise AdapterUnavailable("GO0715", f"series of `{self._info.device}` is gone")
        try:
            joules = self._joules(values, at_ns)
        except ValueError as error:
            raise AdapterUnavailable("GO0715", f"`{self._info.device}`: {error}") from error
        return EnergyReading(self._info.device, at_ns, joules)

    def _joules(self, values: Sequence[float], at_ns: int) -> Joules:
        # Rows of one board, as of its MIG instances, all show the board; other rows are parts of a sum.
        value = (max if self._series.each else sum)(values) * self._series.scale
        if self._series.is_power:
            return self._power.add(plausible_watts(value), at_ns)
        return plausible_joules(value)

    def close(self) -> None:
        """Ask no more; twice is once."""
        self._open = False


def discover(
    environ: Mapping[str, str] = os.environ, fetch: Fetch | None = None
) -> Sequence[EnergyMeter]:
    """Each device with a known series at the address that is set.

    Raises:
        AdapterUnsupported: No address is set, it is none, or has no known series of one machine.
        AdapterUnavailable: It does not answer.
    """
    url = environ.get(URL, "")
    if not url:
        raise AdapterUnsupported(
            "GO0715", "no page to read", fix=f"set `{URL}` to the `/metrics` page of an exporter"
        )
    if not _is_http(url):
        raise AdapterUnsupported(
            "GO0715", f"`{URL}` must be an http address, as `http://localhost:28282/metrics`"
        )
    page = Page(url, fetch or get)
    _, samples = page.samples()
    found: dict[tuple[str, str], list[PrometheusMeter]] = {}
    for series in SERIES:
        meters = [PrometheusMeter(page, series, device) for device in devices(samples, series)]
        if meters:
            found.setdefault((series.source, series.kind), meters)
    if not found:
        raise AdapterUnsupported("GO0715", f"`{shown(url)}` has no energy series that is known")
    return [meter for meters in found.values() for meter in meters]


def devices(samples: Sequence[Sample], series: Series) -> dict[str, list[float]]:
    """Values of a series by device.

    Raises:
        AdapterUnavailable: They are of several machines.
    """
    found: defaultdict[str, list[float]] = defaultdict(list)
    fitting = [each for each in samples if _fits(each, series)]
    for label in MACHINE:
        if len({each.labels[label] for each in fitting if label in each.labels}) > 1:
            raise AdapterUnavailable(
                "GO0715",
                f"`{series.metric}` is of several machines",
                fix=f"ask for one in the query, by its `{label}`",
            )
    for each in fitting:
        device = each.labels.get(series.each, "") if series.each else ""
        found[device or f"{series.source}-{series.kind}"].append(each.value)
    return found


def _fits(sample: Sample, series: Series) -> bool:
    return sample.metric == series.metric and series.labels.items() <= sample.labels.items()


def _page(text: str) -> Iterator[Sample]:
    known = tuple({series.metric for series in SERIES})
    for line in text.splitlines():
        if line.startswith(known) and (found := LINE.fullmatch(line)):
            yield Sample(found[1], dict(LABEL.findall(found[2] or "")), float(found[3]))


def _query(text: str) -> Iterator[Sample]:
    data: Any = json.loads(text)
    for row in data["data"]["result"]:
        labels = {str(name): str(value) for name, value in row["metric"].items()}
        yield Sample(labels.get("__name__", ""), labels, float(row["value"][1]))


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def shown(url: str) -> str:
    """An address without the password that may be in it, and without its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def get(url: str) -> str:
    """Get a text within the deadline; no redirects, no proxies.

    Raises:
        AdapterUnavailable: There is none.
    """
    import requests

    until = time.monotonic() + DEADLINE_S
    text = bytearray()
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(url, timeout=TIMEOUT_S, stream=True, allow_redirects=False)
            if answer.status_code != requests.codes.ok:
                raise ValueError(f"status {answer.status_code}")  # noqa: TRY301
            for piece in answer.iter_content(65_536):
                text += piece
                if len(text) > LONGEST or time.monotonic() > until:
                    raise ValueError("the answer is too long")  # noqa: TRY301
    except (requests.RequestException, OSError, ValueError) as error:
        # The address may hold a password, and so may the words of the error.
        why = str(error) if type(error) is ValueError else type(error).__name__
        raise AdapterUnavailable("GO0715", f"`{shown(url)}` does not answer: {why}") from error
    return text.decode(errors="replace")
