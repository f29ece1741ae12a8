"""Settings, their defaults and units: flag > environment > greenops.yaml > pyproject > default."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from greenops.errors import InvalidFile, Location, UsageError, nearest


@dataclass(frozen=True, slots=True)
class Settings:
    """What a deployment may choose. Every default is safe: loopback only, no network elsewhere."""

    state: Path = field(default=Path(".greenops"))
    """Folder of lake, ledger, keys and control state."""
    policies: Path = field(default=Path("policies"))
    """Folder of policy and workload files (`*.yaml`, searched through), one such file, or a signed bundle."""
    policies_key: Path | None = None
    """Public key that a bundle must be signed with, or a folder of such (`*.pub`); none: the state folder's `keys/policies.pub`."""
    host: str = "127.0.0.1"
    """Address the doors listen on."""
    api_port: int = 8710
    """Port of the decision API and of `/metrics`; 0 takes a free one."""
    otlp_grpc_port: int = 4317
    """Port of the OTLP receiver, gRPC."""
    otlp_http_port: int = 4318
    """Port of the OTLP receiver, HTTP."""
    console_port: int = 8501
    """Port of the console."""
    provider: str = "shipped"
    """Grid provider, by its entry point's name; others that stand in for it follow, with commas between."""
    grid_wait_s: float = 3.0
    """Longest that a decision waits for answers of grid providers [wall s]; 0 never waits."""
    grid_calls_per_minute: float = 60.0
    """Most questions to each grid provider in a minute; one about a long past is several requests."""
    price_provider: str = ""
    """Price provider of electricity, by its entry point's name; empty: ways cost their rents alone."""
    priced_regions: str = ""
    """Regions of owned machines, whose electricity is paid by the hour, each with its zone of prices: `region=zone`, commas between."""
    usd_per: str = ""
    """Exchange rates, USD per unit, with commas between: `EUR=1.08,GBP=1.27`; the dollar's is 1."""
    tick_s: float = 0.5
    """Wall seconds between two looks of the control loop [s]."""
    flush_s: float = 2.0
    """Wall seconds between two flushes of the lake [s]."""
    wal_sync: str = "never"
    """Whether spans are on the disk itself before they are acknowledged, so that a power cut loses none: `never` or `always`."""
    lake_url: str = ""
    """Object storage where the lake's finished days go, such as `s3://bucket/prefix?region=eu-central-1`; empty: none."""
    lake_keep_local_days: int = 7
    """Days that lie here as well after they went to object storage [simulated days]."""
    lake_retention_days: str = ""
    """How long the lake keeps rows [simulated days]: one number, or `spans=30,accounts=90`; empty: for ever."""
    lake_rollup_s: float = 300.0
    """Wall seconds from one refresh of the lake's roll-ups to the next, at least [s]; 0: `serve` makes none."""
    checkpoint_entries: int = 100
    """Ledger entries between two signed checkpoints."""
    checkpoint_mirror: Path | None = None
    """Folder that gets a copy of each checkpoint, where this process can add but not rewrite."""
    forecast_max_age_s: float = 36 * 3600
    """Oldest forecast a decision may rest on [simulated s]; older means run now."""
    replan_dwell_s: float = 3600.0
    """Least time between two changes of a waiting run's start [simulated s]; the first may come at once."""
    replan_margin: float = 0.05
    """Part of its planned start's score that another start must gain to take its place [1]."""
    careful_slack_s: float = 3600.0
    """Plans whose P95 run leaves less before the deadline are weighed by the upper bound of carbon [s]; 0: none are."""
    careful_age_s: float = 0.0
    """Plans on a forecast older than this are weighed by the upper bound of carbon [simulated s]; 0: none are."""
    actor: str = "loop"
    """Who sends the loop's actions."""
    kubernetes_namespaces: str = ""
    """Namespaces where suspended Jobs with the label `greenops.dev/workload` are planned, commas between; empty: none."""
    kubernetes_config: Path | None = None
    """Kubeconfig for these Jobs; none: the account of the pod."""
    mode: str = "act"
    """`recommend` writes decisions only; `act` sends them to their targets."""
    language_model_calls: str = "elsewhere"
    """Calls whose energy an instrumented service estimates: `elsewhere`, `all` (loopback too) or `off`."""
    language_model_tier: str = ""
    """Tier of models that are in no table: `small`, `medium`, `large`; empty leaves them unknown."""
    language_models: Path | None = None
    """File of own models and measurements, added to the shipped table."""
    metered_servers: str = ""
    """Hosts of language models whose own energy is metered, with commas between; no estimate for them."""
    span_parts: str = ""
    """More on spans, with commas between: words of `SPAN_PARTS`."""
    embodied_g: float = 0.0
    """Emissions of making one machine [gCO2e]; above 0 spans carry their part of it."""
    embodied_lifetime_years: float = 4.0
    """How long a machine is expected to serve [years]."""
    embodied_vcpus: int = 0
    """All vCPUs of the machine that `embodied_g` is of; 0 takes those that the process sees."""
    idle_policy: str = "separate"
    """Who answers for what a device draws with nothing running: `separate` (nobody), `by_reservation`, `by_dynamic_share`."""
    idle_w: str = ""
    """Power of metered devices with nothing running, by device or kind, with commas between: `gpu=70,package-0=18` [W]."""
    idle_reserved: float = 1.0
    """Part of each device that an instrumented service reserved [1]; counts with `by_reservation`."""


PREFIX = "GREENOPS_"
PATHS = (
    *("state", "policies", "policies_key", "checkpoint_mirror", "language_models"),
    "kubernetes_config",
)
LARGEST_PORT = 65_535
RANGES: Mapping[str, tuple[int, int]] = {
    "grid_wait_s": (0, 60),
    "grid_calls_per_minute": (1, 1_000_000),
    "idle_reserved": (0, 1),
    "lake_rollup_s": (0, 86_400),
}
"""Least and most of settings that have both."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "wal_sync": ("never", "always"),
    "mode": ("recommend", "act"),
    "language_model_calls": ("elsewhere", "all", "off"),
    "idle_policy": ("separate", "by_reservation", "by_dynamic_share"),
    "language_model_tier": ("", "small", "medium", "large"),
}
"""Settings that take one of a few words."""
SPAN_PARTS = (
    *("range", "cost", "total", "devices", "attribution"),
    *("network", "flops", "per_unit"),
)
"""Words of `span_parts`: what spans say more of their own energy, and of calls and items."""
AMOUNTS = (
    *("embodied_g", "embodied_lifetime_years", "embodied_vcpus"),
    *("replan_dwell_s", "replan_margin"),
    *("careful_slack_s", "careful_age_s"),
)
"""Settings that are not negative, and finite."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting's value came from, for `greenops config show --origin`."""

    name: str
    value: object
    origin: str


def load_settings(
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """The settings in force.

    Raises:
        UsageError: A value is of the wrong kind.
        InvalidFile: The settings file has an unknown key; names the nearest known one.
    """
    values: dict[str, Any] = {o.name: o.value for o in load_origins(environ, folder, flags)}
    return Settings(**values)


def find_state(
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    flags: Mapping[str, object] | None = None,
) -> Path:
    """The folder of the control state, also where another setting is broken; else the default."""
    environ = os.environ if environ is None else environ
    given = (flags or {}).get("state") or environ.get(f"{PREFIX}STATE")
    return Path(str(given or _state_in(folder or Path()) or Settings().state))


def _state_in(folder: Path) -> object:
    """As a settings file that can be read says; none where none does."""
    found: object = None
    with suppress(InvalidFile, OSError, ValueError, AttributeError, RecursionError):
        found = _toml(folder / "pyproject.toml").get("tool", {}).get("greenops", {}).get("state")
    with suppress(InvalidFile, OSError, ValueError, RecursionError, yaml.YAMLError):
        found = _yaml(folder / "greenops.yaml").get("state") or found
    return found


def load_origins(
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[Origin]:
    """Each setting's value with its origin, defaults included, strongest last per name."""
    environ = os.environ if environ is None else environ
    folder = folder or Path.cwd()
    found = {f.name: Origin(f.name, f.default, "default") for f in fields(Settings)}
    for name, text, origin in [*_from_files(folder), *_from_environ(environ)]:
        found[name] = Origin(name, _convert(name, text, origin), str(origin))
    for name, given in (flags or {}).items():
        if given is not None:
            found[name] = Origin(name, _convert(name, given, "flag"), "flag")
    return list(found.values())


def _from_environ(environ: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    known = {f.name for f in fields(Settings)}
    pairs = ((key.removeprefix(PREFIX).lower(), key) for key in environ if key.startswith(PREFIX))
    return [(name, environ[key], key) for name, key in pairs if name in known]


def _from_files(folder: Path) -> list[tuple[str, Any, Location]]:
    found: list[tuple[str, Any, Location]] = []
    project = folder / "pyproject.toml"
    if project.is_file():
        table = _toml(project).get("tool", {}).get("greenops", {})
        found += _known(table, str(project))
    own = folder / "greenops.yaml"
    if own.is_file():
        found += _known(_yaml(own), str(own))
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InvalidFile("GO0806", f"not TOML: {error}", at=Location(str(path))) from error


def _yaml(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text()) or {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = Location(str(path), mark.line + 1, mark.column + 1) if mark else Location(str(path))
        raise InvalidFile("GO0806", f"not YAML: {error.problem}", at=at) from error
    if not isinstance(found, Mapping):
        raise InvalidFile("GO0806", "settings are `name: value` pairs", at=Location(str(path)))
    return found


def _known(table: Mapping[str, Any], file: str) -> list[tuple[str, Any, Location]]:
    known = {f.name for f in fields(Settings)}
    for key in table:
        if key not in known:
            near = nearest(key, known)
            hint = f"did you mean `{near}`?" if near else f"known keys: {', '.join(sorted(known))}"
            raise InvalidFile("GO0803", f"unknown key `{key}`", at=Location(file), fix=hint)
    return [(key, value, Location(file)) for key, value in table.items()]


def _convert(name: str, value: Any, origin: object) -> Any:
    default = getattr(Settings(), name)
    try:
        if name in PATHS:
            # An empty value of a path that may be absent says that it is.
            found = Path(str(value)) if default or value else None
        else:
            found = type(default)(value)
    except (ValueError, TypeError) as error:
        wanted = type(default).__name__
        raise UsageError(
            "GO0804", f"`{name}` must be {wanted}, not `{value}` (from {origin})"
        ) from error
    return _checked(name, found, origin)


def _checked(name: str, value: Any, origin: object) -> Any:
    if name.endswith("_port") and not 0 <= value <= LARGEST_PORT:
        raise UsageError(
            "GO0804", f"`{name}` must be 0 to {LARGEST_PORT}, not `{value}` (from {origin})"
        )
    known = CHOICES.get(name)
    if known is not None and value not in known:
        words = " or ".join(f"`{each}`" for each in known if each)
        raise UsageError("GO0804", f"`{name}` must be {words}, not `{value}` (from {origin})")
    if name in AMOUNTS and not 0 <= value < math.inf:
        raise UsageError("GO0804", f"`{name}` must be 0 or more, not `{value}` (from {origin})")
    least, most = RANGES.get(name, (None, None))
    if least is not None and most is not None and not least <= value <= most:
        said = f"{least} to {most:,}"
        raise UsageError("GO0804", f"`{name}` must be {said}, not `{value}` (from {origin})")
    if name == "embodied_lifetime_years" and value == 0:
        raise UsageError("GO0804", f"`{name}` must be above 0 (from {origin})")
    if name == "span_parts":
        _check_parts(value, origin)
    if name == "idle_w":
        _check_watts(value, origin)
    return value


def _check_watts(value: str, origin: object) -> None:
    for pair in filter(None, (each.strip() for each in value.split(","))):
        device, _, watts = pair.rpartition("=")
        try:
            known = bool(device) and 0 <= float(watts) < math.inf
        except ValueError:
            known = False
        if not known:
            raise UsageError(
                "GO0804",
                f"`idle_w` is `device=watts` with commas between, not `{pair}` (from {origin})",
            )


def _check_parts(value: str, origin: object) -> None:
    for part in filter(None, (each.strip() for each in value.split(","))):
        if part not in SPAN_PARTS:
            known = ", ".join(f"`{each}`" for each in SPAN_PARTS)
            raise UsageError(
                "GO0804", f"`span_parts` may name {known}, not `{part}` (from {origin})"
            )
