"""`greenops collector`: write configurations of the stock OpenTelemetry Collector, and let a Collector check them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

ROLES = ("agent", "gateway", "rotel")


def add_parser(subparsers: Parsers) -> None:
    """Add the command with its two verbs."""
    parser = subparsers.add_parser(
        "collector", help="OpenTelemetry Collector: render a configuration, check one"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_render(verbs)
    check = verbs.add_parser("check", help="let the Collector that is installed validate a file")
    check.add_argument("file", type=Path)
    check.add_argument("--collector", type=Path, help="its binary (default: found on the path)")
    check.set_defaults(run=run_check)


def _add_render(verbs: Any) -> None:
    render = verbs.add_parser("render", help="write a configuration and its tables")
    render.add_argument("--role", choices=ROLES, required=True)
    render.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    render.add_argument("--state", help="state whose factors.json holds (default: the settings')")
    render.add_argument("--policies", help="folder of workloads, for the watts of batch runs")
    render.add_argument("--listen", default="127.0.0.1", help="address that it listens on")
    render.add_argument("--grpc-port", type=int, default=14317)
    render.add_argument("--http-port", type=int, default=14318)
    render.add_argument("--health-port", type=int, default=13133)
    render.add_argument(
        "--endpoint", default="127.0.0.1:4317", help="next hop, OTLP gRPC (127.0.0.1:4317)"
    )
    render.add_argument("--traces", metavar="HOST:PORT", help="trace store for sampled spans")
    render.add_argument("--metrics-url", help="back end of OTLP metrics, such as Prometheus 3")
    render.add_argument("--sample", type=float, default=10.0, help="ordinary traces kept [%%]")
    render.add_argument("--kepler", metavar="HOST:PORT", help="Kepler exporter to scrape")
    render.add_argument("--dcgm", metavar="HOST:PORT", help="NVIDIA DCGM exporter to scrape")
    render.add_argument("--memory", type=int, default=512, help="memory that it may use [MiB]")
    render.add_argument(
        "--tables", help="folder of the tables as the Collector sees it (default: DIR)"
    )
    render.add_argument(
        "--forward-only", action="store_true", help="leave energy and carbon to the next Collector"
    )
    render.set_defaults(run=run_render)


def run_render(args: argparse.Namespace) -> int:
    """Write the files; the same again changes nothing.

    Raises:
        UsageError: A number is out of its range.
        Unreachable: The folder cannot be written.
    """
    from greenops.adapters.clock import SystemClock
    from greenops.adapters.collector_files import write
    from greenops.pipeline.collector_here import files_of, tables_here

    if not 0 <= args.sample <= 100:  # noqa: PLR2004
        raise UsageError("GO0925", f"--sample {args.sample:g} is no share", fix="give 0 to 100")
    tables = tables_here(args.state, args.policies, SystemClock.from_environment().wall())
    changed = write(args.output, files_of(args.role, tables, _wiring(args)))
    for path in changed:
        print(path)
    if args.role == "gateway" and args.traces is None:
        print(
            "nothing is sampled, for no trace store is named; --traces names one", file=sys.stderr
        )
    return ExitCode.OK


def _wiring(args: argparse.Namespace) -> Any:
    from pathlib import PurePosixPath

    from greenops.pipeline.collector_config import Wiring

    return Wiring(
        tables=None if args.forward_only else PurePosixPath(args.tables or args.output.resolve()),
        listen=args.listen,
        grpc_port=args.grpc_port,
        http_port=args.http_port,
        health_port=args.health_port,
        upstream=args.endpoint,
        traces=args.traces,
        metrics_url=args.metrics_url,
        sample_percent=args.sample,
        kepler=args.kepler,
        dcgm=args.dcgm,
        memory_mib=args.memory,
    )


def run_check(args: argparse.Namespace) -> int:
    """Say which Collector found nothing wrong.

    Raises:
        InvalidFile, Unreachable, UsageError: As `otelcol.validate` tells.
    """
    from greenops.adapters.otelcol import validate

    binary = validate(args.file, args.collector)
    print(f"{args.file}: valid, says {binary.name}")
    return ExitCode.OK
