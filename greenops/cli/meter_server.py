"""`greenops meter-server URL`: joules per token of an inference server, from its counters and a meter."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from greenops.adapters.model_server import ModelServer
    from greenops.domain.language_model import Measured
    from greenops.domain.model_server import MeteredServer
    from greenops.ports import Clock, EnergyMeter

EPILOG = """\
Run it where the accelerators are, while the server is used: with the same mix of calls all the time input and output
cannot be told apart. Ctrl-C ends it early and keeps what was found.
"""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MOST_H = 24
MOST_LOOKS = 100_000
"""Each is kept till the end: a day, a look a second, and some more."""


def add_parser(subparsers: Any) -> None:
    """Add `meter-server`."""
    parser = subparsers.add_parser(
        "meter-server",
        help="joules per token of an own inference server",
        description="Meter a server of vLLM, SGLang, TGI or llama.cpp; see what a token of it draws.",
        epilog=EPILOG,
    )
    parser.add_argument("url", metavar="URL", help="of the server, or of its `/metrics` page")
    parser.add_argument(
        "--device",
        action="append",
        metavar="DEVICE",
        help="meter to read, as `greenops doctor` names it; may be given again; default: all GPUs",
    )
    parser.add_argument("--for", dest="length", default="10m", metavar="TIME", help="default: 10m")
    parser.add_argument(
        "--every", default="1s", metavar="TIME", help="time between two looks; default: 1s"
    )
    parser.add_argument("--model", help="model's name, where the server does not tell it")
    parser.add_argument(
        "--server", metavar="HOST", help="name by which clients call it; default: that of the URL"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put the rows into a file of language models"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Meter, print, and write the rows where a file is named."""
    from greenops.adapters.clock import SystemClock
    from greenops.pipeline.meters import discover

    # A replay has no place here: meters run in real time.
    return meter(args, SystemClock(), discover)


def meter(
    args: argparse.Namespace, clock: Clock, discover: Callable[[], Sequence[EnergyMeter]]
) -> int:
    """The same, with the clock and the meters of the caller.

    Raises:
        UsageError: A time that is none, no meter, or no name of the model.
        InvalidFile: The file of language models is not one.
        Unreachable: The server does not answer.
        DataMissing: It did not work while it was looked at.
    """
    from greenops.adapters.language_model_file import add_measured, shipped, with_own
    from greenops.adapters.model_server import ModelServer
    from greenops.adapters.prometheus_meter import get
    from greenops.errors import UsageError
    from greenops.pipeline.server_metering import ServerMetering, meter_for, rows

    length, every = _time("--for", args.length), _time("--every", args.every)
    if length / every > MOST_LOOKS:
        raise UsageError("GO0719", f"`--every {args.every}` makes more than {MOST_LOOKS} looks")
    table = shipped()
    if args.write is not None and args.write.exists():
        with_own(table, args.write)  # What cannot be written is told before the wait.
    server = ModelServer(args.url, get)
    server.look()
    meters = _chosen(discover(), args.device)
    try:
        share = table.figures["cached_share"].value
        metering = ServerMetering(server, meters, share, clock.monotonic_ns)
        meter_for(metering, length, every, clock)
        found = metering.result(every.total_seconds())
    finally:
        for meter in meters:
            meter.close()
    made = rows(found, args.server or _host(server), clock.wall(), args.model)
    if args.write is not None:
        add_measured(table, args.write, made)
    _show(args, found, made)
    return 0


def _time(option: str, text: str) -> timedelta:
    from datetime import timedelta

    from greenops.errors import UsageError
    from greenops.policy.quantity import duration

    found = duration(text)
    if found is None or not timedelta() < found <= timedelta(hours=MOST_H):
        raise UsageError(
            "GO0719", f"`{option} {text}` is no time up to {MOST_H} h", fix="for example 10m"
        )
    return found


def _chosen(found: Sequence[EnergyMeter], devices: Sequence[str] | None) -> list[EnergyMeter]:
    from greenops.errors import UsageError, nearest

    there = {meter.info.device: meter for meter in found}
    wanted = devices or [each for each, meter in there.items() if meter.info.device_kind == "gpu"]
    unknown = next((each for each in wanted if each not in there), None)
    chosen = [there[each] for each in dict.fromkeys(wanted) if each in there]
    if chosen and unknown is None:
        for device, meter in there.items():
            if device not in wanted:
                meter.close()
        return chosen
    for meter in there.values():
        meter.close()
    known = ", ".join(there) or "none"
    if unknown is not None:
        near = nearest(unknown, there)
        raise UsageError("GO0719", f"no meter `{unknown}`", fix=f"known: {near or known}")
    raise UsageError("GO0719", "no GPU has a meter", fix=f"name a meter with `--device`: {known}")


def _host(server: ModelServer) -> str:
    """What clients elsewhere call it: a loopback address means this machine's name."""
    from socket import gethostname

    return gethostname() if server.host in LOOPBACK else server.host


def _show(args: argparse.Namespace, found: MeteredServer, made: Sequence[Measured]) -> None:
    from greenops.domain.record import plain

    if args.output == "json":
        import json

        print(json.dumps({**plain(found), "rows": plain(list(made))}, indent=2, ensure_ascii=False))
        return
    print("\n".join(_lines(args, found, made)))


def _lines(
    args: argparse.Namespace, found: MeteredServer, made: Sequence[Measured]
) -> Iterator[str]:
    lost = f", {found.lost} looks gave nothing" if found.lost else ""
    yield f"{found.server} at {made[0].server}, metered at the {found.boundary}: {', '.join(found.devices)}"
    yield f"{found.ticks} ticks, {found.busy:.0f} s of work, {found.energy:.4g} J{lost}"
    idle = "not seen, so it is in the tokens" if found.idle is None else f"{found.idle:.1f} W"
    yield f"idle power {idle}"
    for each, row in zip(found.models, made, strict=True):
        yield f"{row.model}: {each.work.read:.0f} tokens read, {each.work.wrote:.0f} written"
        for name, value in (("output", each.output), ("input", each.input)):
            low, high = value / each.factor, value * each.factor
            yield f"  {name:6} {value:.4g} J per token (90 %: {low:.4g} to {high:.4g})"
        if not each.apart:
            yield "  input and output rose and fell together: how they share is an assumption"
    if args.write is not None:
        yield f"written to {args.write}; services read it with GREENOPS_LANGUAGE_MODELS={args.write}"
