"""`greenops serve`: OTLP receiver, decision API, metrics page and control loop."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `serve`."""
    parser = subparsers.add_parser("serve", help="receive telemetry, decide, act, prove")
    parser.add_argument("--state", help="folder of lake, ledger and control state")
    parser.add_argument("--policies", help="folder or bundle of policy and workload files")
    parser.add_argument("--api-port", type=int, help="decision API and /metrics")
    parser.add_argument("--otlp-grpc-port", type=int)
    parser.add_argument("--otlp-http-port", type=int)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    import logging

    from greenops.adapters.allocator import hold_little

    # Before what follows loads Arrow.
    hold_little()
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.service.serve import serve

    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    names = ("state", "policies", "api_port", "otlp_grpc_port", "otlp_http_port")
    settings = load_settings(flags={name: getattr(args, name) for name in names})

    def tell(line: str) -> None:
        print(f"greenops: {line}", file=sys.stderr, flush=True)

    serve(settings, SystemClock.from_environment(), tell)
    return 0
