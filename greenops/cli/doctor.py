"""`greenops doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenops.pipeline.meters import Asked
    from greenops.ports import EnergyMeter


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `ok`, `warn`, `fail` or `skip` (a meter that is not used), and the mend."""

    what: str
    state: str
    detail: str


def add_parser(subparsers: Any) -> None:
    """Add `doctor`."""
    parser = subparsers.add_parser("doctor", help="check meters, data, policies, ports and disk")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; 0 where nothing fails, 4 where something does."""
    import json

    found = list(look())
    if args.output == "json":
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        width = max(len(each.what) for each in found)
        for each in found:
            print(f"{each.state:<5} {each.what:<{width}} {each.detail}")
    return 4 if any(each.state == "fail" for each in found) else 0


def look() -> Iterator[Finding]:
    """Every check; one that fails does not stop the next."""
    from greenops.errors import GreenOpsError

    checks: tuple[tuple[str, Callable[[], Finding | list[Finding]]], ...] = (
        ("settings", _settings),
        ("meters", _meters),
        ("grid", _grid),
        ("policies", _policies),
        ("state", _state),
        ("ports", _ports),
    )
    for what, check in checks:
        try:
            found = check()
            yield from found if isinstance(found, list) else [found]
        except (GreenOpsError, OSError) as error:
            yield Finding(what, "fail", str(error))
        except Exception as error:  # noqa: BLE001 - a damaged installation may raise anything
            yield Finding(what, "fail", f"{error!r}; the installation may be damaged")


def _settings() -> Finding:
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings

    settings, clock = load_settings(), SystemClock.from_environment()
    time = f"replay {clock.replay}" if clock.replay else "wall time"
    return Finding(
        "settings", "ok", f"state {settings.state}, policies {settings.policies}, {time}"
    )


def _meters() -> list[Finding]:
    from contextlib import suppress

    from greenops.pipeline.meters import survey

    said = survey()
    for meter in (meter for asked in said for meter in asked.chosen):
        with suppress(Exception):
            meter.close()
    return [_chosen(said), *(_source(asked) for asked in said)]


def _chosen(said: Sequence[Asked]) -> Finding:
    import os

    from greenops.pipeline.meters import METERS

    found = [meter.info for asked in said for meter in asked.chosen]
    if not found:
        limited = f"; `{METERS}` leaves out the others" if os.environ.get(METERS) else ""
        return Finding("meters", "fail", f"no meter: energy will be unknown{limited}")
    named = ", ".join(f"{i.name} {i.device} ({i.method}, ±{i.uncertainty:.0%})" for i in found)
    modelled = [info.name for info in found if info.method == "modeled"]
    if not modelled:
        return Finding("meters", "ok", named)
    hint = "; a meter would be closer: see the lines below"
    if "tdp_model" in modelled and not os.environ.get("GREENOPS_CPU_TDP"):
        hint += ", or tell the processor's watts: `GREENOPS_CPU_TDP=280/128`"
    return Finding("meters", "warn", named + hint)


def _source(asked: Asked) -> Finding:
    """One source of meters: what is used of it, or why nothing is and what would change that."""
    import os

    what = f"meter {asked.source}"
    if asked.chosen:
        used = ", ".join(map(_used, asked.chosen))
        return Finding(what, "ok", f"used: {used}" + (f"; not {asked.why}" if asked.why else ""))
    wanted = _setting(asked.source)
    is_set = wanted is not None and bool(os.environ.get(wanted))
    why = asked.why or "nothing found"
    then = f"; {asked.mend}" if asked.mend else ""
    if is_set and asked.source == "tdp_model":
        then = f"; `{wanted}` is not used: `GREENOPS_METERS=tdp_model` would use it alone" + then
    return Finding(what, "warn" if is_set else "skip", f"{why}{then}")


def _used(meter: EnergyMeter) -> str:
    info = meter.info
    note = f": {info.note}" if info.note else ""
    return f"{info.device} ({info.device_kind}){note}"


def _setting(source: str) -> str | None:
    """The variable by which a person asks for a source."""
    from greenops.adapters import cpu_model, prometheus_meter, redfish

    return {
        "redfish": redfish.URL,
        "prometheus": prometheus_meter.URL,
        "tdp_model": cpu_model.TDP,
    }.get(source)


def _grid() -> Finding:
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.errors import DataMissing
    from greenops.pipeline.grid import load_grid

    clock = SystemClock.from_environment()
    grid = load_grid(load_settings(), clock)
    zone = grid.provider.zones()[0].id
    try:
        forecast = grid.provider.forecast(zone, clock.now())
    except DataMissing as error:
        return Finding("grid", "warn", f"{error}; until then jobs run now, carbon is annual")
    if forecast.degraded:
        said = f"{forecast.id}, degraded: {forecast.degraded}; look with `greenops grid check`"
        return Finding("grid", "warn", said)
    return Finding("grid", "ok", f"{grid.provider.name}: {forecast.id}")


def _policies() -> Finding:
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.pipeline.assemble import strange_regions
    from greenops.pipeline.grid import load_grid
    from greenops.pipeline.policies import read_policies
    from greenops.policy.expiry import overdue, warnings

    settings, clock = load_settings(), SystemClock.from_environment()
    policies, now = read_policies(settings.policies, settings), clock.now()
    strange = strange_regions(policies, load_grid(settings, clock))
    if strange:
        return Finding("policies", "warn", strange[0])
    old = (*overdue(policies, now), *warnings(policies, now))
    if old:
        return Finding("policies", "warn", str(old[0]))
    return Finding("policies", "ok", f"{len(policies.workloads)} workloads, {policies.hash[:19]}")


def _state() -> Finding:
    import shutil

    from greenops.config import load_settings

    folder = load_settings().state.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free / 1e9
    return Finding("state", "ok" if free > 1 else "warn", f"{free:.0f} GB free at {there}")


def _ports() -> Finding:
    import socket

    from greenops.config import load_settings

    settings = load_settings()
    taken = []
    for port in (settings.api_port, settings.otlp_grpc_port, settings.otlp_http_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError:
                taken.append(port)
    if taken:
        said = ", ".join(map(str, taken))
        return Finding("ports", "warn", f"{said} in use: by `greenops serve`, or set another port")
    return Finding("ports", "ok", "all free")
