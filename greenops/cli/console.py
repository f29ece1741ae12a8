"""`greenops console`: start the Streamlit console on the loopback address."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

ADDRESS: Final = "127.0.0.1"
FLAGS: Final = {
    "server.headless": "true",
    "server.address": ADDRESS,
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
}
"""Streamlit's settings: loopback only, no usage statistics, no stack trace on a page."""


GRACE_S = 5.0
"""How long the console may take to end before it is killed [s]."""


def add_parser(subparsers: Parsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("console", help="open the console in a browser")
    parser.add_argument("--port", type=int, help="port of the console (default: console_port)")
    parser.add_argument("--api", metavar="URL", help="where `greenops serve` listens")
    parser.set_defaults(run=run)


def command(app: str, port: int) -> list[str]:
    """The command line that serves `app` on `port`."""
    flags = [part for name, value in FLAGS.items() for part in (f"--{name}", value)]
    start = [sys.executable, "-m", "streamlit", "run", app, "--server.port", str(port)]
    return [*start, *flags]


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted.

    Raises:
        Unreachable: Streamlit or `app.py` is not installed, or the port is taken.
    """
    from greenops.adapters.packaged import packaged
    from greenops.config import load_settings

    need_streamlit()
    settings = load_settings(flags={"console_port": args.port})
    app = str(packaged("app.py"))
    need_port(settings.console_port)
    print(f"console: http://{ADDRESS}:{settings.console_port}", file=sys.stderr)
    api = args.api or os.environ.get("GREENOPS_API") or f"http://127.0.0.1:{settings.api_port}"
    return start(command(app, settings.console_port), api)


def need_streamlit(module: str = "streamlit") -> None:
    """Do nothing where the console's package is installed.

    Raises:
        Unreachable: It is not.
    """
    if find_spec(module) is None:
        from greenops.errors import Unreachable

        raise Unreachable(
            "GO0907",
            f"the console needs `{module}`, which is not installed",
            fix="`pip install greenops-engine[console]`",
        )


def need_port(port: int) -> None:
    """Do nothing where `port` can be listened on: Streamlit's own words name no mend.

    Raises:
        Unreachable: Something else listens there, or it may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            from greenops.errors import Unreachable

            taken = error.errno == errno.EADDRINUSE
            raise Unreachable(
                "GO0501",
                f"port {port} on {ADDRESS} {'is taken' if taken else f'cannot be used: {error.strerror}'}",
                fix="end what listens there, or take another with `--port`",
            ) from error


def start(arguments: Sequence[str], api: str) -> int:
    """Run the console as a child that ends with us; its exit code, 0 where a person stops it."""
    environment = {**os.environ, "GREENOPS_API": api}
    # A SIGTERM that ended us alone would leave the child behind.
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with subprocess.Popen(arguments, env=environment) as child:  # noqa: S603  (our own words)
            try:
                return child.wait()
            except KeyboardInterrupt:
                _end(child)
                return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
