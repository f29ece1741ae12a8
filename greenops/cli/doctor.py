"""`greenops doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `ok`, `warn` or `fail`, and the mend."""

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
        for each in found:
            print(f"{each.state:<5} {each.what:<10} {each.detail}")
    return 4 if any(each.state == "fail" for each in found) else 0


def look() -> Iterator[Finding]:
    """Every check; one that fails does not stop the next."""
    from greenops.errors import GreenOpsError

    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("settings", _settings),
        ("meters", _meters),
        ("grid", _grid),
        ("policies", _policies),
        ("state", _state),
        ("ports", _ports),
    )
    for what, check in checks:
        try:
            yield check()
        except (GreenOpsError, OSError) as error:
            yield Finding(what, "fail", str(error))


def _settings() -> Finding:
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings

    settings, clock = load_settings(), SystemClock.from_environment()
    time = f"replay {clock.replay}" if clock.replay else "wall time"
    return Finding(
        "settings", "ok", f"state {settings.state}, policies {settings.policies}, {time}"
    )


def _meters() -> Finding:
    from greenops.pipeline.meters import discover

    found = [meter.info for meter in discover("doctor")]
    if not found:
        return Finding("meters", "fail", "no meter: energy will be unknown")
    named = ", ".join(f"{i.name} {i.device} ({i.method}, ±{i.uncertainty:.0%})" for i in found)
    modelled = all(info.method == "modeled" for info in found)
    hint = "; RAPL needs read access to /sys/class/powercap" if modelled else ""
    return Finding("meters", "warn" if modelled else "ok", named + hint)


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
    return Finding("grid", "ok", f"{grid.provider.name}: {forecast.id}")


def _policies() -> Finding:
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.pipeline.policies import read_policies
    from greenops.policy.expiry import overdue, warnings

    policies, now = read_policies(load_settings().policies), SystemClock.from_environment().now()
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
